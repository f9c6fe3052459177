internal import NIOCore
internal import Schema
internal import Synchronization

// MARK: Reading and writing, on either side

extension Connection {
  /// Takes the next message of a call; nil after the last.
  func take(_ call: Call) async throws(RPCError) -> InboundMessage? {
    while true {
      let taken = enter { state, wakeups -> Result<InboundMessage?, RPCError>? in
        if let message = takeFirst(of: call, &state, &wakeups) { return .success(message) }
        if let error = call.ending { return .failure(error) }
        return call.isInboundEnded ? .success(nil) : nil
      }
      if let taken { return try taken.get() }
      try await wait(for: call, .reader) { call in
        !call.inbound.isEmpty || call.isInboundEnded || call.ending != nil
      }
    }
  }

  /// Takes the only message of a side that sends one, and sees that none follows.
  ///
  /// - Throws: how the call failed; an error of `code` when there is none or more than one.
  func takeOnly(_ call: Call, _ code: StatusCode) async throws(RPCError) -> InboundMessage {
    // What mostly came, all of it in one frame, is taken at once.
    let whole = enter { state, wakeups -> InboundMessage? in
      guard call.isInboundEnded, call.ending == nil, call.inbound.count == 1 else { return nil }
      return takeFirst(of: call, &state, &wakeups)
    }
    if let whole { return whole }
    guard let message = try await take(call) else {
      throw RPCError(code, "\(call.path): a message is missing")
    }
    guard try await take(call) == nil else {
      throw RPCError(code, "\(call.path): more than one message")
    }
    return message
  }

  /// Takes a message that is there; its credit goes back.
  private func takeFirst(
    of call: Call, _ state: inout State, _ wakeups: inout Wakeups
  ) -> InboundMessage? {
    guard let message = call.inbound.popFirst() else { return nil }
    state.machine.consumed(call.id, cost: message.cost)
    if state.machine.hasWindows { wantFlush(&state, &wakeups) }
    return message
  }

  /// Sends a message of a call; returns when the connection has taken all of it.
  func write<Content: Message>(_ content: Content, _ call: Call) async throws {
    let isWritten = try enter { state, wakeups in
      try checkWritable(call, &state)
      guard !call.isOutboundEnded else {
        throw RPCError(.failedPrecondition, "a message after the last one of \(call.path)")
      }
      sendHead(of: call, &state)
      return try send(
        content, Outbox.Purpose(type: .message, call: call.id, hasRoom: hasRoom(state)), call,
        &state, &wakeups)
    }
    if !isWritten { try await waitUntilWritten(call) }
  }

  /// Waits until the call's message has left the outbox.
  func waitUntilWritten(_ call: Call) async throws(RPCError) {
    while true {
      let written = enter { state, _ -> Result<Void, RPCError>? in
        if call.isWritten { return .success(()) }
        if call.isOver { return .failure(overError(call)) }
        return nil
      }
      if let written { return try written.get() }
      try await wait(for: call, .writer) { $0.isWritten || $0.isOver }
    }
  }

  /// Encodes a message into the outbox; false when it waits there.
  private func send<Content: Message>(
    _ content: Content, _ purpose: Outbox.Purpose, _ call: Call, _ state: inout State,
    _ wakeups: inout Wakeups, meta: (inout ByteBuffer) -> Void = { _ in }
  ) throws -> Bool {
    let sending: Outbox.Sending
    do throws(SchemaError) {
      sending = try state.outbox.send(content, purpose, &state.machine, meta: meta)
    } catch {
      throw RPCError(.internal, "a message of \(call.path) can't be encoded", cause: error)
    }
    wantFlush(&state, &wakeups)
    switch sending {
    case .sent: return true
    case .waits:
      call.isWritten = false
      return false
    case .tooLarge(let text): throw RPCError.beyondLimit(text)
    }
  }

  private func checkWritable(_ call: Call, _ state: inout State) throws(RPCError) {
    if call.isOver { throw overError(call) }
    if !call.isWritten { throw stillWriting(call) }
  }

  /// One task writes at a time; a write that was cancelled leaves its message to be sent.
  private func stillWriting(_ call: Call) -> RPCError {
    RPCError(.failedPrecondition, "a message of \(call.path) is still being sent")
  }

  private func overError(_ call: Call) -> RPCError {
    call.ending ?? RPCError(.cancelled, "the call of \(call.path) is over")
  }

