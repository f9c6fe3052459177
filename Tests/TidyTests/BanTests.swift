import Testing

/// Something that code may say only in the files that own it.
struct Ban: Sendable, CustomTestStringConvertible {
  /// A regular expression over a line of code without comments and string literals.
  let pattern: String
  /// What is banned and what to do instead, for people.
  let reason: String
  /// The beginnings of the paths of the files that may.
  let owners: [String]

  var testDescription: String { reason }

  static let all: [Ban] = [
    Ban(
      pattern: #"\bTask(\.detached|\.immediate|\s*<[^>]*>)?\s*[({]"#,
      reason: "unstructured tasks: use a task group, or the run() of what owns the work",
      owners: [
        "Sources/holdfast/", "Sources/SeededExecution/SeededRun.swift",
        "Sources/Simulation/Simulation.swift",
      ]),
    Ban(
      pattern: #"\bTask\s*\.\s*sleep|\bThread\s*\.\s*sleep|\bu?sleep\s*\(\s*[0-9]|\bnanosleep\b"#,
      reason: "sleeping on the machine's clock: sleep on a TimeSource, or wait for the event",
      owners: []),
    Ban(
      pattern:
        #"\bDate\s*\(\s*\)|\bDate\.now\b|\b(Continuous|Suspending)Clock\b|\bclock_gettime\b"#,
      reason: "the machine's clock: take a TimeSource",
      owners: ["Sources/RPC/SystemTimeSource.swift", "Tests/BenchPeers/"]),
    Ban(
      pattern:
        #"\bSystemRandomNumberGenerator\b|\.random\s*\(\s*in:|\.random\s*\(\s*\)|\.randomElement\s*\(\s*\)"#
        + #"|\.shuffled?\s*\(\s*\)|\barc4random|\bgetrandom\b"#,
      reason: "the machine's randomness: take a RandomSource",
      owners: ["Sources/RPC/SystemRandomSource.swift"]),
    Ban(
      pattern:
        #"\brow\s*\[\s*[0-9]|\)\?\s*\[\s*[0-9]|"#
        + #"\b(U?Int(64)?|String|Data|Double|Bool)\??\.fetch(One|All|Set|Cursor)\b"#,
      reason: "decoding a column that may be damaged: ask a Row for integer, text or bytes",
      owners: []),
    Ban(
      pattern: #"\btry!"#, reason: "try!: throw, or say why it cannot fail with a precondition",
      owners: []),
    Ban(
      pattern: #"\bfatalError\b"#,
      reason:
        "fatalError: a fault of the world is a thrown error, a programmer's mistake a precondition",
      owners: []),
    Ban(
      pattern: #"\bNS(Recursive)?Lock\b|\bNIOLock\b|\bNIOLockedValueBox\b|\bpthread_mutex"#,
      reason: "other locks than Mutex of Synchronization", owners: []),
  ]

  func isOwned(by path: String) -> Bool {
    owners.contains { path.hasPrefix($0) }
  }
}

@Suite("Bans")
struct BanTests {
  @Test("only the owner may", arguments: Ban.all)
  func bans(ban: Ban) throws {
    for file in SourceTree.here.written(".swift") where !ban.isOwned(by: file.path) {
      for line in try file.lines(matching: ban.pattern) {
        check(false, "\(file.path):\(line): \(ban.reason)")
      }
    }
  }

  @Test("every owner is there", arguments: Ban.all)
  func owners(ban: Ban) {
    for owner in ban.owners {
      check(SourceTree.here.has(owner), "\(owner) may break a ban but does not exist")
    }
  }

  @Test("the libraries do not print")
  func noPrinting() throws {
    let programs = ["holdfast", "protoc-gen-holdfast"]
    for file in SourceTree.here.written(".swift")
    where file.path.hasPrefix("Sources/") && !programs.contains(file.room) {
      for line in try file.lines(matching: #"(?<![.\w]|func )(print|debugPrint|dump)\("#) {
        check(false, "\(file.path):\(line): only programs print")
      }
    }
  }

  @Test("nothing is left to do in a comment")
  func noReminders() throws {
    let words = "TO" + "DO|FIX" + "ME|X" + "XX:"
    for file in SourceTree.here.written(".swift", ".c", ".h", ".proto", ".md", ".sh", "Makefile")
    where !file.path.hasPrefix("Protos/google/") {
      for line in try file.lines(matching: words, inCode: false) {
        check(false, "\(file.path):\(line): do it, or open an issue")
      }
    }
  }

  @Test("no file knows the machine it was written on")
  func noMachinePaths() throws {
    let places = "/(wo" + "rk|ro" + "ot|ho" + "me|Us" + "ers)/"
    for file in SourceTree.here.files {
      for line in try file.lines(matching: places, inCode: false) {
        check(false, "\(file.path):\(line): a path of somebody's machine")
      }
    }
  }

  @Test("what the compiler cannot check is argued for in a comment")
  func uncheckedIsExplained() throws {
    let promise = #"@unchecked Sendable|nonisolated\(unsafe\)"#
    for file in SourceTree.here.written(".swift") {
      for line in try file.lines(matching: promise) {
        // Attributes and the first lines of a declaration may stand between it and its comment.
        let before = file.lines[max(0, line - 4)..<line]
        check(
          before.contains { $0.contains("//") },
          "\(file.path):\(line): say above it why this is safe")
      }
    }
  }
}
