import Dispatch
import Foundation

/// A process of the built `holdfast`, or of another program, started by a test.
final class RunningProcess: @unchecked Sendable {
  /// How a process ended and what it said.
  struct Outcome {
    /// The exit code; the signal's number below zero when a signal ended it.
    var status: Int32
    /// What it wrote to standard output.
    var output: [UInt8]
    /// What it wrote to standard error.
    var errors: String

    /// The output as text.
    var text: String { String(decoding: output, as: UTF8.self) }

    /// The lines of the output, each a JSON object.
    var objects: [[String: Any]] {
      get throws {
        try text.split(separator: "\n").map { line in
          try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] ?? [:]
        }
      }
    }
  }

  /// The binary, which is built beside the tests.
  static let holdfast: String = {
    let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    let folder = tests.isEmpty ? Bundle.main.bundlePath : tests
    return URL(fileURLWithPath: folder).deletingLastPathComponent()
      .appendingPathComponent("holdfast").path
  }()

  private static let queue = DispatchQueue(label: "processes", attributes: .concurrent)

  private let process = Process()
  private let output: FileHandle
  private let errorsPath: String
  private let errors: FileHandle
  private let ended = DispatchSemaphore(value: 0)

  /// Starts `program` with what it is given as standard input: a file's path or nothing.
  init(
    program: String = RunningProcess.holdfast, _ arguments: [String],
    environment: [String: String] = [:], input: String? = nil, scratch: Scratch
  ) throws {
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let pipe = Pipe()
    output = pipe.fileHandleForReading
    process.standardOutput = pipe
    errorsPath = scratch.path("errors-\(UUID().uuidString)")
    _ = FileManager.default.createFile(atPath: errorsPath, contents: nil)
    errors = try FileHandle(forWritingTo: URL(fileURLWithPath: errorsPath))
    process.standardError = errors
    process.standardInput =
      if let input {
        try FileHandle(forReadingFrom: URL(fileURLWithPath: input))
      } else {
        FileHandle.nullDevice
      }
    process.currentDirectoryURL = URL(fileURLWithPath: scratch.root)
    process.terminationHandler = { [ended] _ in ended.signal() }
    try process.run()
    try pipe.fileHandleForWriting.close()
  }

  /// Whether a process may be given a disk of its own.
  static let canMountDisks: Bool = {
    let probe = Process()
    probe.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    probe.arguments = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    probe.standardError = FileHandle.nullDevice
    guard (try? probe.run()) != nil else { return false }
    probe.waitUntilExit()
    return probe.terminationStatus == 0
  }()

  /// Starts `holdfast` with a disk of so many MiB at `folder` that it alone sees.
  convenience init(
    onDiskOf mebibytes: Int, at folder: String, _ arguments: [String], scratch: Scratch
  ) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let script = "mount -t tmpfs -o size=\(mebibytes)m tmpfs '\(folder)' && exec \"$@\""
    try self.init(
      program: "/usr/bin/env",
      ["unshare", "-rm", "sh", "-c", script, "sh", RunningProcess.holdfast] + arguments,
      scratch: scratch)
  }

  /// The files that it has open, as the system names them.
  var openFiles: [String] {
    let folder = "/proc/\(pid)/fd"
    let numbers = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return numbers.compactMap {
      try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)")
    }
  }

  /// Whether it hasn't ended yet.
  var isRunning: Bool { process.isRunning }

  /// Sends it a signal and doesn't wait.
  func send(_ signal: Int32) {
    kill(pid, signal)
  }

  /// Its number.
  var pid: Int32 { process.processIdentifier }

  /// The next line of its output; empty when it ended without one.
  func line() async -> String {
    await onQueue { [output] in
      var line: [UInt8] = []
      while let byte = output.readData(ofLength: 1).first, byte != UInt8(ascii: "\n") {
        line.append(byte)
      }
      return String(decoding: line, as: UTF8.self)
    }
  }

  /// Reads all its output and waits until it has ended.
  func outcome() async -> Outcome {
    let bytes = await onQueue { [output, ended] in
      let bytes = Array(output.readDataToEndOfFile())
      ended.wait()
      ended.signal()
      return bytes
    }
    let status =
      process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
    return Outcome(status: status, output: bytes, errors: errorText)
  }

  /// What it wrote to standard error so far.
  var errorText: String {
    (try? String(contentsOfFile: errorsPath, encoding: .utf8)) ?? ""
  }

  /// Sends it a signal; waits until it has ended.
  @discardableResult
  func end(with signal: Int32) async -> Int32 {
    if process.isRunning { kill(pid, signal) }
    return await outcome().status
  }

  private func onQueue<Result: Sendable>(_ work: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
      Self.queue.async { continuation.resume(returning: work()) }
    }
  }
}

/// A directory for one test, removed with it.
final class Scratch: Sendable {
  /// Its path.
  let root: String

  /// Makes it.
  init() throws {
    root =
      FileManager.default.temporaryDirectory
      .appendingPathComponent("holdfast-test-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
  }

  /// A path in it.
  func path(_ name: String) -> String { root + "/" + name }

  /// Writes a file with these bytes.
  @discardableResult
  func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    let url = URL(fileURLWithPath: path(name))
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: url)
    return url.path
  }

  /// The bytes of a file; nil when there is none.
  func read(_ name: String) -> Data? {
    FileManager.default.contents(atPath: path(name))
  }

  /// Removes it.
  func remove() {
    try? FileManager.default.removeItem(atPath: root)
  }
}

/// So many bytes that look random and are the same for the same seed.
func noise(_ count: Int, seed: UInt64) -> [UInt8] {
  var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
  var words: [UInt64] = []
  words.reserveCapacity(count / 8 + 1)
  while words.count * 8 < count {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    words.append(state)
  }
  return words.withUnsafeBytes { Array($0.prefix(count)) }
}
