internal import Foundation
internal import Schema

/// Answers the conformance runner over standard input and output: each request and each answer is a
/// message behind its length, four bytes, little-endian. Messages go the same way as the services' own:
/// through the C structs and the generated adapters.
@main
struct Testee {
  private typealias Tested = ProtobufTestMessages_Proto3_TestAllTypesProto3
  private typealias Request = Conformance_ConformanceRequest
  private typealias Response = Conformance_ConformanceResponse

  static func main() throws {
    let input = FileHandle.standardInput
    while let head = try input.read(upToCount: 4), head.count == 4 {
      let count = head.enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
      let bytes = [UInt8](try input.read(upToCount: count) ?? Data())
      let answer = try answer(to: bytes)
      let length = (0..<4).map { UInt8(truncatingIfNeeded: answer.count >> (8 * $0)) }
      try FileHandle.standardOutput.write(contentsOf: Data(length + answer))
    }
  }

  private static func answer(to bytes: [UInt8]) throws -> [UInt8] {
    let request = try Request(encodedBytes: bytes)
    guard request.messageType != "conformance.FailureSet" else {
      return try Response(result: .protobufPayload([])).encodedBytes()
    }
    return try Response(result: result(of: request)).encodedBytes()
  }

  private static func result(of request: Request) -> Response.OneOf_Result {
    guard request.messageType == Tested.fullName else { return .skipped("proto3 only") }
    let options = JSONOptions(
      ignoresUnknown: request.testCategory == .jsonIgnoreUnknownParsingTest, types: [Tested.self])
    let message: Tested
    do {
      switch request.payload {
      case .protobufPayload(let bytes)?: message = try Tested(encodedBytes: bytes)
      case .jsonPayload(let text)?: message = try Tested(json: text, options: options)
      case .jspbPayload?: return .skipped("JSPB is Google's own")
      case .textPayload?: return .skipped("the text format is not read or written here")
      case nil: return .runtimeError("no payload")
      }
    } catch {
      return .parseError("\(error)")
    }
    do {
      switch request.requestedOutputFormat {
      case .protobuf: return .protobufPayload(try message.encodedBytes())
      case .json: return .jsonPayload(try message.jsonString(options))
      default: return .skipped("only protobuf and JSON are written here")
      }
    } catch {
      return .serializeError("\(error)")
    }
  }
}
