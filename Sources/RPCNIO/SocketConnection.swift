internal import NIOCore
internal import NIOPosix
internal import NIOTLS
internal import RPC
internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// One connection of a socket.
///
/// Requests (`write`, `setReading`, `start`, `close`) come from any thread and are only noted; the
/// loop's executor has the connection carry them out at the end of its turn. So the handler is never
/// called from inside a request, and what was written in one turn leaves in one system call. Small
/// pieces are copied together, large ones are sent from where they lie.
///
/// Closing is patient: what was taken is sent, the sending side is shut down, and the socket goes away
/// when the peer has closed as well or after a while. A peer that closes its sending side counts as
/// gone: it still gets what was already taken for it.
///
/// Where the connection is secured, it is up once the handshake is done, which may not take long.
final class SocketConnection: ByteConnection, ChannelDuplexHandler, @unchecked Sendable {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// Pieces up to this size are copied together: cheaper than another entry of the gathering write.
  private static let copiedBytes = 8 * 1024
  /// A gathering buffer that grew beyond this is not kept.
  private static let keptBufferBytes = 256 * 1024
  /// How long unsent bytes may lie there, once the connection is to close, without one of them leaving, and
  /// how many such whiles all of them may take.
  private static let sendingGrace = TimeAmount.seconds(5)
  private static let sendingGraces = 6
  /// How long the peer may take to close its side once ours is shut.
  private static let peerGrace = TimeAmount.seconds(1)
  /// The handler is told what has left when so much was written, and after a while again if not all has.
  private static let toldBytes: UInt64 = 64 * 1024
  private static let toldInterval = TimeAmount.seconds(1)
  /// How long a handshake may take.
  private static let handshakePatience = TimeAmount.seconds(5)

  /// What was asked for and not carried out yet.
  private struct Requests {
    var large: [ByteBuffer] = []
    var gathered = ByteBuffer()
    var reading: Bool?
    var handler: (any ByteHandler)?
    var close = false
    var isQueued = false

    /// Puts the gathered bytes before the large piece that follows them.
    mutating func seal() {
      guard gathered.readableBytes > 0 else { return }
      large.append(gathered)
      gathered = ByteBuffer()
    }
  }

  private enum Phase {
    case fresh
    case open
    case closing
    case closed
  }

  private(set) var peer: String
  let loopExecutor: LoopExecutor
  private let requests = Mutex(Requests())
  /// Called once with this connection when it is up; nil for those that we made.
  private var onActive: (@Sendable (SocketConnection) -> Void)?
  private let security: (any SocketSecurity)?
  private let identity = Mutex<PeerIdentity?>(nil)
  private let readSize = ReadSize()

  // The rest is touched on the loop's thread alone: that is what makes this `Sendable`.
  private var phase = Phase.fresh
  private var handler: (any ByteHandler)?
  private var context: ChannelHandlerContext?
  private var wantsReading = false
  private var readIsWithheld = false
  /// What came in before the start: with the end of a handshake, or because the peer has closed, after
  /// which the loop reads to the end, asked or not.
  private var early: [ByteBuffer] = []
  /// How often this was read in a row, for one that came in.
  private var readRun: ReadRun?
  private var failure: RPCError?
  private var spare = ByteBuffer()
  private var timer: Scheduled<Void>?
  /// Bytes that were ever written, and how many when the handler was told what had left.
  private var writtenBytes: UInt64 = 0
  private var toldAt: UInt64 = 0
  /// The handler is to be told again in a while.
  private var isToldAgain = false
  /// The handshake isn't done.
  private var isSecuring: Bool
  /// Who waits for that.
  private var secured: EventLoopPromise<SocketConnection>?

  /// A connection to `peer`; where `onActive` is given, `peer` is taken from the socket.
  init(
    executor: LoopExecutor, peer: String = "", security: (any SocketSecurity)? = nil,
    onActive: (@Sendable (SocketConnection) -> Void)? = nil
  ) {
    self.loopExecutor = executor
    self.peer = peer
    self.security = security
    isSecuring = security != nil
    self.onActive = onActive
    readRun = onActive == nil ? nil : ReadRun()
  }

