internal import NIOCore
internal import Synchronization

extension Connection {
  /// Has what is written leave soon: the pump does it, behind whatever else is ready to run, so that
  /// what many calls write leaves together.
  func wantFlush(_ state: inout State, _ wakeups: inout Wakeups) {
    guard !state.isFlushWanted else { return }
    state.isFlushWanted = true
    wakeups.resume(&state.pump)
  }

  /// Hands the transport what is written and what may be. Leaves `isFlushWanted` when more may follow
  /// at once.
  func flush(_ state: inout State, _ wakeups: inout Wakeups) {
    state.isFlushWanted = false
    guard !state.isClosing else { return }
    if case .open = state.phase { fill(&state, &wakeups) }
    let output = state.outbox.take()
    if state.outbox.hasPending { watchStall(&state) } else { state.stall.nothingPends() }
    guard !output.isEmpty else { return }
    for piece in output { state.bytesSent += UInt64(piece.readableBytes) }
    bytes.write(output)
    holdBack(output, &state)
    state.outbox.reuse(output)
    guard state.isWritable, state.outbox.hasPending else { return }
    fill(&state, &wakeups)
    state.isFlushWanted = state.outbox.byteCount > 0
    if state.isFlushWanted { wakeups.resume(&state.pump) }
  }

  /// Server: stops reading from a peer that has us write answers which it doesn't read, until it does.
  ///
  /// Bodies and other large messages wait in the outbox while the connection is stalled; answers,
  /// refusals, pings' answers and credit don't, and a peer that only sends could have any number of
  /// them pile up. A client goes on reading, else both sides could wait for each other: what a server
  /// can have it write is bounded by its open calls and by the rule on pings.
  private func holdBack(_ output: [ByteBuffer], _ state: inout State) {
    guard role == .server, !state.isWritable, state.isReading else { return }
    state.piledBytes += output.reduce(0) { $0 + $1.readableBytes }
    guard state.piledBytes > Self.piledBytes else { return }
    state.isReading = false
    bytes.setReading(false)
    state.frameWatch.rest(now: time.now)
  }

  /// Reads again what was held back. Until now the peer couldn't be heard: its silence begins anew, and a
  /// frame has what it had left of its time.
  func readOn(_ state: inout State) {
    guard !state.isReading else { return }
    state.isReading = true
    bytes.setReading(true)
    state.lastReceived = time.now
    state.pingSent = nil
    state.frameWatch.goOn(now: state.lastReceived)
    if let due = state.frameWatch.due { arm(due, &state) }
    guard !state.calls.isEmpty else { return }
    arm(state.lastReceived.advanced(by: keepaliveInterval(state)), &state)
  }

  /// Writes credit that is due and pieces of the messages that wait.
  private func fill(_ state: inout State, _ wakeups: inout Wakeups) {
    if state.machine.hasWindows {
      var outbox = state.outbox
      state.outbox = Outbox()
      let now = time.now
      state.machine.takeWindows(now: now) { id, limit in
        outbox.append(.window, stream: id, message: limit, messageLength: 8)
      }
      if let ping = state.machine.takePing(now: now) {
        outbox.append(.ping, stream: 0, message: ping, messageLength: 8)
      }
      state.outbox = outbox
    }
    guard state.isWritable, state.outbox.hasPending else { return }
    for id in state.outbox.fill(&state.machine, budget: Self.flushBytes) {
      guard let call = state.calls[id] else { continue }
      call.isWritten = true
      wakeups.resume(&call.writer)
    }
  }

  /// Whether a large message may be written now.
  func hasRoom(_ state: borrowing State) -> Bool {
    state.isWritable && state.outbox.byteCount < Self.flushBytes
  }
}

// MARK: Time

extension Connection {
  /// Has the timekeeper ring at `instant` or earlier.
  func arm(_ instant: Instant, _ state: inout State) {
    if let armed = state.armed, armed <= instant { return }
    state.armed = instant
    timekeeper.arm(instant)
  }

  /// The connection's one timer, for all its deadlines.
  func keepTime() async {
    enter { state, _ in
      if let alarm = nextAlarm(state) { arm(alarm, &state) }
    }
    await timekeeper.run { ring($0) }
  }

  /// The timer rings: what is over its time ends; when it is to ring next.
  func ring(_ now: Instant) -> Instant? {
    enter { state, wakeups in
      state.armed = nil
      guard !state.isClosing else { return nil }
      expire(&state, &wakeups, now: now)
      state.isWatched = !state.calls.isEmpty
      state.armed = state.isClosing ? nil : nextAlarm(state)
      return state.armed
    }
  }

