import Foundation

/// A Directory and three nodes as processes of their own, on data that is removed with them.
final class Cluster {
  /// Where the Directory listens.
  private(set) var directory = ""
  /// Where the data lies.
  let data: URL
  private var processes: [Process] = []

  /// Starts the servers of the command at `path`, with data in a new directory below `parent`.
  ///
  /// - Throws: `BenchError` when a server doesn't come up.
  init(command path: String, below parent: URL, nodes: Int) throws {
    data = parent.appending(path: "holdfast-bench-\(ProcessInfo.processInfo.processIdentifier)")
    try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
    do {
      directory = try start(path, ["directory", "--data", data.appending(path: "directory").path])
      for number in 1...nodes {
        let folder = data.appending(path: "node-\(number)").path
        _ = try start(path, ["node", "--data", folder, "--directory", directory])
      }
    } catch {
      stop()
      throw error
    }
  }

  /// Starts a server and returns where it says that it listens.
  private func start(_ path: String, _ arguments: [String]) throws -> String {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(filePath: path)
    process.arguments = arguments + ["--listen", "127.0.0.1:0", "--log-level", "error"]
    process.standardOutput = output
    try process.run()
    processes.append(process)
    var text = ""
    while !text.contains("\n") {
      let more = output.fileHandleForReading.availableData
      guard !more.isEmpty else {
        throw BenchError("\(path) \(arguments[0]) ended before it was ready")
      }
      text += String(decoding: more, as: UTF8.self)
    }
    guard let address = text.firstMatch(of: /[0-9.]+:[0-9]+/) else {
      throw BenchError("\(path) \(arguments[0]) didn't say where it listens, but: \(text)")
    }
    return String(address.output)
  }

  /// Stops the servers, nodes first, and removes their data.
  func stop() {
    for process in processes.reversed() {
      process.terminate()
      process.waitUntilExit()
    }
    processes = []
    try? FileManager.default.removeItem(at: data)
  }

  /// The most memory that any server has used, in MB; nil where the system doesn't tell.
  var peakMegabytes: Int? {
    processes.compactMap { process in
      let status = try? String(
        contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
      return status?.firstMatch(of: /VmHWM:\s*([0-9]+) kB/).flatMap { Int($0.output.1) }
        .map { $0 / 1024 }
    }.max()
  }

  /// CPU seconds that the servers have used so far; nil where the system doesn't tell.
  var cpuSeconds: Double {
    processes.reduce(0) { sum, process in
      let fields =
        (try? String(
          contentsOfFile: "/proc/\(process.processIdentifier)/stat", encoding: .utf8))?
        .split(separator: ")").last?.split(separator: " ")
      guard let fields, fields.count > 12, let user = Double(fields[11]),
        let system = Double(fields[12])
      else { return sum }
      return sum + (user + system) / 100
    }
  }
}
