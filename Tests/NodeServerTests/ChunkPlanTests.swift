import NIOCore
import Schema
import StoreModel
import StoreProtocol
import Testing

@testable import NodeServer

@Suite("What a put may send")
struct ChunkPlanTests {
  private let node = NodeID(9)

  private func first(length: UInt32 = 100, bytes: Int = 0) -> PutChunkRequest {
    PutChunkRequest(
      header: ChunkHeader(
        id: WireChunkId(group: 1, upload: 2, index: 3), epoch: 4, length: length,
        name: WireName(bucket: "default", key: "k")),
      data: Body(ByteBuffer(repeating: 1, count: bytes)))
  }

  private func refusal(_ change: (inout PutChunkRequest) -> Void) -> StoreError.Code? {
    var message = first()
    change(&message)
    do throws(StoreError) {
      _ = try ChunkPlan(message, node: node)
      return nil
    } catch {
      return error.code
    }
  }

  @Test("a first message needs a header, an id, a name, a length, and sensible replicas")
  func firstMessage() {
    let other = WireGroupMember(node: 1, address: "a")
    #expect(refusal { _ in } == nil)
    #expect(refusal { $0.forward = [other] } == nil)
    let bad: [(inout PutChunkRequest) -> Void] = [
      { $0.header = nil },
      { $0.header?.id = nil },
      { $0.header?.id?.upload = 0 },
      { $0.header?.name = nil },
      { $0.header?.name?.key = "" },
      { $0.header?.length = 0 },
      { $0.header?.length = (64 << 20) + 1 },
      { $0.forward = [other, other] },
      { $0.forward = [WireGroupMember(node: 9, address: "a")] },
      { $0.forward = [WireGroupMember(node: 0, address: "a")] },
      { $0.forward = [WireGroupMember(node: 1, address: "")] },
      { $0.forward = (1...9).map { WireGroupMember(node: $0 + 20, address: "a") } },
    ]
    for change in bad { #expect(refusal(change) == .invalidArgument) }
  }

  @Test("pieces have bytes, not too many, and never more than was announced")
  func pieces() throws {
    var plan = try ChunkPlan(first(bytes: 40), node: node)
    _ = try plan.take(first(bytes: 40), isFirst: true)
    #expect(!plan.isComplete)
    let data = { Body(ByteBuffer(repeating: 1, count: $0)) }
    for bad in [
      PutChunkRequest(), PutChunkRequest(data: data(61)), first(bytes: 10),
      PutChunkRequest(forward: [WireGroupMember(node: 1, address: "a")], data: data(1)),
    ] {
      #expect(throws: StoreError.self) { try plan.take(bad, isFirst: false) }
    }
    let last = try plan.take(PutChunkRequest(checksum: 7, data: data(60)), isFirst: false)
    #expect(last.checksum == 7)
    #expect(plan.isComplete)
    var large = try ChunkPlan(first(length: 8 << 20), node: node)
    #expect(throws: StoreError.self) {
      try large.take(PutChunkRequest(data: data((1 << 20) + 1)), isFirst: false)
    }
  }
}
