import RPC
import Schema
import StoreProtocol

/// Calls against a server that misbehaves on demand (see misbehave.c): each call ends as the
/// specification says, and the next one works.
enum FaultChecks {
  /// A chunk whose group asks for a misbehaviour.
  private static func request(_ behaviour: UInt32) -> StatChunkRequest {
    StatChunkRequest(id: WireChunkId(group: behaviour, upload: 1, index: 1))
  }

  /// Makes the unary call that the server misbehaves in.
  private static func stat(
    _ node: NodeClient, _ behaviour: UInt32, timeout: Duration = .seconds(20)
  ) async throws -> StatChunkResponse {
    try await node.statChunk(request(behaviour), options: CallOptions(timeout: timeout))
  }

  /// The client is none the worse.
  private static func expectUsable(_ node: NodeClient) async throws {
    try await EchoChecks.echo(node, payload: "still there", [[1, 2, 3]])
  }

  static let all: [Check] = [
    Check(name: "swift client: every error code, with details and metadata") { node in
      for code in StatusCode.allCases where code != .ok && !code.isSafeToRetry {
        let error = try await expectError(code) {
          try await stat(node, 0xE000_0000 + UInt32(code.rawValue))
        }
        try expect(error.message == "as you wished", "the message is '\(error.message)'")
        try expect(
          error.details == [Google_Protobuf_Any(typeURL: "x/y", value: Array("z".utf8))],
          "the details are \(error.details)")
        try expect(
          error.metadata.entries == [Metadata.Entry(key: "reason-bin", value: [0, 1, 255])],
          "the metadata is \(error.metadata.entries)")
      }
      for code in StatusCode.allCases where code.isSafeToRetry {
        try await expectError(code) { try await stat(node, 0xE000_0000 + UInt32(code.rawValue)) }
      }
    },
    Check(name: "swift client: a deadline passes") { node in
      try await expectError(.deadlineExceeded) {
        try await stat(node, 0xE100_0000, timeout: .milliseconds(200))
      }
      try await expectUsable(node)
    },
    Check(name: "swift client: cancellation") { node in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<20 {
          group.addTask { _ = try? await stat(node, 0xE100_0000) }
        }
        group.addTask { try await expectUsable(node) }
        try await group.next()
        group.cancelAll()
        while let _ = try? await group.next() {}
      }
      try await expectUsable(node)
    },
    Check(name: "swift client: a call given up by its body") { node in
      do {
        try await node.echo { requests, responses in
          try await requests.write(EchoRequest(payload: [1]))
          _ = try await responses.next()
          throw CheckFailure(description: "given up")
        }
        throw CheckFailure(description: "the body's error is lost")
      } catch let error as CheckFailure {
        try expect(error.description == "given up", error.description)
      }
      try await expectUsable(node)
    },
    Check(name: "swift client: a refused call") { node in
      // The runtime may try again by itself; when it doesn't, it says that it is safe to.
      do {
        _ = try await stat(node, 0xE200_0000)
      } catch let error as RPCError {
        try expect(error.code == .unavailable, "it failed with \(error)")
      }
      try await expectUsable(node)
    },
    Check(name: "swift client: a frame that breaks the rules") { node in
      try await expectError(.unavailable, .internal) { try await stat(node, 0xE300_0000) }
      try await expectUsable(node)
    },
    Check(name: "swift client: a server that hangs up") { node in
      try await expectError(.unavailable) { try await stat(node, 0xE400_0000) }
      try await expectUsable(node)
    },
    Check(name: "swift client: success that cuts a message short") { node in
      try await expectError(.dataLoss) { try await stat(node, 0xE500_0000) }
      try await expectUsable(node)
    },
    Check(name: "swift client: success without a response") { node in
      try await expectError(.internal) { try await stat(node, 0xE600_0000) }
      try await expectUsable(node)
    },
    Check(name: "swift client: a response that can't be decoded") { node in
      try await expectError(.internal) { try await stat(node, 0xE700_0000) }
      try await expectUsable(node)
    },
    Check(name: "swift client: two responses where one belongs") { node in
      try await expectError(.internal) { try await stat(node, 0xE800_0000) }
      try await expectUsable(node)
    },
    Check(name: "swift client: a call that was accepted before GOAWAY") { node in
      _ = try await stat(node, 0xE900_0000)
      try await expectUsable(node)
    },
    Check(name: "swift client: a server that overruns its credit") { node in
      try await expectError(.unavailable, .internal, .resourceExhausted) {
        try await node.getChunk(
          GetChunkRequest(id: WireChunkId(group: 0xEA00_0000, upload: 1, index: 1))
        ) { responses in
          // Takes nothing until the connection has failed, which ends the deadline's wait.
          try await expectError(.internal, .unavailable) { try await stat(node, 0xE100_0000) }
          while try await responses.next() != nil {}
        }
      }
      try await expectUsable(node)
    },
    Check(name: "swift client: a frame that may be ignored") { node in
      _ = try await stat(node, 0xEB00_0000)
      try await expectUsable(node)
    },
  ]
}
