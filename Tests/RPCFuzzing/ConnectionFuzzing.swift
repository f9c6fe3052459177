// The tests' build and the fuzzers' alone can see inside a room; any other build leaves this out.
#if DEBUG || FUZZING
  import NIOCore
  import Schema
  import StoreProtocol

  @testable import RPC

  /// Drives one side of a connection with what a peer may send and what its own side may do, in any
  /// order: after each event its books are right, and what it sends is what the peer takes.
  ///
  /// - Parameter input: any bytes; they are read as settings, then as events.
  public func driveConnection(_ input: [UInt8]) {
    var run = ConnectionRun(FuzzInput(input))
    do throws(ConnectionFailure) {
      try run.run()
    } catch {
      // The peer broke a rule: the connection ends here.
    }
  }

  /// A connection's shell without tasks: keeps the books that `Connection` keeps, reads and writes when
  /// the input says so.
  struct ConnectionRun {
    /// What the shell knows of an open call.
    struct Book {
      var isWritten = true
      var isOutboundEnded = false
    }

    var input: FuzzInput
    let role: ConnectionRole
    var machine: ConnectionMachine
    var outbox = Outbox()
    /// Open calls.
    var books: [UInt32: Book] = [:]
    /// Messages that were handed out and not taken.
    var unread: [(id: UInt32, cost: UInt64)] = []
    /// Server: the calls whose handlers run.
    var handlers: [UInt32] = []
    var now = Instant(nanoseconds: 1)
    /// What is left of the body that comes in.
    var bodyLeft = 0
    /// The peer, as far as what comes to it is concerned.
    private var peer: FrameDecoder
    /// Cost of the frames that came to the peer.
    private var arrived: UInt64 = 0
    private var isOver = false

    init(_ input: FuzzInput) {
      var input = input
      role = input.flag() ? .client : .server
      var limits = ConnectionMachine.Limits()
      limits.maxUnfinished = 40_000
      limits.maxCallWindow = 100_000
      limits.maxConnectionWindow = 200_000
      machine = ConnectionMachine(role: role, settings: Self.settings(&input), limits: limits)
      let remote = Self.settings(&input)
      peer = FrameDecoder(settings: remote)
      peer.feed(machine.local.preface)
      guard case .preface? = try? peer.next() else { preconditionFailure("no preface") }
      guard case .ready? = try? machine.received(.preface(remote), now: now) else {
        preconditionFailure("a preface isn't taken")
      }
      self.input = input
    }

    /// Settings near the least ones, so that few bytes reach their limits.
    private static func settings(_ input: inout FuzzInput) -> PeerSettings {
      var settings = PeerSettings()
      settings.maxFramePayload = 16_384
      settings.maxMessage = 16_384
      settings.maxBody = 20_000
      settings.maxMeta = 1_024
      settings.maxCalls = UInt64(1 + input.below(4))
      settings.callWindow = 65_536
      settings.connectionWindow = input.flag() ? 65_536 : 131_072
      return settings
    }

    mutating func run() throws(ConnectionFailure) {
      while !input.isAtEnd && !isOver {
        switch input.below(16) {
        case 0...5: try receive()
        case 6: openCall()
        case 7: write()
        case 8: finishWriting()
        case 9: respond()
        case 10: abandon()
        case 11, 12: takeMessage()
        case 13: endHandler()
        case 14: flush()
        default: passTime()
        }
        check()
      }
      flush()
      check()
    }

    /// The machine's books agree with themselves and with the shell's.
    private func check() {
      machine.checkInvariants()
      precondition(machine.calls.count == books.count, "other calls are open")
      for id in books.keys { precondition(machine.calls[id] != nil, "call \(id) is forgotten") }
      precondition(machine.handlers == handlers.count, "other handlers run")
      precondition(
        machine.incoming.held == unread.reduce(0) { $0 + $1.cost }, "held is what wasn't taken")
    }

    /// Hands the peer what is ready; it must find nothing wrong with it.
    mutating func flush() {
      if machine.hasWindows {
        var windows: [(UInt32, UInt64)] = []
        machine.takeWindows(now: now) { windows.append(($0, $1)) }
        for (id, limit) in windows {
          outbox.append(.window, stream: id, message: limit, messageLength: 8)
        }
        if let ping = machine.takePing(now: now) {
          outbox.append(.ping, stream: 0, message: ping, messageLength: 8)
        }
      }
      for id in outbox.fill(&machine, budget: 100_000) { books[id]?.isWritten = true }
      for piece in outbox.take() {
        peer.feed(piece)
        do throws(ConnectionFailure) {
          while let event = try peer.next() {
            if case .frame(let header, _, _) = event { arrived += header.cost }
          }
        } catch {
          preconditionFailure("what is sent isn't taken: \(error.message)")
        }
      }
      precondition(!peer.isInsideFrame, "a frame leaves whole")
      precondition(arrived == machine.outgoing.sent, "what leaves is what was booked")
    }

    private mutating func passTime() {
      now = now.advanced(by: .milliseconds(1 << input.below(16)))
      guard role == .server, input.flag() else { return }
      if machine.drain == .none {
        machine.announceDrain()
      } else if machine.drain == .announced {
        refuseCalls()
      }
    }

    private mutating func refuseCalls() {
      let last = machine.refuseCalls()
      precondition(last == machine.lastID, "the last call that is served")
    }
  }

  // MARK: What the machine has the shell do

  extension ConnectionRun {
    mutating func perform(_ action: ConnectionAction) {
      switch action {
      case .nothing, .creditGrew: break
      case .ready: preconditionFailure("ready twice")
      case .open(let id, let opening, let message, _):
        precondition(role == .server && books[id] == nil, "a call is opened once, on a server")
        if let message { unread.append((id, message.cost)) }
        handlers.append(id)
        books[id] = Book()
        // A path that has no route.
        if opening.method.hasSuffix("/none") { endHandler(at: handlers.count - 1) }
      case .reject(let id, let ending, let isRefusal):
        precondition(role == .server && books[id] == nil, "a rejected call isn't open")
        outbox.append(isRefusal ? .refuse : .end, stream: id) { ending.encode(into: &$0) }
      case .head(let id, _):
        precondition(role == .client && books[id] != nil, "a head of an open call")
      case .message(let id, let message, _):
        precondition(books[id] != nil, "a message of an open call")
        if let message { unread.append((id, message.cost)) }
      case .end(let id, _, let message):
        precondition(role == .client && books[id] != nil, "the end of an open call")
        if let message { unread.append((id, message.cost)) }
        forget(id)
      case .refused(let id, _):
        precondition(role == .client && books[id] != nil, "the refusal of an open call")
        forget(id)
      case .cancelled(let id, _):
        precondition(role == .server && books[id] != nil, "the cancellation of an open call")
        forget(id)
      case .callFailed(let id, let ending, let isOver):
        precondition(books[id] != nil, "the failure of an open call")
        if !isOver {
          outbox.append(role == .server ? .end : .cancel, stream: id) { ending.encode(into: &$0) }
        }
        forget(id)
      case .pong(let value):
        outbox.append(.ping, stream: 0, flags: .ack, message: value, messageLength: 8)
      case .drainHeard: refuseCalls()
      case .goAway(_, let notBegun):
        precondition(role == .client && machine.drain == .announced, "a client goes elsewhere")
        for id in notBegun { forget(id) }
      case .peerFailed: isOver = true
      }
    }

    /// A call is over; a server's handler reads no more of it.
    mutating func forget(_ id: UInt32) {
      precondition(books.removeValue(forKey: id) != nil, "a call ends once")
      outbox.drop(id)
      if role == .server { dropUnread(id) }
    }

    mutating func dropUnread(_ id: UInt32) {
      for message in unread where message.id == id { machine.consumed(id, cost: message.cost) }
      unread.removeAll { $0.id == id }
    }
  }

  // MARK: What the own side does

  extension ConnectionRun {
    /// One of the open calls.
    private mutating func anyCall(where isFit: (Book) -> Bool = { _ in true }) -> UInt32? {
      let ids = books.filter { isFit($0.value) }.keys.sorted()
      let choice = input.below(16)
      return ids.isEmpty ? nil : ids[choice % ids.count]
    }

    private mutating func content() -> EchoRequest {
      let sizes = [0, 1, 100, 4_096, 4_097, 16_300, 17_000, 21_000]
      let payload = [UInt8](repeating: 1, count: sizes[input.below(sizes.count)])
      let data = ByteBuffer(repeating: 2, count: sizes[input.below(sizes.count)])
      return EchoRequest(payload: payload, data: Body(data))
    }

    private mutating func send(_ type: FrameType, _ id: UInt32, endsStream: Bool) -> Outbox.Sending
    {
      let purpose = Outbox.Purpose(
        type: type, call: id, endsStream: endsStream, hasRoom: input.flag())
      do {
        return try outbox.send(content(), purpose, &machine) { meta in
          if type == .call { CallOpening(method: "/a.B/C").encode(into: &meta) }
        }
      } catch {
        preconditionFailure("\(error)")
      }
    }

    private mutating func openCall() {
      guard machine.canOpenCall else { return }
      let id = machine.openCall()
      books[id] = Book()
      guard input.flag() else {
        outbox.append(.call, stream: id) { CallOpening(method: "/a.B/C").encode(into: &$0) }
        return
      }
      let isUnary = input.flag()
      books[id]?.isOutboundEnded = isUnary
      switch send(.call, id, endsStream: isUnary) {
      case .sent: break
      case .waits: books[id]?.isWritten = false
      case .tooLarge:
        outbox.append(.call, stream: id) { CallOpening(method: "/a.B/C").encode(into: &$0) }
        close(id, .cancel)
      }
    }

    private mutating func write() {
      guard let id = anyCall(where: { $0.isWritten && !$0.isOutboundEnded }) else { return }
      if case .waits = send(.message, id, endsStream: false) { books[id]?.isWritten = false }
    }

    private mutating func finishWriting() {
      guard role == .client, let id = anyCall(where: { $0.isWritten && !$0.isOutboundEnded })
      else { return }
      books[id]?.isOutboundEnded = true
      outbox.append(.message, stream: id, flags: .endStream)
      machine.sent(FrameHeader(type: .message, flags: .endStream, stream: id))
    }

    /// A unary handler's response leaves with the call's end.
    private mutating func respond() {
      guard role == .server, let id = anyCall(where: { $0.isWritten }) else { return }
      switch send(.end, id, endsStream: false) {
      case .sent: forget(id)
      case .waits: books[id]?.isWritten = false
      case .tooLarge: break
      }
    }

    private mutating func abandon() {
      guard let id = anyCall() else { return }
      close(id, role == .server ? .end : .cancel)
    }

    /// Ends a call at this side's wish.
    private mutating func close(_ id: UInt32, _ type: FrameType) {
      precondition(machine.closeCall(id), "the call was open")
      precondition(!machine.closeCall(id), "the call is over")
      outbox.append(type, stream: id) { CallEnding(code: .cancelled).encode(into: &$0) }
      forget(id)
    }

    private mutating func takeMessage() {
      let choice = input.below(16)
      guard !unread.isEmpty else { return }
      let message = unread.remove(at: choice % unread.count)
      machine.consumed(message.id, cost: message.cost)
    }

    private mutating func endHandler() {
      let choice = input.below(16)
      guard !handlers.isEmpty else { return }
      endHandler(at: choice % handlers.count)
    }

    mutating func endHandler(at place: Int) {
      let id = handlers[place]
      if books[id] != nil { close(id, .end) }
      dropUnread(id)
      handlers.remove(at: place)
      machine.handlerEnded()
    }
  }
#endif
