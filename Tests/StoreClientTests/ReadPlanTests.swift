import StoreModel
import Testing

@testable import StoreClient

@Suite struct ReadPlanTests {
  private let manifest = Manifest(
    size: 25, checksum: 0, storageClass: .replica3,
    chunks: [10, 10, 5].enumerated().map { index, length in
      Manifest.Chunk(
        id: ChunkID(group: 1, upload: 1, index: UInt32(index)), length: length, checksum: 0)
    })

  @Test("the whole file is all its chunks")
  func whole() throws {
    let plan = try ReadPlan(manifest: manifest, range: nil)
    #expect(plan.length == 25)
    #expect(plan.parts.map(\.isWhole) == [true, true, true])
  }

  @Test("every range reads exactly its bytes, in order")
  func ranges() throws {
    for first: UInt64 in 0..<25 {
      for end in first...30 {
        let plan = try ReadPlan(manifest: manifest, range: first..<end)
        let places = plan.parts.flatMap { part in
          let start = UInt64(part.chunk.id.index) * 10 + UInt64(part.offset)
          return Array(start..<(start + UInt64(part.length)))
        }
        #expect(places == Array(first..<min(25, max(first, end))))
        #expect(plan.length == UInt64(places.count))
      }
    }
  }

  @Test("a range that begins behind the end is refused, and says how long the file is")
  func behind() {
    let error = #expect(throws: StoreError.self) {
      try ReadPlan(manifest: manifest, range: 25..<26)
    }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains("25 bytes") == true)
  }

  @Test("an empty file has no parts")
  func empty() throws {
    let empty = Manifest(size: 0, checksum: 0, storageClass: .replica3, chunks: [])
    #expect(try ReadPlan(manifest: empty, range: nil).parts.isEmpty)
  }
}
