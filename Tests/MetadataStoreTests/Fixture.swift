import Foundation
import MetadataStore
import StoreModel
import Testing

/// A directory that is gone when the test is over.
final class TemporaryDirectory: Sendable {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }

  /// Copies the files as they are on disk at this moment: what a crash of the process would leave.
  func copyAsAfterCrash() throws -> TemporaryDirectory {
    let copy = try TemporaryDirectory()
    for file in try FileManager.default.contentsOfDirectory(atPath: path)
    where !file.hasSuffix("-shm") {
      try FileManager.default.copyItem(atPath: path + "/" + file, toPath: copy.path + "/" + file)
    }
    return copy
  }

  var databaseFile: String { path + "/" + SQLiteMetadataStore.fileName }
}

/// Opens a store with one writer and two readers.
func open(
  _ directory: TemporaryDirectory, maxBytes: UInt64? = nil, clusterBits: (UInt64, UInt64) = (1, 2)
) throws -> SQLiteMetadataStore {
  try SQLiteMetadataStore(
    .directory(directory.path),
    executors: (0..<3).map { DatabaseExecutor(label: "test.\($0)") }, maxBytes: maxBytes,
    clusterBits: clusterBits)
}

/// A store in memory.
func openInMemory() throws -> SQLiteMetadataStore {
  try SQLiteMetadataStore(
    .memory, executors: [DatabaseExecutor(label: "test")], clusterBits: (1, 2))
}

extension SQLiteMetadataStore {
  /// Group 1 with nodes 1 to 3, if there is none.
  func makeGroup() async throws {
    _ = try await createGroups(.replica3) { known in
      known.isEmpty ? [[NodeID(1), NodeID(2), NodeID(3)]] : []
    }
  }

  /// Uploads a file of so many chunks of 100 bytes.
  @discardableResult
  func put(
    _ key: String, bucket: String = "b", chunks: Int = 1, condition: Condition = .none,
    now: Int64 = 0
  ) async throws -> Entry {
    let upload = try await leaseUploads(1, now: now).lowerBound
    return try await commitUpload(
      UploadCommit(
        upload: upload, name: Name(bucket: bucket, key: key),
        manifest: manifest(upload, chunks: chunks), condition: condition), now: now)
  }

  func key(_ key: String, bucket: String = "b") throws -> Name {
    try Name(bucket: bucket, key: key)
  }
}

/// A manifest of so many chunks of 100 bytes in group 1.
func manifest(_ upload: UploadID, chunks: Int = 1, checksum: UInt32 = 5) -> Manifest {
  Manifest(
    size: UInt64(chunks) * 100, checksum: chunks == 0 ? 0 : checksum, storageClass: .replica3,
    chunks: (0..<chunks).map { index in
      Manifest.Chunk(
        id: ChunkID(group: 1, upload: upload, index: UInt32(index)), length: 100,
        checksum: checksum)
    })
}

/// Runs `body` and returns the code of the error it throws.
func code<Value>(_ body: () async throws -> Value) async -> StoreError.Code? {
  do {
    _ = try await body()
    return nil
  } catch {
    return (error as? StoreError)?.code
  }
}

/// Pseudo-random bits for tests: the same for the same seed.
struct SeededBits {
  private var state: UInt64

  init(_ seed: UInt64) {
    state = seed
  }

  mutating func next(below bound: Int) -> Int {
    state &+= 0x9E37_79B9_7F4A_7C15
    var bits = state
    bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
    return Int((bits ^ (bits >> 31)).multipliedFullWidth(by: UInt64(bound)).high)
  }
}
