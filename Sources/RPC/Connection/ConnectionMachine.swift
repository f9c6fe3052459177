internal import NIOCore

/// One connection's calls, credit and rules: what came in goes in, what must happen comes out. Knows no
/// I/O and no clock.
///
/// The shell around it (`Connection`) delivers messages, sends frames and keeps one promise: each
/// message handed out is reported with `consumed` once, taken or dropped.
struct ConnectionMachine {
  /// How far a drain has come.
  enum Drain: Sendable, Hashable {
    /// Nobody has spoken of one.
    case none
    /// The client was told, on its side (or its ids are used up): it makes no new calls. None is refused yet.
    case announced
    /// Server: new calls are refused.
    case refuses
  }

  let role: ConnectionRole
  /// What this side takes.
  let local: PeerSettings
  /// What the peer takes; nil until its preface came.
  private(set) var remote: PeerSettings?
  /// What it holds at most, whatever its settings say.
  let limits: Limits
  /// Open calls.
  private(set) var calls = CallTable()
  /// What the messages that aren't whole cost together.
  private(set) var unfinished: UInt64 = 0
  /// Client: the last id used. Server: the largest seen.
  private(set) var lastID: UInt32 = 0
  /// Server: handlers that run, those of cancelled calls among them.
  private(set) var handlers = 0
  /// How far a drain has come.
  private(set) var drain = Drain.none
  /// Client: the id that the last GOAWAY named.
  private var goAwayLast: UInt32?
  var incoming: IncomingCredit
  private(set) var outgoing = OutgoingCredit(limit: 0)
  /// Server: what the client's method numbers stand for.
  private(set) var methods = MethodNumbers()
  /// Calls whose peers may be given more credit.
  private var windowsDue: [UInt32] = []
  /// The frame whose body is coming in, and what its END said.
  var bodyOf: (header: FrameHeader, ending: CallEnding?, isDropped: Bool)?
  /// How long the peer takes to answer.
  var roundTrip = RoundTrip()
  private var lastPing: Instant?
  private var earlyPings = 0

  /// The id that the first GOAWAY of a drain names: no call is refused yet.
  static let drainAnnouncement = UInt32.max
  /// How many calls whose windows have grown it takes to use up the connection's.
  static let windowShares: UInt64 = 4
  /// The last id that a client gives to a call.
  static let lastCallID = UInt32.max - 2
  /// What the PING behind it says; its answer shows that the client has read both.
  static let drainPing: UInt64 = 0x6e69_6172_64
  /// How many pings may come too early before the connection ends.
  static let maxEarlyPings = 16

  init(role: ConnectionRole, settings: PeerSettings, limits: Limits = Limits()) {
    self.role = role
    local = settings
    self.limits = limits
    incoming = IncomingCredit(window: settings.connectionWindow)
  }
}

// MARK: What comes in

extension ConnectionMachine {
  /// What the decoder made of the peer's bytes.
  ///
  /// - Throws: a connection error: send ERROR and close.
  mutating func received(
    _ event: FrameDecoder.Event, now: Instant
  ) throws(ConnectionFailure) -> ConnectionAction {
    switch event {
    case .preface(let settings):
      precondition(remote == nil, "one preface comes")
      remote = settings
      outgoing = OutgoingCredit(limit: settings.connectionWindow)
      return .ready
    case .frame(let header, let meta, let message):
      return try received(header, meta: meta, message: message, now: now)
    case .body(let bytes, let isLast):
      return received(body: bytes, isLast: isLast)
    }
  }

