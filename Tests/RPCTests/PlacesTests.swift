import NIOCore
import Testing

@testable import RPC

@Suite("Calls that wait for a place on a connection")
struct PlacesTests {
  private let connection: Connection

  /// A client whose server takes one call at a time.
  init() {
    connection = Connection(
      role: .client, bytes: StalledBytes(), peer: "server",
      configuration: ConnectionConfiguration(), time: SystemTimeSource())
    var remote = PeerSettings()
    remote.maxCalls = 1
    _ = connection.received(remote.preface)
  }

  private func call() -> Call { Call(connection: connection, path: "/a.B/C", deadline: nil) }

  private func place(_ call: Call) throws -> Bool {
    try connection.enter { state, wakeups in
      try connection.place(call, Metadata(), &state, &wakeups)
    }
  }

  private func end(_ id: UInt32) {
    _ = connection.received(Frames.frame(.end, id))
  }

  @Test("get it in the order in which they came, before those that come later")
  func order() throws {
    let calls = (0..<4).map { _ in call() }
    #expect(try place(calls[0]))
    expect(try !place(calls[1]) && !place(calls[2]))
    end(1)
    #expect(calls[1].isAdmitted && !calls[2].isAdmitted)
    expect(try !place(calls[3]), "a new call waits behind those that wait")
    expect(try place(calls[1]))
    end(3)
    #expect(calls[2].isAdmitted && !calls[3].isAdmitted)
    expect(try place(calls[2]))
    end(5)
    #expect(calls[3].isAdmitted)
    expect(try place(calls[3]))
    #expect(calls.map(\.id) == [1, 3, 5, 7])
  }

  @Test("hand it on when they are given up before they use it")
  func handedOn() async throws {
    let calls = (0..<3).map { _ in call() }
    #expect(try place(calls[0]))
    expect(try !place(calls[1]) && !place(calls[2]))
    end(1)
    #expect(calls[1].isAdmitted)
    connection.enter { state, wakeups in
      connection.giveUpPlace(of: calls[1], RPCError(.cancelled, "given up"), &state, &wakeups)
    }
    #expect(calls[2].isAdmitted)
    expect(try place(calls[2]))
    end(3)
    expect(try place(call()), "no place is lost")
  }
}