  // MARK: Requests, from any thread

  var executor: (any TaskExecutor)? { loopExecutor }

  var peerIdentity: PeerIdentity? { identity.withLock { $0 } }

  func start(_ handler: any ByteHandler) {
    request {
      $0.handler = handler
      if $0.reading == nil { $0.reading = true }
    }
  }

  func write(_ bytes: [ByteBuffer]) {
    request { requests in
      for piece in bytes {
        if piece.readableBytes <= Self.copiedBytes {
          requests.gathered.writeImmutableBuffer(piece)
        } else {
          requests.seal()
          requests.large.append(piece)
        }
      }
    }
  }

  func setReading(_ reading: Bool) {
    request { $0.reading = reading }
  }

  func close() {
    request { $0.close = true }
  }

  private func request(_ change: (inout Requests) -> Void) {
    let mustQueue = requests.withLock { requests in
      change(&requests)
      defer { requests.isQueued = true }
      return !requests.isQueued
    }
    if mustQueue { loopExecutor.attend(to: self) }
  }

  // MARK: On the loop

  /// Does what was asked for since the last time; the executor calls it in its turn.
  func carryOut() {
    var taken = Requests()
    swap(&taken.gathered, &spare)
    requests.withLock { swap(&$0, &taken) }
    if let handler = taken.handler { begin(handler) }
    send(&taken)
    if let reading = taken.reading, phase == .open { read(reading) }
    if taken.close { beginClosing() }
  }

  private func begin(_ handler: any ByteHandler) {
    for bytes in early { readSize.expect(handler.received(bytes)) }
    if !early.isEmpty { handler.receivedAll() }
    early = []
    guard phase == .fresh else {
      handler.closed(failure)
      return
    }
    phase = .open
    self.handler = handler
  }

  private func send(_ taken: inout Requests) {
    guard let context, phase == .fresh || phase == .open else { return }
    for piece in taken.large {
      writtenBytes += UInt64(piece.readableBytes)
      context.write(wrapOutboundOut(piece), promise: nil)
    }
    if taken.gathered.readableBytes > 0 {
      writtenBytes += UInt64(taken.gathered.readableBytes)
      context.write(wrapOutboundOut(taken.gathered), promise: nil)
    } else if taken.large.isEmpty {
      return
    }
    context.flush()
    if writtenBytes - toldAt >= Self.toldBytes { tellSent() }
    guard taken.gathered.capacity <= Self.keptBufferBytes else { return }
    swap(&spare, &taken.gathered)
    spare.clear()
  }

  /// Tells the handler how much has left. Small things don't come here: asking costs more than they do.
  private func tellSent() {
    guard let context, phase == .open, let handler else { return }
    toldAt = writtenBytes
    let unsent = unsentBytes(context)
    handler.sent(writtenBytes - min(UInt64(unsent), writtenBytes), unsent: unsent)
    guard unsent > 0, !isToldAgain else { return }
    isToldAgain = true
    context.eventLoop.assumeIsolated().scheduleTask(in: Self.toldInterval) {
      self.isToldAgain = false
      self.tellSent()
    }
  }

  private func read(_ reading: Bool) {
    wantsReading = reading
    guard reading, readIsWithheld else { return }
    readIsWithheld = false
    context?.read()
  }

  private func beginClosing() {
    guard phase == .fresh || phase == .open, let context else { return }
    phase = .closing
    read(true)
    let promise = context.eventLoop.makePromise(of: Void.self)
    promise.futureResult.assumeIsolated().whenComplete { _ in self.outputClosed() }
    watchSending(context, graces: Self.sendingGraces)
    context.close(mode: .output, promise: promise)
  }

  /// Closes when none of the unsent bytes leave for a while, or when they take too long altogether. The system
  /// drops what it has of them as well, megabytes, which it would keep for minutes for a peer that doesn't read.
  private func watchSending(_ context: ChannelHandlerContext, graces: Int) {
    let unsent = unsentBytes(context)
    timer = context.eventLoop.assumeIsolated().scheduleTask(in: Self.sendingGrace) {
      if graces > 1, self.unsentBytes(context) < unsent {
        self.watchSending(context, graces: graces - 1)
      } else {
        let socket = context.channel as? any SocketOptionProvider
        _ = socket?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        context.channel.close(promise: nil)
      }
    }
  }