  private mutating func received(
    _ header: FrameHeader, meta: ByteBuffer, message: ByteBuffer, now: Instant
  ) throws(ConnectionFailure) -> ConnectionAction {
    if header.bodyLength > 0 { bodyOf = (header, nil, isDropped: true) }
    if header.cost > 0, !incoming.receive(header.cost) {
      throw ConnectionFailure("the connection's credit is exceeded")
    }
    switch (header.type, role) {
    case (.call, .server): return try receivedCall(header, meta: meta, message: message)
    case (.cancel, .server): return try receivedCancel(header, meta: meta)
    case (.head, .client): return try receivedHead(header, meta: meta)
    case (.end, .client): return try receivedEnd(header, meta: meta, message: message)
    case (.refuse, .client): return try receivedRefusal(header, meta: meta)
    case (.goAway, .client): return try receivedGoAway(meta: meta, message: message)
    case (.message, _), (.body, _): return try receivedMessage(header, message: message)
    case (.window, _): return try receivedWindow(header, message: message)
    case (.ping, _): return try receivedPing(header, message: message, now: now)
    case (.error, _): return .peerFailed((try? CallEnding(decoding: meta)) ?? CallEnding())
    default: throw ConnectionFailure("\(header.type) from the wrong side")
    }
  }

  private mutating func receivedCall(
    _ header: FrameHeader, meta: ByteBuffer, message: ByteBuffer
  ) throws(ConnectionFailure) -> ConnectionAction {
    let id = header.stream
    guard id % 2 == 1, id > lastID else { throw ConnectionFailure("call id \(id) doesn't rise") }
    lastID = id
    var opening: CallOpening
    do throws(Undecodable) {
      opening = try CallOpening(decoding: meta)
    } catch {
      let ending = CallEnding(code: .internal, message: "the call's meta isn't decodable")
      return .reject(id, ending, isRefusal: false)
    }
    guard try methods.resolve(&opening) else {
      let ending = CallEnding(code: .internal, message: "the call names no method")
      return .reject(id, ending, isRefusal: false)
    }
    guard drain != .refuses else {
      let ending = CallEnding(code: .unavailable, message: "the server is stopping")
      return .reject(id, ending, isRefusal: true)
    }
    guard calls.count < local.maxCalls, handlers < 2 * local.maxCalls else {
      let ending = CallEnding(code: .unavailable, message: "too many calls on this connection")
      return .reject(id, ending, isRefusal: true)
    }
    calls.open(id, newCall())
    handlers += 1
    switch try receivedMessage(header, message: message) {
    case .message(_, let first, let isEnded):
      return .open(id, opening, message: first, isEnded: isEnded)
    case .callFailed(_, let ending, _):
      handlers -= 1
      return .reject(id, ending, isRefusal: false)
    default:
      return .open(id, opening, message: nil, isEnded: false)
    }
  }

  /// The call that a frame is about; nil: it is over.
  private func openCall(
    _ header: FrameHeader
  ) throws(ConnectionFailure) -> Int? {
    if let place = calls.place(of: header.stream) { return place }
    guard header.stream <= lastID, header.stream % 2 == 1 else {
      throw ConnectionFailure("\(header.type) for call \(header.stream), which was never made")
    }
    return nil
  }

  private mutating func receivedMessage(
    _ header: FrameHeader, message: ByteBuffer, ending: CallEnding? = nil
  ) throws(ConnectionFailure) -> ConnectionAction {
    guard let place = try openCall(header) else { return .nothing }
    let id = header.stream
    guard !calls[at: place].isRemoteEnded else {
      throw ConnectionFailure("\(header.type) after the last message of call \(id)")
    }
    if role == .client {
      guard !header.flags.contains(.endStream) else {
        throw ConnectionFailure("a server ends its stream with an end")
      }
      calls[at: place].hasAnswer = true
    }
    guard calls[at: place].incoming.receive(header.cost) else {
      throw ConnectionFailure("the credit of call \(id) is exceeded")
    }
    if header.flags.contains(.message) || header.flags.contains(.endStream) || header.type == .body
    {
      let fault = try assemble(header, message: message, at: place)
      if let fault {
        forget(id)
        return .callFailed(id, fault, isOver: ending != nil)
      }
    }
    if header.bodyLength > 0 {
      bodyOf = (header, ending, isDropped: false)
      return .nothing
    }
    return finishFrame(header, ending: ending)
  }