  /// Waits until `isReady`, checked under the lock, or until somebody resumes the waiter.
  ///
  /// - Throws: `cancelled` when the task is.
  func wait(
    for call: Call, _ side: Call.Side, until isReady: (Call) -> Bool
  ) async throws(RPCError) {
    await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in
        let mustWait = state.withLock { _ in
          if Task.isCancelled || isReady(call) { return false }
          precondition(call[side] == nil, "one task reads and one writes at a time")
          call[side] = continuation
          return true
        }
        if !mustWait { continuation.resume() }
      }
    } onCancel: {
      enter { _, wakeups in wakeups.resume(&call[side]) }
    }
    guard Task.isCancelled else { return }
    let error = enter { _, _ in isReady(call) ? call.ending : nil }
    if let error { throw error }
    throw RPCError(.cancelled, "the task was cancelled while it waited for \(call.path)")
  }
}

// MARK: A client's calls

extension Connection {
  /// Whether a channel may give calls to it.
  var takesCalls: Bool {
    state.withLock { state in
      if case .open = state.phase { state.machine.drain == .none } else { false }
    }
  }

  /// Makes a unary call. When it fails with `isUnprocessed` in `call`, the server never began it.
  func unary<Request: Message, Response: Message>(
    _ call: Call, _ request: Request, metadata: Metadata, as: Response.Type
  ) async throws -> UnaryResponse<Response> {
    while true {
      let isOpen = try enter { state, wakeups in
        guard try place(call, metadata, &state, &wakeups) else { return false }
        let opening = opening(of: call, metadata, &state)
        let purpose = Outbox.Purpose(
          type: .call, call: call.id, endsStream: true, hasRoom: hasRoom(state))
        call.isOutboundEnded = true
        do {
          _ = try send(request, purpose, call, &state, &wakeups) { opening.encode(into: &$0) }
        } catch {
          withdraw(call, opening, &state, &wakeups)
          throw error
        }
        return true
      }
      if isOpen { break }
      try await waitForPlace(call)
    }
    do throws(RPCError) {
      while true {
        try await wait(for: call, .reader) { $0.isOver }
        if let outcome: UnaryResponse<Response> = try outcome(of: call) { return outcome }
      }
    } catch {
      abandon(call, error)
      throw error
    }
  }

  /// Opens a call of any kind, with its metadata alone.
  func open(_ call: Call, metadata: Metadata) async throws(RPCError) {
    while true {
      let opened = enter { state, wakeups -> Result<Bool, RPCError> in
        do throws(RPCError) {
          guard try place(call, metadata, &state, &wakeups) else { return .success(false) }
        } catch {
          return .failure(error)
        }
        let opening = opening(of: call, metadata, &state)
        state.outbox.append(.call, stream: call.id) { opening.encode(into: &$0) }
        wantFlush(&state, &wakeups)
        return .success(true)
      }
      if try opened.get() { return }
      try await waitForPlace(call)
    }
  }

  /// Says that a client's last message has been written.
  func finishWriting(_ call: Call) throws(RPCError) {
    let error = enter { state, wakeups -> RPCError? in
      if call.isOutboundEnded || role == .server { return nil }
      if call.isOver { return call.ending }
      if !call.isWritten { return stillWriting(call) }
      call.isOutboundEnded = true
      state.outbox.append(.message, stream: call.id, flags: .endStream)
      state.machine.sent(FrameHeader(type: .message, flags: .endStream, stream: call.id))
      wantFlush(&state, &wakeups)
      return nil
    }
    if let error { throw error }
  }

  /// Ends a call that its maker has left, if it isn't over; what it didn't read is dropped.
  func abandon(_ call: Call, _ error: RPCError) {
    enter { state, wakeups in
      abandon(call, error, &state, &wakeups)
      dropInbound(of: call, &state)
      if state.machine.hasWindows { wantFlush(&state, &wakeups) }
    }
  }

  /// Gives a call its id; false when it has to wait for a place, behind those that wait already.
  func place(
    _ call: Call, _ metadata: Metadata, _ state: inout State, _ wakeups: inout Wakeups
  ) throws(RPCError) -> Bool {
    let isAdmitted = takeKeptPlace(of: call, &state)
    if call.isOver { throw overError(call) }
    guard call.path.utf8.count <= MethodNumbers.mostPathBytes else {
      throw RPCError(
        .invalidArgument,
        "a method's path has at most \(MethodNumbers.mostPathBytes) bytes")
    }
    if let remote = state.machine.remote {
      let bytes = metadata.encodedBytes + call.path.utf8.count + CallOpening.fixedBytes
      guard bytes <= remote.mostMeta else {
        throw .beyondLimit(
          "\(bytes) bytes of metadata are more than \(peer) takes, which is \(remote.mostMeta)")
      }
    }
    if case .closing(let error) = state.phase {
      call.isUnprocessed = true
      throw error
    }
    guard state.machine.drain == .none else {
      call.isUnprocessed = true
      throw leavingError(state)
    }
    guard isAdmitted || state.queue.isEmpty, hasFreePlace(state) else {
      state.queue.append(call)
      watch(call, &state)
      return false
    }
    call.id = state.machine.openCall()
    state.calls[call.id] = call
    watch(call, &state)
    if state.machine.areIDsUsedUp { leave(&state, &wakeups) }
    return true
  }

