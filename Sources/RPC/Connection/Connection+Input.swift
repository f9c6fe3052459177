internal import DequeModule
internal import NIOCore
internal import Schema

extension Connection {
  /// Does what the machine decided. Under the lock.
  func perform(
    _ action: ConnectionAction, _ state: inout State, _ wakeups: inout Wakeups, now: Instant
  ) {
    switch action {
    case .nothing: break
    case .ready:
      state.phase = .open
      if let check = state.idleCheck { arm(check, &state) }
      announceStop(&state, &wakeups, now: now)
      wakeups.perform { self.events.ready(self) }
    case .open(let id, let opening, let message, let isEnded):
      open(id, opening, message, isEnded: isEnded, &state, &wakeups, now: now)
    case .reject(let id, let ending, let isRefusal):
      state.outbox.append(isRefusal ? .refuse : .end, stream: id) { ending.encode(into: &$0) }
    case .head(let id, let metadata):
      state.calls[id]?.headMetadata = metadata
    case .message(let id, let message, let isEnded):
      deliver(message, isEnded: isEnded, id, &state, &wakeups)
    case .end(let id, let ending, let message):
      finish(id, ending, message, &state, &wakeups)
    case .refused(let id, let ending):
      guard let call = state.calls.removeValue(forKey: id) else { break }
      call.isUnprocessed = true
      end(call, error(ending), &state, &wakeups)
    case .cancelled(let id, let ending):
      guard let call = state.calls.removeValue(forKey: id) else { break }
      end(call, error(ending), &state, &wakeups)
    case .callFailed(let id, let ending, let isOver):
      if !isOver {
        state.outbox.append(role == .server ? .end : .cancel, stream: id) {
          ending.encode(into: &$0)
        }
      }
      guard let call = state.calls.removeValue(forKey: id) else { break }
      var failure = error(ending)
      failure.isOfThisSide = true
      end(call, failure, &state, &wakeups)
    case .creditGrew: break  // `receivedAll` follows and fills.
    case .pong(let value):
      state.outbox.append(.ping, stream: 0, flags: .ack, message: value, messageLength: 8)
    case .drainHeard: refuseCalls(&state, &wakeups)
    case .goAway(_, let notBegun):
      for call in notBegun.compactMap({ state.calls.removeValue(forKey: $0) }) {
        endUnprocessed(call, &state, &wakeups)
      }
      leave(&state, &wakeups)
      closeIfDrained(&state, &wakeups)
    case .peerFailed(let ending):
      let text = "\(peer) gave the connection up: \(ending.message)"
      close(RPCError(.unavailable, text), &state, &wakeups)
    }
  }

  /// Server: a call came in.
  private func open(
    _ id: UInt32, _ opening: CallOpening, _ message: InboundMessage?, isEnded: Bool,
    _ state: inout State, _ wakeups: inout Wakeups, now: Instant
  ) {
    guard let route = router.routes[opening.method] else {
      let error = RPCError(.unimplemented, "there is no method \(opening.method) here")
      let ending = CallEnding(error, trailing: Metadata(), maxMeta: maxMeta(state))
      state.outbox.append(.end, stream: id) { ending.encode(into: &$0) }
      _ = state.machine.closeCall(id)
      state.machine.handlerEnded()
      if let message { state.machine.consumed(id, cost: message.cost) }
      return
    }
    let timeout = opening.timeoutMicroseconds
    let deadline =
      timeout == 0
      ? nil : now.advanced(by: .microseconds(Int64(clamping: min(timeout, 1 << 53))))
    let call = Call(
      connection: self, path: opening.method, deadline: deadline,
      requestMetadata: opening.metadata, began: now)
    call.id = id
    if let message { call.inbound.append(message, ofRead: state.bytesReceived) }
    call.isInboundEnded = isEnded
    state.metadataBytes += call.requestMetadata.memoryBytes
    state.calls[id] = call
    state.newCalls.append((call, route))
    watch(call, &state)
    wakeups.resume(&state.pump)
  }

