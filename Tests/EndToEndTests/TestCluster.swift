import Foundation
import Testing

/// A Directory and nodes in processes of their own.
final class TestCluster: @unchecked Sendable {
  /// Where its data is, and room for the test's own files.
  let scratch: Scratch
  /// Where the Directory listens.
  private(set) var address = ""
  private var directory: RunningProcess?
  /// The nodes' processes by their number, from 1.
  private(set) var nodes: [Int: RunningProcess] = [:]
  /// Where the nodes listen.
  private(set) var nodeAddresses: [Int: String] = [:]

  /// What all its processes have in their environment.
  private let environment: [String: String]

  private init(_ environment: [String: String]) throws {
    self.environment = environment
    scratch = try Scratch()
  }

  /// Runs `body` with a cluster whose nodes are up; ends every process afterwards.
  static func with(
    nodes: Int = 3, environment: [String: String] = [:],
    _ body: (TestCluster) async throws -> Void
  ) async throws {
    let cluster = try TestCluster(environment)
    do {
      try await cluster.startDirectory()
      for number in 0..<nodes { try await cluster.startNode(number + 1) }
      try await cluster.waitForNodes(up: nodes)
      try await body(cluster)
    } catch {
      await cluster.end()
      throw error
    }
    await cluster.end()
  }

  /// Starts the Directory, where it listened before if it did.
  func startDirectory() async throws {
    let process = try RunningProcess(
      [
        "directory", "--data", scratch.path("directory"), "--listen",
        address.isEmpty ? "127.0.0.1:0" : address,
      ], environment: environment, scratch: scratch)
    directory = process
    address = try await Self.readyAddress(of: process)
  }

  /// Starts a node.
  func startNode(_ number: Int) async throws {
    let process = try RunningProcess(
      [
        "node", "--data", scratch.path("node-\(number)"), "--directory", address, "--zone",
        "rack-\(number)",
      ], environment: environment, scratch: scratch)
    nodes[number] = process
    nodeAddresses[number] = try await Self.readyAddress(of: process)
  }

  /// Starts a node on a disk of its own with room for so many MiB, which goes when the process ends.
  func startNode(_ number: Int, diskMebibytes: Int) async throws {
    let process = try RunningProcess(
      onDiskOf: diskMebibytes, at: scratch.path("disk-\(number)"),
      ["node", "--data", scratch.path("disk-\(number)/node"), "--directory", address],
      scratch: scratch)
    nodes[number] = process
    nodeAddresses[number] = try await Self.readyAddress(of: process)
  }

  /// Ends the Directory and starts an empty one on a small disk of its own.
  func replaceDirectory(diskMebibytes: Int) async throws {
    await killDirectory()
    let process = try RunningProcess(
      onDiskOf: diskMebibytes, at: scratch.path("disk-0"),
      ["directory", "--data", scratch.path("disk-0/directory"), "--listen", address],
      scratch: scratch)
    directory = process
    address = try await Self.readyAddress(of: process)
  }

  /// Ends the Directory as a crash does.
  func killDirectory() async {
    await directory?.end(with: SIGKILL)
  }

  /// Ends the Directory as an administrator does; returns its exit code.
  func stopDirectory() async -> Int32? {
    await directory?.end(with: SIGTERM)
  }

  /// Ends a node as a crash does.
  func killNode(_ number: Int) async {
    await nodes[number]?.end(with: SIGKILL)
    nodes[number] = nil
  }

  /// Asks the Directory until it counts so many nodes that are up.
  func waitForNodes(up count: Int) async throws {
    for _ in 0..<600 {
      let outcome = try await run("status", "--json")
      if outcome.status == 0, try outcome.objects.first?["nodes_up"] as? Int == count { return }
    }
    Issue.record("there never were \(count) nodes up")
  }

  /// Runs `holdfast` with these arguments against this cluster.
  @discardableResult
  func run(_ arguments: String..., input: String? = nil) async throws -> RunningProcess.Outcome {
    try await start(arguments, input: input).outcome()
  }

  /// Starts `holdfast` with these arguments against this cluster.
  func start(_ arguments: [String], input: String? = nil) throws -> RunningProcess {
    try RunningProcess(
      arguments, environment: environment.merging(["HOLDFAST_DIRECTORY": address]) { $1 },
      input: input, scratch: scratch)
  }

  /// The address in the line that a server prints when it is ready.
  static func readyAddress(of process: RunningProcess) async throws -> String {
    let line = await process.line()
    guard line.contains("listening on"), let address = line.split(separator: " ").last else {
      let status = await process.end(with: SIGKILL)
      throw NotReady(line: line, status: status, errors: process.errorText)
    }
    return String(address)
  }

  /// A server did not get ready.
  struct NotReady: Error {
    var line: String
    var status: Int32
    var errors: String
  }

  private func end() async {
    for number in nodes.keys.sorted() { await killNode(number) }
    await killDirectory()
    scratch.remove()
  }
}