  /// Why no call is made here any more though the connection is open.
  func leavingError(_ state: borrowing State) -> RPCError {
    RPCError(
      .unavailable,
      state.machine.areIDsUsedUp
        ? "the connection to \(peer) has no ids left for calls" : "\(peer) is stopping")
  }

  /// No new calls are made here: the owner is told, and those that wait for a place were surely not begun.
  func leave(_ state: inout State, _ wakeups: inout Wakeups) {
    wakeups.perform { self.events.draining(self) }
    let waiting = state.queue
    state.queue = []
    for call in waiting { endUnprocessed(call, &state, &wakeups) }
  }

  /// Ends a call that the server surely never began, as the connection takes none.
  func endUnprocessed(_ call: Call, _ state: inout State, _ wakeups: inout Wakeups) {
    call.isUnprocessed = true
    end(call, leavingError(state), &state, &wakeups)
  }

  private func waitForPlace(_ call: Call) async throws(RPCError) {
    do throws(RPCError) {
      try await wait(for: call, .reader) { $0.isOver || $0.isAdmitted }
    } catch {
      enter { state, wakeups in giveUpPlace(of: call, error, &state, &wakeups) }
      throw error
    }
  }

  /// A call that waited for a place needs none any more; one that is kept for it goes to the next.
  func giveUpPlace(
    of call: Call, _ error: RPCError, _ state: inout State, _ wakeups: inout Wakeups
  ) {
    state.queue.removeAll { $0 === call }
    _ = takeKeptPlace(of: call, &state)
    end(call, error, &state, &wakeups)
  }

  /// Whether a call may be made beside those for which a place is kept.
  func hasFreePlace(_ state: borrowing State) -> Bool {
    state.machine.canOpenCall(beside: state.admittedCount)
  }

  /// A call for which a place was kept has come; false when there was none.
  private func takeKeptPlace(of call: Call, _ state: inout State) -> Bool {
    guard call.isAdmitted else { return false }
    call.isAdmitted = false
    state.admittedCount -= 1
    return true
  }

  private func opening(
    of call: Call, _ metadata: Metadata, _ state: inout State
  ) -> CallOpening {
    var opening = CallOpening(metadata: metadata)
    if let number = state.methodIDs[call.path] {
      opening.methodID = number
    } else {
      opening.method = call.path
      if state.methodIDs.count < MethodNumbers.most {
        opening.methodID = UInt32(state.methodIDs.count) + 1
        state.methodIDs[call.path] = opening.methodID
      }
    }
    if let deadline = call.deadline {
      let left = time.now.duration(to: deadline).components
      let microseconds = left.seconds * 1_000_000 + left.attoseconds / 1_000_000_000_000
      opening.timeoutMicroseconds = UInt64(max(microseconds, 1))
    }
    return opening
  }

  /// The request couldn't be encoded: the CALL goes without it and is cancelled, so that ids and
  /// method numbers stay in step.
  private func withdraw(
    _ call: Call, _ opening: CallOpening, _ state: inout State, _ wakeups: inout Wakeups
  ) {
    state.outbox.append(.call, stream: call.id) { opening.encode(into: &$0) }
    abandon(call, RPCError(.cancelled, "the request wasn't sent"), &state, &wakeups)
  }

  /// How a unary call ended; nil while it hasn't.
  private func outcome<Response: Message>(
    of call: Call
  ) throws(RPCError) -> UnaryResponse<Response>? {
    let responses = enter { state, wakeups -> InboundQueue? in
      guard call.isOver else { return nil }
      let responses = call.inbound
      dropInbound(of: call, &state)
      if state.machine.hasWindows { wantFlush(&state, &wakeups) }
      return responses
    }
    guard let responses else { return nil }
    if let error = call.ending { throw error }
    guard let message = responses.first, responses.count == 1 else {
      throw RPCError(.internal, "\(peer) gave \(responses.count) responses to \(call.path)")
    }
    return UnaryResponse(
      message: try call.decode(message), metadata: call.headMetadata,
      trailingMetadata: call.trailingMetadata)
  }
}

extension Call {
  /// Decodes a message of the call.
  func decode<Content: Message>(_ message: InboundMessage) throws(RPCError) -> Content {
    do throws(SchemaError) {
      return try Content(
        decoding: message.bytes, body: message.body,
        limits: connection.configuration.decodingLimits)
    } catch {
      let code = connection.role == .server ? StatusCode.invalidArgument : .internal
      throw RPCError(code, "a message of \(path) can't be decoded: \(error)", cause: error)
    }
  }
}