  private func unsentBytes(_ context: ChannelHandlerContext) -> Int {
    (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
  }

  private func outputClosed() {
    guard phase == .closing, let context else { return }
    timer?.cancel()
    timer = closeLater(Self.peerGrace, context)
  }

  private func closeLater(_ grace: TimeAmount, _ context: ChannelHandlerContext) -> Scheduled<Void>
  {
    let channel = context.channel
    return context.eventLoop.scheduleTask(in: grace) { channel.close(promise: nil) }
  }

  /// This connection when it is secure; at once when it needn't be. On the loop.
  func whenSecure() -> EventLoopFuture<SocketConnection> {
    guard let context else { preconditionFailure("asked once, when the channel is connected") }
    guard isSecuring else {
      return failure.map { context.eventLoop.makeFailedFuture($0) }
        ?? context.eventLoop.makeSucceededFuture(self)
    }
    let promise = context.eventLoop.makePromise(of: SocketConnection.self)
    secured = promise
    return promise.futureResult
  }

  private func becameSecure(_ context: ChannelHandlerContext) {
    guard isSecuring else { return }
    isSecuring = false
    timer?.cancel()
    timer = nil
    identity.withLock { $0 = security?.identity(of: context.channel) }
    arrive(context)
    secured.take()?.succeed(self)
  }

  /// A connection that came in is up.
  private func arrive(_ context: ChannelHandlerContext) {
    guard let onActive else { return }
    self.onActive = nil
    onActive(self)
  }

  /// Tells the handler that the connection is gone, once.
  private func leave() {
    let handler = handler
    self.handler = nil
    handler?.closed(failure)
  }

  // MARK: Channel events, on the loop

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    // It can't fail: every socket's channel has the option.
    try? context.channel.syncOptions?.setOption(.recvAllocator, value: readSize)
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
  }

  func channelActive(context: ChannelHandlerContext) {
    if onActive != nil {
      peer = context.remoteAddress.flatMap(Endpoint.init(_:))?.description ?? "a local process"
    }
    if isSecuring {
      timer = closeLater(Self.handshakePatience, context)
    } else {
      arrive(context)
    }
    context.fireChannelActive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if phase == .fresh {
      if readRun == nil || early.count < ReadRun.most { early.append(unwrapInboundIn(data)) }
      return
    }
    guard phase == .open, let handler else { return }
    loopExecutor.readingBegan()
    readSize.expect(handler.received(unwrapInboundIn(data)))
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    handler?.receivedAll()
    loopExecutor.readingEnded()
    switch readRun?.read() {
    case .mark: context.eventLoop.assumeIsolated().execute { self.readRun?.turned() }
    case .stop:
      // The peer, who has sent its last, hears no answers to the rest.
      leave()
      close()
    case .goOn, nil: break
    }
  }

  /// The channel asks for the next read after each one: the place to hold it back.
  func read(context: ChannelHandlerContext) {
    if wantsReading || isSecuring {
      context.read()
    } else {
      readIsWithheld = true
    }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    handler?.writabilityChanged(context.channel.isWritable)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case TLSUserEvent.handshakeCompleted? = event as? TLSUserEvent { becameSecure(context) }
    guard case ChannelEvent.inputClosed? = event as? ChannelEvent else { return }
    leave()
    close()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if failure == nil {
      failure =
        security?.explain(error, peer: peer, channel: context.channel)
        ?? SocketErrors.connection(to: peer, error)
    }
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    phase = .closed
    timer?.cancel()
    timer = nil
    let lost = RPCError(
      .unavailable, "can't connect to \(peer): it closed the connection before it was secure")
    secured.take()?.fail(failure ?? lost)
    isSecuring = false
    leave()
    loopExecutor.readingEnded()
  }
}