  private func deliver(
    _ message: InboundMessage?, isEnded: Bool, _ id: UInt32, _ state: inout State,
    _ wakeups: inout Wakeups
  ) {
    guard let call = state.calls[id] else {
      if let message { state.machine.consumed(id, cost: message.cost) }
      return
    }
    accept(message, call, &state, &wakeups)
    if isEnded { call.isInboundEnded = true }
    wakeups.resume(&call.reader)
  }

  private func accept(
    _ message: InboundMessage?, _ call: Call, _ state: inout State, _ wakeups: inout Wakeups
  ) {
    guard let message else { return }
    if let limit = call.maxMessageBytes, message.bytes.readableBytes + message.body.count > limit {
      state.machine.consumed(call.id, cost: message.cost)
      let text = "a message of more than \(limit) bytes from \(peer)"
      abandon(call, .beyondLimit(text), &state, &wakeups)
      return
    }
    call.inbound.append(message, ofRead: state.bytesReceived)
  }

  /// Client: the server ended a call.
  private func finish(
    _ id: UInt32, _ ending: CallEnding, _ message: InboundMessage?, _ state: inout State,
    _ wakeups: inout Wakeups
  ) {
    guard let call = state.calls[id] else {
      if let message { state.machine.consumed(id, cost: message.cost) }
      return
    }
    accept(message, call, &state, &wakeups)
    state.calls[id] = nil
    guard !call.isOver else { return }
    call.trailingMetadata = ending.metadata
    end(call, ending.code == .ok ? nil : error(ending), &state, &wakeups)
  }

  private func error(_ ending: CallEnding) -> RPCError {
    // A failure that claims to be a success is none of our making: name it.
    let code = ending.code == .ok ? StatusCode.unknown : ending.code
    return RPCError(
      code, ending.message, metadata: ending.metadata,
      details: ErrorDetails.decode(ending.details))
  }
}

// MARK: The end of a call

extension Connection {
  /// A call is over, on a client with its outcome (nil: success); whoever waits in it goes on, and a
  /// server's handler is cancelled.
  func end(
    _ call: Call, _ error: RPCError?, _ state: inout State, _ wakeups: inout Wakeups
  ) {
    guard !call.isOver else { return }
    call.isOver = true
    call.isInboundEnded = true
    call.ending = error
    state.outbox.drop(call.id)
    wakeups.resume(&call.reader)
    wakeups.resume(&call.writer)
    if role == .server {
      dropInbound(of: call, &state)
      wakeups.cancelHandler(of: call)
    } else {
      admitWaiting(&state, &wakeups)
      closeIfDrained(&state, &wakeups)
    }
  }

  /// Ends a call at this side's wish and tells the peer.
  func abandon(
    _ call: Call, _ error: RPCError, _ state: inout State, _ wakeups: inout Wakeups
  ) {
    guard state.calls.removeValue(forKey: call.id) != nil, !call.isOver else { return }
    if state.machine.closeCall(call.id), !state.isClosing {
      let ending = CallEnding(
        code: error.code, message: role == .server ? error.message : "")
      state.outbox.append(role == .server ? .end : .cancel, stream: call.id) {
        ending.encode(into: &$0)
      }
      wantFlush(&state, &wakeups)
    }
    end(call, error, &state, &wakeups)
  }

  /// Messages that nobody will read any more: their credit goes back.
  func dropInbound(of call: Call, _ state: inout State) {
    while let message = call.inbound.popFirst() {
      state.machine.consumed(call.id, cost: message.cost)
    }
  }

  /// Client: gives free places to the calls that wait for one, in the order in which they came.
  private func admitWaiting(_ state: inout State, _ wakeups: inout Wakeups) {
    while !state.queue.isEmpty, hasFreePlace(state) {
      let next = state.queue.removeFirst()
      next.isAdmitted = true
      state.admittedCount += 1
      wakeups.resume(&next.reader)
    }
  }
}