  /// A frame's part of a message; nil, or the reason why the call has to end: the message is too large, or
  /// too many are begun.
  private mutating func assemble(
    _ header: FrameHeader, message: ByteBuffer, at place: Int
  ) throws(ConnectionFailure) -> CallEnding? {
    let before = calls[at: place].assembly.message.cost
    let fault = try calls[at: place].assembly.add(header, message: message, limits: local)
    unfinished += calls[at: place].assembly.message.cost - before
    guard fault == nil, unfinished > limits.maxUnfinished else { return fault }
    return CallEnding(
      code: .resourceExhausted,
      message: "the connection's unfinished messages have more than \(limits.maxUnfinished) bytes")
  }

  private mutating func received(body bytes: ByteBuffer, isLast: Bool) -> ConnectionAction {
    guard let (header, ending, isDropped) = bodyOf else {
      preconditionFailure("a body follows its frame's header")
    }
    if isLast { bodyOf = nil }
    guard !isDropped, let place = calls.place(of: header.stream) else { return .nothing }
    calls[at: place].assembly.add(body: bytes)
    return isLast ? finishFrame(header, ending: ending) : .nothing
  }

  /// All bytes of a frame with (some of) a message are there.
  private mutating func finishFrame(
    _ header: FrameHeader, ending: CallEnding?
  ) -> ConnectionAction {
    let id = header.stream
    guard let place = calls.place(of: id) else { return .nothing }
    let message = calls[at: place].assembly.finishFrame(header)
    if let message {
      unfinished -= message.cost
      incoming.hold(message.cost)
      calls[at: place].incoming.hold(message.cost)
    }
    if let ending {
      forget(id)
      return .end(id, ending, message)
    }
    let isEnded = header.flags.contains(.endStream)
    if isEnded {
      calls[at: place].isRemoteEnded = true
    } else {
      noteWindow(id, at: place)
    }
    return message != nil || isEnded ? .message(id, message, isEnded: isEnded) : .nothing
  }

  private mutating func receivedHead(
    _ header: FrameHeader, meta: ByteBuffer
  ) throws(ConnectionFailure) -> ConnectionAction {
    guard let place = try openCall(header) else { return .nothing }
    guard !calls[at: place].hasAnswer else {
      throw ConnectionFailure("a second head, or one after a response")
    }
    calls[at: place].hasAnswer = true
    do throws(Undecodable) {
      return .head(header.stream, try Metadata(decodingHead: meta))
    } catch {
      forget(header.stream)
      let ending = CallEnding(code: .internal, message: "the response metadata isn't decodable")
      return .callFailed(header.stream, ending, isOver: false)
    }
  }

  private mutating func receivedEnd(
    _ header: FrameHeader, meta: ByteBuffer, message: ByteBuffer
  ) throws(ConnectionFailure) -> ConnectionAction {
    guard let place = try openCall(header) else { return .nothing }
    let id = header.stream
    let ending: CallEnding
    do throws(Undecodable) {
      ending = try CallEnding(decoding: meta)
    } catch {
      forget(id)
      let ending = CallEnding(code: .internal, message: "the call's end isn't decodable")
      return .callFailed(id, ending, isOver: true)
    }
    if header.flags.contains(.message) {
      return try receivedMessage(header, message: message, ending: ending)
    }
    let isCut = calls[at: place].assembly.phase != .idle
    forget(id)
    if isCut && ending.code == .ok {
      let ending = CallEnding(code: .dataLoss, message: "the call ended inside a message")
      return .callFailed(id, ending, isOver: true)
    }
    return .end(id, ending, nil)
  }

  private mutating func receivedRefusal(
    _ header: FrameHeader, meta: ByteBuffer
  ) throws(ConnectionFailure) -> ConnectionAction {
    guard try openCall(header) != nil else { return .nothing }
    forget(header.stream)
    return .refused(header.stream, CallEnding(decoding: meta, orElse: .unavailable))
  }

