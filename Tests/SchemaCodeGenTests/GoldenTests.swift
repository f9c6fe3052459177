import Foundation
import Schema
import Testing

@testable import SchemaCodeGen

/// The committed requests give the committed code, byte for byte.
@Suite("Golden files")
struct GoldenTests {
  private func expectCommitted(_ fixture: String, in folder: String) throws {
    let response = try Requests.respond(to: Requests.fixture(fixture))
    #expect(response.error == nil)
    #expect(!response.file.isEmpty)
    for file in response.file {
      let name = try #require(file.name)
      let committed = try String(
        contentsOf: Requests.root.appending(path: "\(folder)/\(name)"), encoding: .utf8)
      #expect(file.content == committed, "\(folder)/\(name) is not what the generator makes")
    }
  }

  @Test("the generator generates what it reads its own input with")
  func itself() throws {
    try expectCommitted("descriptor", in: "Sources/Schema/Generated")
    try expectCommitted("plugin", in: "Sources/SchemaCodeGen/Generated")
  }

  @Test("every feature comes out as it was when it was last looked at")
  func features() throws {
    try expectCommitted("testing", in: "Tests/TestSchemas/Generated")
  }

  @Test("the same request gives the same answer")
  func deterministic() throws {
    let request = try Requests.fixture("testing")
    #expect(try Requests.respond(to: request) == Requests.respond(to: request))
  }

  @Test("a request survives its own adapters, options of others and comments included")
  func requestRoundTrip() throws {
    let url = Requests.root.appending(path: "Tests/SchemaCodeGenTests/Fixtures/testing.request")
    let bytes = [UInt8](try Data(contentsOf: url))
    let request = try Requests.Request(encodedBytes: bytes)
    #expect(try Requests.Request(encodedBytes: request.encodedBytes()) == request)
    #expect(try request.encodedBytes().count == bytes.count)
  }
}
