import Foundation
import RPC
import RPCTestSuite
import Testing

@testable import RPCNIO

/// A path for a socket that no other test has, short enough for one.
func socketPath() -> String {
  "/tmp/holdfast-\(UUID().uuidString.prefix(13)).sock"
}

@Suite("calls over a Unix socket")
struct UnixSocketBehaviourTests {
  @Test("behave as they must", .timeLimit(.minutes(1)), arguments: Behaviour.all)
  func behave(_ behaviour: Behaviour) async throws {
    let path = socketPath()
    try await behaviour.run(NIOTransport(), Address("unix:\(path)"))
    #expect(!FileManager.default.fileExists(atPath: path))
  }
}

@Suite("A Unix socket's file")
struct UnixSocketTests {
  private let path = socketPath()
  private var address: Address { Address("unix:\(path)") }

  /// Leaves a socket's file as a server does that dies.
  private func leaveBehind() async throws {
    let other = socketPath()
    let listener = try await NIOTransport().listen(on: Address("unix:\(other)"))
    try FileManager.default.moveItem(atPath: other, toPath: path)
    listener.close()
    #expect(try await listener.accept() == nil)
  }

  @Test("lets its owner in and nobody else")
  func permissions() async throws {
    let listener = try await NIOTransport().listen(on: address)
    defer { listener.close() }
    #expect(listener.address == address)
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    #expect(attributes[.posixPermissions] as? Int == 0o600)
  }

  @Test("goes when its listener closes, and not when it is another's by then")
  func removal() async throws {
    let first = try await NIOTransport().listen(on: address)
    first.close()
    #expect(!FileManager.default.fileExists(atPath: path))
    let second = try await NIOTransport().listen(on: address)
    first.close()
    #expect(FileManager.default.fileExists(atPath: path))
    second.close()
  }

  @Test("is replaced when its server died")
  func leftBehind() async throws {
    try await leaveBehind()
    var refusal: RPCError?
    // The listener that was closed stops a moment later.
    while refusal == nil {
      do {
        try await NIOTransport().connect(to: address).close()
      } catch {
        refusal = error as? RPCError
      }
    }
    #expect(refusal?.message == "can't connect to \(address): nobody listens there")
    let listener = try await NIOTransport().listen(on: address)
    let client = try await NIOTransport().connect(to: address)
    #expect(try await listener.accept() != nil)
    client.close()
    listener.close()
  }

  @Test("is left alone while its server lives")
  func inUse() async throws {
    let listener = try await NIOTransport().listen(on: address)
    defer { listener.close() }
    let error = await #expect(throws: RPCError.self) {
      _ = try await NIOTransport().listen(on: address)
    }
    #expect(error?.code == .unavailable)
    #expect(error?.message == "can't listen on \(address): another server listens there")
  }

  @Test("isn't taken from a server that is about to listen")
  func aboutToListen() throws {
    // The first one's socket is bound and nobody is answered there yet.
    let first = try UnixSocketFile.bind(path)
    defer { close(first.socket) }
    let error = #expect(throws: RPCError.self) {
      let second = try UnixSocketFile.bind(path)
      close(second.socket)
    }
    #expect(error?.message == "can't listen on \(address): another server listens there")
    // Nothing stays behind, and the next one gets the path.
    first.file.remove()
    #expect(try leftovers().isEmpty)
    let third = try UnixSocketFile.bind(path)
    defer { close(third.socket) }
    third.file.remove()
    #expect(try leftovers().isEmpty)
  }

  /// The files whose names begin with the socket's.
  private func leftovers() throws -> [String] {
    let url = URL(fileURLWithPath: path)
    return try FileManager.default.contentsOfDirectory(
      atPath: url.deletingLastPathComponent().path
    ).filter { $0.hasPrefix(url.lastPathComponent) }
  }

  @Test("is never a file of another kind")
  func otherFile() async throws {
    try Data([1]).write(to: URL(fileURLWithPath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let error = await #expect(throws: RPCError.self) {
      _ = try await NIOTransport().listen(on: address)
    }
    #expect(error?.code == .alreadyExists)
    #expect(FileManager.default.contents(atPath: path) == Data([1]))
  }

  @Test("needs a directory, and a server to connect to")
  func missing() async throws {
    let nowhere = Address("unix:/nonexistent/directory/socket")
    let listening = await #expect(throws: RPCError.self) {
      _ = try await NIOTransport().listen(on: nowhere)
    }
    #expect(listening?.code == .notFound)
    let connecting = await #expect(throws: RPCError.self) {
      _ = try await NIOTransport().connect(to: nowhere)
    }
    #expect(connecting?.code == .unavailable)
    #expect(connecting?.message.contains("no such socket") == true)
  }
}