  private mutating func receivedCancel(
    _ header: FrameHeader, meta: ByteBuffer
  ) throws(ConnectionFailure) -> ConnectionAction {
    guard try openCall(header) != nil else { return .nothing }
    forget(header.stream)
    return .cancelled(header.stream, CallEnding(decoding: meta, orElse: .cancelled))
  }

  private mutating func receivedWindow(
    _ header: FrameHeader, message: ByteBuffer
  ) throws(ConnectionFailure) -> ConnectionAction {
    let limit: UInt64 = message.getInteger(at: message.readerIndex, endianness: .little) ?? 0
    if header.stream == 0 { return outgoing.raise(to: limit) ? .creditGrew : .nothing }
    guard let place = try openCall(header) else { return .nothing }
    return calls[at: place].outgoing.raise(to: limit) ? .creditGrew : .nothing
  }

  private mutating func receivedPing(
    _ header: FrameHeader, message: ByteBuffer, now: Instant
  ) throws(ConnectionFailure) -> ConnectionAction {
    let value: UInt64 = message.getInteger(at: message.readerIndex, endianness: .little) ?? 0
    if header.flags.contains(.ack) {
      roundTrip.answered(value, now: now)
      let isAboutDrain = role == .server && drain == .announced && value == Self.drainPing
      return isAboutDrain ? .drainHeard : .nothing
    }
    let interval = Duration.milliseconds(Int64(local.minPingIntervalMilliseconds))
    if let lastPing, lastPing.duration(to: now) < interval / 2 {
      earlyPings += 1
      guard earlyPings <= Self.maxEarlyPings else {
        throw ConnectionFailure("too many pings", code: .resourceExhausted)
      }
    } else {
      earlyPings = 0
    }
    lastPing = now
    return .pong(value)
  }

  private mutating func receivedGoAway(
    meta: ByteBuffer, message: ByteBuffer
  ) throws(ConnectionFailure) -> ConnectionAction {
    let last: UInt32 = message.getInteger(at: message.readerIndex, endianness: .little) ?? 0
    guard last <= goAwayLast ?? .max else { throw ConnectionFailure("a go-away that goes back") }
    goAwayLast = last
    drain = .announced
    let notBegun = calls.ids.filter { $0 > last }.sorted()
    for id in notBegun { _ = closeCall(id) }
    let ending = (try? CallEnding(decoding: meta)) ?? CallEnding()
    return .goAway(ending, notBegun: notBegun)
  }
}

// MARK: What this side does

extension ConnectionMachine {
  /// Whether a client may make a call now.
  var canOpenCall: Bool { canOpenCall(beside: 0) }

  /// Whether a client may make a call now and `count` others after it.
  func canOpenCall(beside count: Int) -> Bool {
    guard role == .client, let remote, drain == .none else { return false }
    return calls.count + count < remote.maxCalls
  }

  /// Whether a client has used the last id: it makes its calls on another connection.
  var areIDsUsedUp: Bool { role == .client && lastID >= Self.lastCallID }

  /// Client: the id of a new call. With the last one the connection is left, as if the server had said
  /// that it stops.
  mutating func openCall() -> UInt32 {
    precondition(canOpenCall, "a call is made when one may be")
    lastID += lastID == 0 ? 1 : 2
    calls.open(lastID, newCall())
    if areIDsUsedUp { drain = .announced }
    return lastID
  }

  /// Client: counts the ids up to `id` as used: for tests of a connection that runs out of them.
  mutating func skipIDs(to id: UInt32) {
    precondition(
      role == .client && id % 2 == 1 && id > lastID && id < Self.lastCallID,
      "a client's ids are odd and rise, and one is left")
    lastID = id
  }

  /// What may be sent in a call now; nil: the call is over.
  func credit(_ id: UInt32) -> UInt64? {
    guard let call = calls[id] else { return nil }
    return min(call.outgoing.available, outgoing.available)
  }

