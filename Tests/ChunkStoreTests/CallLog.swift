#if os(Linux)
  import CCallLog
  import Foundation
  import Testing

  /// The calls with which a directory was written, synced and renamed in, in their order, and what the
  /// test noted among them. `CCallLog.h` says how they are got at.
  struct CallLog: CustomTestStringConvertible {
    /// A call, or a note. Paths are from the directory on; "." is the directory itself.
    enum Entry: Hashable {
      /// Bytes were written.
      case write(path: String, range: Range<Int>)
      /// A sync of this number begins.
      case sync(number: Int, path: String)
      /// It has ended, well.
      case synced(number: Int, path: String)
      /// A file took its place.
      case rename(source: String, target: String)
      /// The test was told something.
      case note(String)
    }

    /// In the calls' order.
    let entries: [Entry]

    var testDescription: String { "\(entries.count) calls and notes" }

    /// Logs what `body` does in a directory of its own, which it is given and which is removed afterwards.
    ///
    /// There is one log at a time.
    static func log(_ body: (String) async throws -> Void) async throws -> CallLog {
      let path = FileManager.default.temporaryDirectory.resolvingSymlinksInPath()
        .appendingPathComponent("holdfast-\(UUID().uuidString)").path
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(atPath: path) }
      call_log_begin(path)
      let result: Result<Void, any Error>
      do {
        result = .success(try await body(path))
      } catch {
        result = .failure(error)
      }
      let lines = try #require(call_log_end())
      defer { free(lines) }
      try result.get()
      return try CallLog(parsing: String(cString: lines))
    }

    /// Notes something at this moment.
    static func note(_ text: String) {
      call_log_note(text)
    }

    private init(parsing text: String) throws {
      entries = try text.split(separator: "\n").map { line in
        let words = line.split(separator: " ").map(String.init)
        switch (words[0], words.count) {
        case ("write", 4):
          let (start, count) = (try #require(Int(words[2])), try #require(Int(words[3])))
          return .write(path: words[1], range: start..<start + count)
        case ("sync", 3): return .sync(number: try #require(Int(words[1])), path: words[2])
        case ("synced", 3): return .synced(number: try #require(Int(words[1])), path: words[2])
        case ("rename", 3): return .rename(source: words[1], target: words[2])
        default: return .note(line.dropFirst("note ".count).description)
        }
      }
    }

    /// Where a text was noted.
    func place(ofNote text: String) -> Int? {
      entries.firstIndex(of: .note(text))
    }

    /// Whether a sync of a file, or of a directory's names, began and ended well within these places.
    func isSynced(_ path: String, within places: Range<Int>) -> Bool {
      var begun: Set<Int> = []
      for entry in entries[places] {
        switch entry {
        case .sync(let number, path): begun.insert(number)
        case .synced(let number, path) where begun.contains(number): return true
        default: continue
        }
      }
      return false
    }

    /// The places of the writes to a file that touch a range, and how many bytes of it they wrote.
    func writes(to path: String, touching wanted: Range<Int>) -> (places: [Int], bytes: Int) {
      var (places, bytes) = ([Int](), 0)
      for (place, entry) in entries.enumerated() {
        guard case .write(path, let range) = entry, range.overlaps(wanted) else { continue }
        places.append(place)
        bytes += range.clamped(to: wanted).count
      }
      return (places, bytes)
    }
  }
#endif
