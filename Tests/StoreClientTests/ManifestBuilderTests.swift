import Checksum
import StoreModel
import Testing

@testable import StoreClient

@Suite struct ManifestBuilderTests {
  @Test("chunks that are stored in any order make the manifest of the whole")
  func anyOrder() {
    let content = (0..<25).map { UInt8($0) }
    let chunks = [0..<10, 10..<20, 20..<25].enumerated().map { index, range in
      Manifest.Chunk(
        id: ChunkID(group: 3, upload: 9, index: UInt32(index)), length: UInt32(range.count),
        checksum: CRC32C.checksum(of: Array(content[range])))
    }
    var builder = ManifestBuilder()
    for place in [2, 0, 1] { builder.stored(chunks[place]) }
    let manifest = builder.manifest(storageClass: .replica2)
    #expect(manifest.size == 25)
    #expect(manifest.checksum == CRC32C.checksum(of: content))
    #expect(manifest.chunks == chunks)
    #expect(throws: Never.self) { try manifest.check(upload: 9) }
  }

  @Test("no chunks make an empty manifest")
  func empty() {
    let manifest = ManifestBuilder().manifest(storageClass: .replica3)
    #expect(manifest.size == 0 && manifest.checksum == 0 && manifest.chunks.isEmpty)
  }
}