  /// Ends what is over its time.
  private func expire(_ state: inout State, _ wakeups: inout Wakeups, now: Instant) {
    let error = RPCError(.deadlineExceeded, "the call to \(peer) took longer than its deadline")
    let late = state.calls.values.filter { $0.deadline.map { $0 <= now } ?? false }
    for call in late.sorted(by: { $0.id < $1.id }) {
      abandon(call, error, &state, &wakeups)
    }
    for call in state.queue where call.deadline.map({ $0 <= now }) ?? false {
      end(call, error, &state, &wakeups)
    }
    state.queue.removeAll { $0.isOver }
    if case .starting = state.phase {
      if state.began.advanced(by: prefaceTimeout) <= now {
        let text = "\(peer) didn't answer within \(prefaceTimeout)"
        close(RPCError(.unavailable, text), &state, &wakeups)
      }
    }
    if state.frameWatch.isLate(now: now) {
      fail(ConnectionFailure("a frame took too long"), &state, &wakeups)
    }
    expireDrain(&state, &wakeups, now: now)
    expireIdle(&state, &wakeups, now: now)
    expireStall(&state, &wakeups, now: now)
    keepAlive(&state, &wakeups, now: now)
  }

  /// Pings a peer that is silent while calls are open, and gives up one that stays so. A peer that isn't
  /// read can't but be silent.
  private func keepAlive(_ state: inout State, _ wakeups: inout Wakeups, now: Instant) {
    guard case .open = state.phase, !state.calls.isEmpty, state.isReading else { return }
    if let sent = state.pingSent {
      guard sent.advanced(by: keepaliveInterval(state)) <= now else { return }
      close(RPCError(.unavailable, "\(peer) doesn't answer any more"), &state, &wakeups)
    } else if state.lastReceived.advanced(by: keepaliveInterval(state)) <= now {
      state.pingSent = now
      state.outbox.append(.ping, stream: 0, message: now.nanoseconds, messageLength: 8)
      wantFlush(&state, &wakeups)
    }
  }

  /// Something waits for the peer: from now on it is watched whether it takes any of it.
  func watchStall(_ state: inout State) {
    guard role == .server, let timeout = configuration.stallTimeout, state.stall.since == nil
    else { return }
    let now = time.now
    if !isStalled(&state, timeout, now: now), state.stall.since != nil {
      arm(now.advanced(by: timeout), &state)
    }
  }

  /// Gives up a peer that takes nothing of what waits for it.
  private func expireStall(_ state: inout State, _ wakeups: inout Wakeups, now: Instant) {
    guard role == .server, let timeout = configuration.stallTimeout, !state.isClosing,
      isStalled(&state, timeout, now: now)
    else { return }
    let text = "nothing of what waits for you was taken within \(timeout)"
    fail(ConnectionFailure(text, code: .resourceExhausted), &state, &wakeups)
  }

  private func isStalled(_ state: inout State, _ timeout: Duration, now: Instant) -> Bool {
    state.stall.isStalled(
      hasPending: state.outbox.hasPending, credit: state.machine.outgoing.sent, now: now,
      timeout: timeout)
  }

  /// How long the peer's preface may take.
  private var prefaceTimeout: Duration {
    role == .client ? configuration.connectTimeout : Self.prefaceTimeout
  }

  /// As configured, and no shorter than the peer allows.
  private func keepaliveInterval(_ state: borrowing State) -> Duration {
    let least = state.machine.remote?.minPingIntervalMilliseconds ?? 0
    return max(configuration.keepaliveInterval, .milliseconds(Int64(clamping: least)))
  }

  /// When there is next something to look at.
  private func nextAlarm(_ state: borrowing State) -> Instant? {
    var next: Instant?
    func consider(_ instant: Instant?) {
      guard let instant else { return }
      next = next.map { min($0, instant) } ?? instant
    }
    for call in state.calls.values { consider(call.deadline) }
    for call in state.queue { consider(call.deadline) }
    consider(state.drainRefuses)
    consider(state.drainEnds)
    if let timeout = configuration.stallTimeout {
      consider(state.stall.since?.advanced(by: timeout))
    }
    if case .starting = state.phase {
      consider(state.began.advanced(by: prefaceTimeout))
    } else if state.machine.drain == .none {
      consider(state.idleCheck)
    }
    consider(state.frameWatch.due)
    if !state.calls.isEmpty, state.isReading {
      consider((state.pingSent ?? state.lastReceived).advanced(by: keepaliveInterval(state)))
    }
    return next
  }

  /// A call was opened: its deadline counts, and the peer is watched.
  func watch(_ call: Call, _ state: inout State) {
    if let deadline = call.deadline { arm(deadline, &state) }
    guard !state.isWatched else { return }
    state.isWatched = true
    arm(time.now.advanced(by: keepaliveInterval(state)), &state)
  }
}
