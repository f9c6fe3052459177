import StoreProtocol
import Synchronization
import Testing

@testable import RPC

@Suite("A client whose call ids are used up")
struct LastCallTests {
  private static let method = Method<EchoRequest, EchoResponse>(
    service: "a.B", name: "C", kind: .unary)

  @Test("makes no more calls there: those that wait for a place are to be made elsewhere")
  func queue() throws {
    let connection = Connection(
      role: .client, bytes: StalledBytes(), peer: "server",
      configuration: ConnectionConfiguration(), time: SystemTimeSource())
    var remote = PeerSettings()
    remote.maxCalls = 1
    _ = connection.received(remote.preface)
    connection.enter { state, _ in state.machine.skipIDs(to: .max - 6) }
    let calls = (0..<4).map { _ in Call(connection: connection, path: "/a.B/C", deadline: nil) }
    #expect(try place(calls[0], connection))
    expect(try !place(calls[1], connection) && !place(calls[2], connection))
    _ = connection.received(Frames.frame(.end, .max - 4))
    #expect(connection.takesCalls)
    #expect(try place(calls[1], connection))
    #expect(calls[1].id == UInt32.max - 2)
    #expect(!connection.takesCalls)
    #expect(calls[2].isOver && calls[2].isUnprocessed && calls[2].ending?.code == .unavailable)
    let error = #expect(throws: RPCError.self) { try place(calls[3], connection) }
    #expect(error?.code == .unavailable && calls[3].isUnprocessed)
    #expect(connection.closingError == nil, "the last call goes on")
    _ = connection.received(Frames.frame(.end, .max - 2))
    #expect(connection.closingError != nil)
  }

  private func place(_ call: Call, _ connection: Connection) throws -> Bool {
    try connection.enter { state, wakeups in
      try connection.place(call, Metadata(), &state, &wakeups)
    }
  }

  @Test("makes its calls on another connection", .timeLimit(.minutes(1)))
  func moves() async throws {
    var router = Router()
    router.unary(Self.method) { request, _ in EchoResponse(payload: request.payload) }
    var configuration = ConnectionConfiguration()
    configuration.maxCalls = 1
    let transport = MemoryTransport()
    let server = RPCServer(
      router: router, transport: transport, address: Address("server"), time: SystemTimeSource(),
      configuration: configuration)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      try await withChannel(
        to: try await server.listeningAddress, transport: transport, time: SystemTimeSource(),
        random: SystemRandomSource()
      ) { channel in
        try await self.call(channel, 0)
        let first = try #require(channel as? Channel).state.withLock { state -> Connection? in
          if case .ready(let connection) = state.phase { connection } else { nil }
        }
        try #require(first).enter { state, _ in state.machine.skipIDs(to: .max - 6) }
        try await withThrowingTaskGroup(of: Void.self) { calls in
          for number in 1...8 { calls.addTask { try await self.call(channel, UInt8(number)) } }
          try await calls.waitForAll()
        }
        #expect(server.connections.last?.number == 2)
      }
      server.shutdown(grace: .zero)
      try await group.waitForAll()
    }
  }

  private func call(_ channel: any CallChannel, _ number: UInt8) async throws {
    let answer = try await channel.unary(
      Self.method, EchoRequest(payload: [number]), options: CallOptions())
    #expect(answer.message.payload == [number])
  }
}
