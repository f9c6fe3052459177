import CYardsticks
import Foundation
import Logging
import NIOCore
import RPC
import RPCNIO
import StoreClient
import StoreModel
import Synchronization

/// Files through a Directory and three nodes, each a process of its own, as a user stores and reads them:
/// one replica, fsync on, sources and sinks in this process's memory.
///
/// Puts stand beside a C loop that writes the same amounts to the same disk and syncs each time, gets
/// beside a C copy loop over one loopback connection. Gets are warm: nodes write past the page cache, so
/// each large file is read once before a get of it is measured.
struct FileBench {
  private static let nodes = 3
  private static let smallFiles = 5_000
  private static let largeFiles = 50
  private static let mebi = 1 << 20
  private static let repetitions = 3
  /// How long servers may take until the Directory offers the nodes.
  private static let startSeconds = 30.0

  private let cluster: Cluster
  private let clients: [StoreClient]

  /// `file.*`, with the servers of the command at `command` and their data below `parent`.
  static func run(_ report: inout Report, command: String, below parent: URL) async throws {
    guard report.wantsAny(of: "file.") else { return }
    let cluster = try Cluster(command: command, below: parent, nodes: nodes)
    defer { cluster.stop() }
    report.say(
      "file.*: a Directory and \(nodes) nodes in processes of their own, replica-1, fsync on, data "
        + "below \(parent.path); CPU is this process's and all servers'")
    let transport = NIOTransport()
    let clients = (0..<8).map { _ in
      StoreClient(
        directory: Address(cluster.directory), transport: transport,
        logger: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() })
    }
    report = try await withThrowingTaskGroup(of: Void.self) { [report] group in
      for client in clients {
        group.addTask { await client.run() }
      }
      var report = report
      let bench = FileBench(cluster: cluster, clients: clients)
      try await bench.untilReady()
      try await bench.small(&report)
      try await bench.large(&report)
      try await bench.huge(&report)
      for client in clients { client.shutdown() }
      try await group.waitForAll()
      return report
    }
    report.say("the largest server used \(cluster.peakMegabytes ?? 0) MB of memory at most")
  }

  private func untilReady() async throws {
    let deadline = time.now.advanced(by: .seconds(Self.startSeconds))
    while try await clients[0].nodes().count(where: { $0.state == .up }) < Self.nodes {
      guard time.now < deadline else { throw BenchError("the nodes didn't come up") }
      try await time.sleep(until: time.now.advanced(by: .milliseconds(50)))
    }
  }

  // MARK: 5,000 files of 4 KiB

  private func small(_ report: inout Report) async throws {
    guard report.wantsAny(of: "file.4KiB.") else { return }
    let content = ByteBuffer(repeating: 0x5a, count: 4096)
    let appends = try await medianOf(Self.repetitions) {
      try yardstick("c.append.4KiB", yardstick_appends(cluster.data.path, 500))
    }
    let copied = try await copyRate() / 4096
    for width in [1, 8] {
      // The gets need the files, so they are put in any case.
      let put = try await each(width) { client, name in
        _ = try await client.upload(content, to: name, storageClass: .replica1)
      }
      if report.wants("file.4KiB.put.\(width)") {
        report.add(
          Figure(
            name: "file.4KiB.put.\(width)", value: put.rate, unit: "files/s",
            against: "c.append.4KiB", yardstick: appends, notes: put.notes))
      }
      guard report.wants("file.4KiB.get.\(width)") else { continue }
      let get = try await each(width) { client, name in
        guard try await client.contents(of: name, upTo: 4096) == content else {
          throw BenchError("\(name) came back wrong")
        }
      }
      report.add(
        Figure(
          name: "file.4KiB.get.\(width)", value: get.rate, unit: "files/s",
          against: "c.copy.1MiB", yardstick: copied, notes: get.notes))
    }
  }

  /// Does something with each small file, `width` clients at once.
  private func each(
    _ width: Int, _ deed: @escaping @Sendable (StoreClient, Name) async throws -> Void
  ) async throws -> (rate: Double, notes: String) {
    let clients = clients
    let latencies = Mutex(Latencies())
    let cpuBefore = cpuSeconds
    let elapsed = try await seconds {
      try await withThrowingTaskGroup(of: Latencies.self) { group in
        for lane in 0..<width {
          group.addTask {
            var latencies = Latencies()
            for number in stride(from: lane, to: Self.smallFiles, by: width) {
              let name = try Name(bucket: Name.defaultBucket, key: "small-\(width)/\(number)")
              let start = time.now
              try await deed(clients[lane], name)
              latencies.add(from: start, to: time.now)
            }
            return latencies
          }
        }
        for try await batch in group { latencies.withLock { $0.merge(batch) } }
      }
    }
    let cpu = (cpuSeconds - cpuBefore) / Double(Self.smallFiles) * 1e6
    return (
      Double(Self.smallFiles) / elapsed,
      "\(latencies.withLock { $0.summary }), CPU \(threeDigits(cpu)) us a file"
    )
  }

  // MARK: 50 files of 8 MiB

  private func large(_ report: inout Report) async throws {
    guard report.wantsAny(of: "file.8MiB.") else { return }
    let content = ByteBuffer(repeating: 0x5a, count: 8 * Self.mebi)
    let bytes = Double(Self.largeFiles * 8 * Self.mebi)
    let names = try (0..<Self.largeFiles).map {
      try Name(bucket: Name.defaultBucket, key: "large/\($0)")
    }
    let chunks = try await chunkRate()
    let put = try await rate(of: bytes) {
      for name in names {
        _ = try await clients[0].upload(content, to: name, storageClass: .replica1)
      }
    }
    add("file.8MiB.put", put, against: "c.chunk.8MiB", chunks, &report)
    guard report.wants("file.8MiB.get") else { return }
    for name in names { try await drain(name, 8 * Self.mebi) }
    let copied = try await copyRate()
    let get = try await rate(of: bytes) {
      for name in names { try await drain(name, 8 * Self.mebi) }
    }
    add("file.8MiB.get", get, against: "c.copy.1MiB", copied, &report)
  }

  // MARK: One file of 1 GiB

  private func huge(_ report: inout Report) async throws {
    guard report.wantsAny(of: "file.1GiB.") else { return }
    let count = 1024 * Self.mebi
    let source = RepeatedBytes(
      piece: ByteBuffer(repeating: 0x5a, count: Self.mebi), times: count / Self.mebi)
    let name = try Name(bucket: Name.defaultBucket, key: "huge")
    var puts: [Transfer] = []
    var gets: [Transfer] = []
    var chunks: [Double] = []
    var copies: [Double] = []
    for _ in 0..<Self.repetitions {
      chunks.append(try await chunkRate())
      puts.append(
        try await rate(of: Double(count)) {
          _ = try await clients[0].upload(source, to: name, storageClass: .replica1)
        })
      try await drain(name, count)
      copies.append(try await copyRate())
      gets.append(try await rate(of: Double(count)) { try await drain(name, count) })
    }
    add("file.1GiB.put", middle(puts), against: "c.chunk.8MiB", median(chunks), &report)
    add("file.1GiB.get", middle(gets), against: "c.copy.1MiB", median(copies), &report)
  }

  /// Reads a file and drops its bytes.
  private func drain(_ name: Name, _ expected: Int) async throws {
    let received = Mutex(0)
    try await clients[0].download(name) { buffer in
      received.withLock { $0 += buffer.readableBytes }
    }
    guard received.withLock({ $0 }) == expected else {
      throw BenchError("\(name) came back short")
    }
  }

  // MARK: Measuring

  /// Bytes a second, with the CPU that they took.
  private struct Transfer {
    var bytesPerSecond: Double
    var cpuSecondsPerGigabyte: Double
  }

  private func rate(of bytes: Double, _ body: () async throws -> Void) async throws -> Transfer {
    let cpuBefore = cpuSeconds
    let elapsed = try await seconds(body)
    return Transfer(
      bytesPerSecond: bytes / elapsed,
      cpuSecondsPerGigabyte: (cpuSeconds - cpuBefore) / bytes * 1e9)
  }

  private func middle(_ transfers: [Transfer]) -> Transfer {
    Transfer(
      bytesPerSecond: median(transfers.map(\.bytesPerSecond)),
      cpuSecondsPerGigabyte: median(transfers.map(\.cpuSecondsPerGigabyte)))
  }

  private func add(
    _ name: String, _ transfer: Transfer, against: String, _ yardstick: Double,
    _ report: inout Report
  ) {
    guard report.wants(name) else { return }
    report.add(
      Figure(
        name: name, value: transfer.bytesPerSecond / 1e6, unit: "MB/s", against: against,
        yardstick: yardstick / 1e6,
        notes: "CPU \(threeDigits(transfer.cpuSecondsPerGigabyte)) s a GB"))
  }

  private var cpuSeconds: Double { yardstick_cpu_seconds() + cluster.cpuSeconds }

  private func copyRate() async throws -> Double {
    try await medianOf(Self.repetitions) {
      try yardstick("c.copy.1MiB", yardstick_copy(Self.mebi, 0.5))
    }
  }

  private func chunkRate() async throws -> Double {
    try yardstick("c.chunk.8MiB", yardstick_chunks(cluster.data.path, 64))
  }
}

/// The same bytes again and again: a file that is never on any disk.
private struct RepeatedBytes: AsyncSequence, Sendable {
  /// What is yielded.
  let piece: ByteBuffer
  /// How often.
  let times: Int

  struct AsyncIterator: AsyncIteratorProtocol {
    let piece: ByteBuffer
    var left: Int

    mutating func next() async -> ByteBuffer? {
      guard left > 0 else { return nil }
      left -= 1
      return piece
    }
  }

  func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(piece: piece, left: times)
  }
}
