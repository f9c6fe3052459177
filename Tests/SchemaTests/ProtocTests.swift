import Foundation
import Schema
import Testing
import TestSchemas

/// `protoc` itself as the judge: it shares no code with libprotobuf-c or with us.
@Suite("Against protoc")
struct ProtocTests {
  static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// Runs `protoc --encode` or `--decode` on the input, which is small enough for a pipe.
  func protoc(_ verb: String, _ message: String, _ input: Data) async throws -> Data {
    let process = Process()
    let environment = ProcessInfo.processInfo.environment
    process.executableURL = URL(fileURLWithPath: environment["PROTOC_PATH"] ?? "/usr/bin/protoc")
    process.arguments = [
      "-I", Self.root.appending(path: "Tests/TestSchemas").path,
      "-I", Self.root.appending(path: "Protos").path,
      "--\(verb)=holdfast.testing.v1.\(message)", "everything.proto", "features.proto",
    ]
    let standardInput = Pipe()
    let standardOutput = Pipe()
    process.standardInput = standardInput
    process.standardOutput = standardOutput
    try process.run()
    try standardInput.fileHandleForWriting.write(contentsOf: input)
    try standardInput.fileHandleForWriting.close()
    let output = try standardOutput.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return output
  }

  @Test("what we encode, protoc decodes, encodes again, and we decode as it was")
  func roundTrip() async throws {
    let messages =
      [Samples.everything, Everything(), Everything(floatValue: -0.0, doubleValue: -0.0)]
      + Samples.choices.map { Everything(choice: $0) }
    for message in messages {
      let text = try await protoc("decode", "Everything", Data(message.encodedBytes()))
      let bytes = try await protoc("encode", "Everything", text)
      #expect(try Everything(encodedBytes: [UInt8](bytes)) == message)
    }
    let tree = Tree(label: "t", left: Tree(), children: [Tree(), Tree(label: "x")])
    let text = try await protoc("decode", "Tree", Data(tree.encodedBytes()))
    let bytes = try await protoc("encode", "Tree", text)
    #expect(try Tree(encodedBytes: [UInt8](bytes)) == tree)
  }

  @Test("protoc tells a default that is there from nothing as we do")
  func presence() async throws {
    for message in PresenceTests.present {
      let text = try await protoc("decode", "Presence", Data(message.encodedBytes()))
      let bytes = try await protoc("encode", "Presence", text)
      #expect(try Presence(encodedBytes: [UInt8](bytes)) == message)
    }
  }

  @Test("what protoc encodes from text has the values that the text says")
  func fromText() async throws {
    let text = """
      int32_value: -2147483648 sint64_value: -5 float_value: -0 string_value: "\\303\\274"
      bytes_value: "\\000\\377" color: COLOR_RED inner { number: 4 } numbers: [1, 2]
      counts { key: "k" value: 3 } by_flag { key: true value: COLOR_GREEN } shade: COLOR_RED
      data: "body"
      """
    let bytes = try await protoc("encode", "Everything", Data(text.utf8))
    let message = try Everything(encodedBytes: [UInt8](bytes))
    #expect(message.floatValue.sign == .minus)
    #expect(
      message
        == Everything(
          int32Value: .min, sint64Value: -5, floatValue: -0.0, stringValue: "ü",
          bytesValue: [0, 0xff], color: .red, inner: Inner(number: 4), numbers: [1, 2],
          counts: ["k": 3], byFlag: [true: .green], choice: .shade(.red), data: Body("body".utf8)))
  }

  @Test("protoc reads of our bytes what we wrote")
  func toText() async throws {
    let message = Everything(
      int64Value: -7, stringValue: "x", inner: Inner(text: "y"), flags: [true, false],
      counts: ["a": 1], data: Body([0x62]))
    let text = try await protoc("decode", "Everything", Data(message.encodedBytes()))
    #expect(
      String(decoding: text, as: UTF8.self) == """
        int64_value: -7
        string_value: "x"
        data: "b"
        inner {
          text: "y"
        }
        flags: true
        flags: false
        counts {
          key: "a"
          value: 1
        }

        """)
  }
}
