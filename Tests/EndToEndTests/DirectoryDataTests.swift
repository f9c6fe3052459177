import Foundation
import Testing

/// A Directory whose data isn't what it was says so, and which exit code tells what to do.
@Suite(.serialized) struct DirectoryDataTests {
  private static let database = "directory/directory.sqlite"

  /// Runs a Directory on the data of a cluster whose own was ended.
  private func start(_ cluster: TestCluster) throws -> RunningProcess {
    try RunningProcess(
      ["directory", "--data", cluster.scratch.path("directory"), "--listen", "127.0.0.1:0"],
      scratch: cluster.scratch)
  }

  @Test(
    "a lost database is not replaced by an empty one; a new cluster is told",
    .timeLimit(.minutes(2)))
  func lost() async throws {
    try await TestCluster.with(nodes: 0) { cluster in
      _ = await cluster.stopDirectory()
      let kept = try #require(cluster.scratch.read(Self.database))
      for bytes in [nil, Data()] as [Data?] {
        try FileManager.default.removeItem(atPath: cluster.scratch.path(Self.database))
        if let bytes { try cluster.scratch.write(Self.database, Array(bytes)) }
        let outcome = try await start(cluster).outcome()
        #expect(outcome.status == 73 && outcome.errors.contains("is lost"), "\(outcome.errors)")
        if bytes == nil { try cluster.scratch.write(Self.database, []) }
      }
      try cluster.scratch.write(Self.database, Array(kept))
      let restored = try start(cluster)
      _ = try await TestCluster.readyAddress(of: restored)
      #expect(await restored.end(with: SIGTERM) == 0)
      #expect(!restored.errorText.contains("new, empty cluster"), "\(restored.errorText)")
      try FileManager.default.removeItem(atPath: cluster.scratch.path("directory"))
      let fresh = try start(cluster)
      _ = try await TestCluster.readyAddress(of: fresh)
      #expect(await fresh.end(with: SIGTERM) == 0)
      let said = fresh.errorText.split(separator: "\n").first { $0.contains("new, empty cluster") }
      #expect(said?.contains("notice") == true, "\(fresh.errorText)")
      #expect(said?.firstMatch(of: /cluster=[0-9a-f]{32}/) != nil, "\(fresh.errorText)")
    }
  }

  @Test("a damaged database ends the Directory with 65", .timeLimit(.minutes(2)))
  func damaged() async throws {
    try await TestCluster.with(nodes: 0) { cluster in
      _ = await cluster.stopDirectory()
      let kept = Array(try #require(cluster.scratch.read(Self.database)))
      // The file's first bytes, and every page but the one with the schema.
      for range in [0..<16, 4_096..<kept.count] {
        var bytes = kept
        for place in range { bytes[place] = 0x5A }
        try cluster.scratch.write(Self.database, bytes)
        let outcome = try await start(cluster).outcome()
        #expect(outcome.status == 65 && outcome.errors.contains("restore"), "\(outcome.errors)")
      }
    }
  }
}