  /// A frame of a call goes out.
  mutating func sent(_ header: FrameHeader) {
    guard let place = calls.place(of: header.stream) else {
      preconditionFailure("frames are sent for open calls")
    }
    precondition(!calls[at: place].isLocalEnded, "nothing follows the last message")
    calls[at: place].outgoing.send(header.cost)
    outgoing.send(header.cost)
    if header.flags.contains(.endStream) { calls[at: place].isLocalEnded = true }
    if header.type == .end { forget(header.stream) }
  }

  /// The call is over at this side's wish (END without a message, REFUSE or CANCEL is sent); false when
  /// it was over.
  mutating func closeCall(_ id: UInt32) -> Bool {
    guard calls.place(of: id) != nil else { return false }
    forget(id)
    return true
  }

  /// The books are closed on a call, and on a message of it that isn't whole.
  private mutating func forget(_ id: UInt32) {
    guard let place = calls.place(of: id) else { return }
    unfinished -= calls[at: place].assembly.message.cost
    calls.close(id)
  }

  /// The application took a message of a call, or it was dropped: its credit may go back.
  mutating func consumed(_ id: UInt32, cost: UInt64) {
    incoming.release(cost)
    guard let place = calls.place(of: id) else { return }
    calls[at: place].incoming.release(cost)
    noteWindow(id, at: place)
  }

  /// The connection is over: nothing that has begun will be whole.
  mutating func forgetCalls() {
    calls = CallTable()
    unfinished = 0
    bodyOf = nil
  }

  /// Server: a handler returned.
  mutating func handlerEnded() {
    precondition(handlers > 0, "a handler that ends has begun")
    handlers -= 1
  }

  /// Server: the client is about to be told that it should make no new calls; those that it makes until
  /// it knows are served.
  mutating func announceDrain() {
    precondition(role == .server && drain == .none, "a drain begins once")
    drain = .announced
  }

  /// Server: new calls are refused from now on; the last id that GOAWAY is to name.
  mutating func refuseCalls() -> UInt32 {
    precondition(role == .server && drain == .announced, "a drain is announced before")
    drain = .refuses
    return lastID
  }

  /// The WINDOW frames that are due, the connection's (id 0) last; they count as sent.
  ///
  /// A call whose window has grown has a quarter of the connection's at most, which grows with it: a few calls
  /// whose readers pause must not leave the others without credit.
  mutating func takeWindows(now: Instant, _ send: (UInt32, UInt64) -> Void) {
    let roundTrip = roundTrip.least
    let largest = min(limits.maxCallWindow, mostConnectionWindow / Self.windowShares)
    for id in windowsDue {
      guard let place = calls.place(of: id) else { continue }
      calls[at: place].isWindowDue = false
      guard !calls[at: place].isRemoteEnded,
        let limit = calls[at: place].incoming.grant(
          now: now, roundTrip: roundTrip, largest: largest)
      else { continue }
      let window = calls[at: place].incoming.window
      if window > local.callWindow { incoming.widen(to: window * Self.windowShares) }
      send(id, limit)
    }
    windowsDue.removeAll(keepingCapacity: true)
    if let limit = incoming.grant(
      now: now, roundTrip: roundTrip, largest: limits.maxConnectionWindow)
    {
      send(0, limit)
    }
  }

  /// How large the connection's window may become.
  private var mostConnectionWindow: UInt64 {
    max(limits.maxConnectionWindow, local.connectionWindow)
  }

  /// Whether `takeWindows` would find any.
  var hasWindows: Bool { !windowsDue.isEmpty || incoming.due != nil }

  private func newCall() -> CallState {
    CallState(
      incoming: IncomingCredit(window: local.callWindow),
      outgoing: OutgoingCredit(limit: remote?.callWindow ?? 0))
  }

  private mutating func noteWindow(_ id: UInt32, at place: Int) {
    guard !calls[at: place].isWindowDue, !calls[at: place].isRemoteEnded,
      calls[at: place].incoming.due != nil
    else { return }
    calls[at: place].isWindowDue = true
    windowsDue.append(id)
  }
}
