import NIOCore
import Schema
import Testing

@testable import RPC

/// The hand-written coders of frames' meta and the generated adapters of the same schema agree.
@Suite("frames' meta")
struct FrameMetaTests {
  private func bytes(_ encode: (inout ByteBuffer) -> Void) -> ByteBuffer {
    var buffer = ByteBuffer()
    encode(&buffer)
    return buffer
  }

  private let metadata: Metadata = {
    var metadata: Metadata = ["a": "x", "empty": ""]
    metadata.entries.append(
      Metadata.Entry(key: "raw-bin", value: Array(repeating: 0xff, count: 300)))
    return metadata
  }()

  private var entries: [MetadataEntry] {
    metadata.entries.map { MetadataEntry(key: $0.key, value: $0.value) }
  }

  @Test("of a call is what the schema says")
  func opening() throws {
    let opening = CallOpening(
      method: "/a.B/C", methodID: 300, timeoutMicroseconds: 1 << 50, metadata: metadata)
    let encoded = bytes(opening.encode)
    let generated = CallMeta(
      method: "/a.B/C", methodID: 300, timeoutUs: 1 << 50, metadata: entries)
    expect(try CallMeta(decoding: encoded) == generated)
    expect(try CallOpening(decoding: ByteBuffer(bytes: generated.encodedBytes())) == opening)
    expect(bytes(CallOpening().encode).readableBytes == 0)
  }

  @Test("of an end is what the schema says")
  func ending() throws {
    let ending = CallEnding(
      code: .notFound, message: "nö", metadata: metadata, details: [1, 2, 3])
    let encoded = bytes(ending.encode)
    let generated = EndMeta(code: 5, message: "nö", metadata: entries, details: [1, 2, 3])
    expect(try EndMeta(decoding: encoded) == generated)
    expect(try CallEnding(decoding: ByteBuffer(bytes: generated.encodedBytes())) == ending)
    expect(try CallEnding(decoding: ByteBuffer(bytes: [8, 200, 1])).code == .unknown)
  }

  @Test("of a head is what the schema says")
  func head() throws {
    let encoded = bytes { metadata.encode(into: &$0, field: 1) }
    expect(try HeadMeta(decoding: encoded) == HeadMeta(metadata: entries))
    expect(try Metadata(decodingHead: encoded) == metadata)
  }

  @Test("that ends too early, or holds what may not travel, is refused")
  func refusals() throws {
    let opening = CallOpening(method: "/a.B/C", methodID: 1, metadata: ["key": "value"])
    let encoded = bytes(opening.encode)
    var whole = 0
    for length in 0..<encoded.readableBytes {
      let part = try #require(encoded.getSlice(at: 0, length: length))
      if (try? CallOpening(decoding: part)) != nil { whole += 1 }
    }
    expect(whole == 3, "only between two fields does a prefix decode")
    for bad in [Metadata.Entry(key: "Upper", value: []), Metadata.Entry(key: "a", value: [7])] {
      var metadata = Metadata()
      metadata.entries = [bad]
      expect(!metadata.isValid)
      let encoded = bytes { metadata.encode(into: &$0, field: 1) }
      #expect(throws: Undecodable.self) { try Metadata(decodingHead: encoded) }
    }
    for bad: [UInt8] in [[0x0a, 2, 0xff, 0xff], [0], [0x0b], [0x18, 0xff]] {
      #expect(throws: Undecodable.self) { try CallOpening(decoding: ByteBuffer(bytes: bad)) }
    }
  }

  @Test("fields that the schema doesn't know are passed over")
  func unknownFields() throws {
    let unknown: [UInt8] = [0x78, 1, 0x7a, 1, 9, 0x7d, 1, 2, 3, 4, 0x79, 1, 2, 3, 4, 5, 6, 7, 8]
    let bytes = ByteBuffer(bytes: unknown + [0x10, 5])
    expect(try CallOpening(decoding: bytes) == CallOpening(methodID: 5))
  }
}
