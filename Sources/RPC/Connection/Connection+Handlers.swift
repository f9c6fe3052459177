internal import NIOCore
internal import Schema

// MARK: A server's calls

extension Connection {
  /// Runs the handler of a call: a child task of `run()`.
  func serve(_ call: Call, _ route: Router.Route) async {
    await withUnsafeCurrentTask { task in
      let (isOver, mustCancel) = enter { _, _ in
        call.task = task
        return (call.isOver, call.mustCancel)
      }
      if mustCancel { task?.cancel() }
      let failure = isOver ? nil : await handle(call, route)
      let isBeingCancelled = enter { state, wakeups in
        finish(call, failure, &state, &wakeups)
        if !call.isCancelling { call.task = nil }
        return call.isCancelling
      }
      if isBeingCancelled { await waitForCanceller(of: call) }
    }
  }

  /// A handler has returned: its call ends, if it hasn't.
  private func finish(
    _ call: Call, _ failure: RPCError?, _ state: inout State, _ wakeups: inout Wakeups
  ) {
    if state.calls.removeValue(forKey: call.id) != nil {
      if state.machine.closeCall(call.id), !state.isClosing {
        sendEnd(of: call, failure, &state)
        wantFlush(&state, &wakeups)
      }
      call.isOver = true
    }
    dropInbound(of: call, &state)
    state.metadataBytes -= call.requestMetadata.memoryBytes
    if state.machine.hasWindows { wantFlush(&state, &wakeups) }
    state.machine.handlerEnded()
    closeIfDrained(&state, &wakeups)
  }

  /// Runs the handler; the error that its caller is to see.
  private func handle(_ call: Call, _ route: Router.Route) async -> RPCError? {
    let context = CallContext(call)
    return await CallContext.$current.withValue(context) {
      do {
        try await route(call, context)
        return nil
      } catch let error as RPCError {
        return error
      } catch is CancellationError {
        return RPCError(.cancelled, "the handler of \(call.path) was cancelled")
      } catch {
        return RPCError(.unknown, "the handler of \(call.path) failed")
      }
    }
  }

  /// The task is about to go, and from then on nobody may touch it: whoever is just cancelling it finishes
  /// first.
  private func waitForCanceller(of call: Call) async {
    await withUnsafeContinuation { continuation in
      let isFree = enter { _, _ in
        if call.isCancelling {
          call.leaver = continuation
        } else {
          call.task = nil
        }
        return !call.isCancelling
      }
      if isFree { continuation.resume() }
    }
  }

  /// Cancels a handler's task. Not under the lock: what the task waits for is told at once, and takes it.
  func cancelTask(of call: Call) {
    call.task?.cancel()
    enter { _, wakeups in
      call.isCancelling = false
      if call.leaver != nil { call.task = nil }
      wakeups.resume(&call.leaver)
    }
  }

  /// Sends HEAD once, when there is something in it.
  func sendHead(of call: Call, _ state: inout State) {
    guard role == .server, !call.isHeadSent else { return }
    call.isHeadSent = true
    guard !call.headMetadata.entries.isEmpty, call.headMetadata.encodedBytes <= maxMeta(state)
    else { return }
    state.outbox.append(.head, stream: call.id) { call.headMetadata.encode(into: &$0, field: 1) }
  }

  /// Answers a unary request: the response leaves with the call's end.
  func respond<Content: Message>(_ content: Content, _ call: Call) async throws {
    let isSent = try enter { state, wakeups in
      guard !call.isOver, state.calls[call.id] === call else { return true }
      sendHead(of: call, &state)
      let ending = CallEnding(nil, trailing: call.trailingMetadata, maxMeta: maxMeta(state))
      let purpose = Outbox.Purpose(type: .end, call: call.id, hasRoom: hasRoom(state))
      let sending: Outbox.Sending
      do throws(SchemaError) {
        sending = try state.outbox.send(content, purpose, &state.machine) {
          ending.encode(into: &$0)
        }
      } catch {
        throw RPCError(.internal, "the response of \(call.path) can't be encoded", cause: error)
      }
      wantFlush(&state, &wakeups)
      switch sending {
      case .sent:
        state.calls[call.id] = nil
        call.isOver = true
        return true
      case .waits:
        call.isWritten = false
        return false
      case .tooLarge(let text): throw RPCError.beyondLimit(text)
      }
    }
    if !isSent { try await waitUntilWritten(call) }
  }

  /// Sends the end of a call without a message.
  private func sendEnd(of call: Call, _ error: RPCError?, _ state: inout State) {
    if error == nil { sendHead(of: call, &state) }
    state.outbox.drop(call.id)
    let ending = CallEnding(error, trailing: call.trailingMetadata, maxMeta: maxMeta(state))
    state.outbox.append(.end, stream: call.id) { ending.encode(into: &$0) }
  }

  /// The most bytes of a frame's meta that the peer takes.
  func maxMeta(_ state: borrowing State) -> Int { state.machine.remote?.mostMeta ?? 0 }
}
