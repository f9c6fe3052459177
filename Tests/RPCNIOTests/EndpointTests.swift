import RPC
import RPCNIO
import Testing

@Suite("An endpoint")
struct EndpointTests {
  @Test(
    "is read from its text",
    arguments: [
      ("127.0.0.1:7400", "127.0.0.1", 7400), ("localhost:0", "localhost", 0),
      ("[::1]:65535", "::1", 65535), ("node-3.example:80", "node-3.example", 80),
    ])
  func reads(_ text: String, _ host: String, _ port: Int) throws {
    let endpoint = try Endpoint(Address(text))
    #expect(endpoint == Endpoint.tcp(host: host, port: port))
    #expect(endpoint.description == text)
  }

  @Test("is a Unix socket's path")
  func unixSocket() throws {
    let endpoint = try Endpoint(Address("unix:/run/a:b.sock"))
    #expect(endpoint == .unix(path: "/run/a:b.sock"))
    #expect(endpoint.description == "unix:/run/a:b.sock")
    #expect(endpoint.port == nil)
  }

  @Test(
    "refuses a text that is none, and says why",
    arguments: [
      ("", "no port"), ("localhost", "no port"), (":7400", "no host"), ("a:", "port"),
      ("a:http", "port"), ("a:65536", "port"), ("a:-1", "port"), ("a:99999999999999999999", "port"),
      ("::1:80", "brackets"), ("[::1:80", "bracket"), ("[]:80", "no host"), ("a b:80", "name"),
      ("unix:", "whole path"), ("unix:relative", "whole path"), ("unix:/folder/", "whole path"),
      ("unix:/" + String(repeating: "x", count: 103), "104 bytes"),
    ])
  func refuses(_ text: String, _ why: String) throws {
    let error = #expect(throws: RPCError.self) { try Endpoint(Address(text)) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains(why) == true)
    #expect(error?.message.contains("'\(text)'") == true)
  }
}
