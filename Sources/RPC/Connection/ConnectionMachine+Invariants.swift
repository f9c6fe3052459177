internal import Schema

extension ConnectionMachine {
  /// Stops the program when the books contradict each other. For tests and the simulation: it looks at
  /// every call.
  func checkInvariants() {
    var held: UInt64 = 0
    var begun: UInt64 = 0
    for id in calls.ids {
      guard let call = calls[id] else { continue }
      precondition(id % 2 == 1 && id <= lastID, "an open call's id was used")
      precondition(call.incoming.held <= call.incoming.received, "held was received")
      precondition(call.incoming.received <= call.incoming.limit, "no credit is exceeded")
      precondition(
        call.incoming.window <= max(local.callWindow, incoming.window / Self.windowShares),
        "a window that has grown leaves room for others")
      precondition(call.outgoing.sent <= call.outgoing.limit, "no more is sent than granted")
      precondition(role == .server || !call.isRemoteEnded, "a server's last word is END")
      precondition(role == .client || !call.isLocalEnded, "a server's last word is END")
      precondition(
        UInt64(call.assembly.message.body.count) <= local.maxBody, "a body within its limit")
      held += call.incoming.held
      begun += call.assembly.message.cost
    }
    precondition(begun == unfinished, "what isn't whole is counted")
    precondition(
      unfinished <= limits.maxUnfinished, "messages that aren't whole within their budget")
    precondition(held <= incoming.held, "what calls hold, the connection holds")
    precondition(incoming.held <= incoming.received, "held was received")
    precondition(incoming.received <= incoming.limit, "no credit is exceeded")
    precondition(outgoing.sent <= outgoing.limit, "no more is sent than granted")
    precondition(remote != nil || (calls.isEmpty && lastID == 0), "no call before the preface")
    precondition(role == .server || handlers == 0, "clients have no handlers")
    precondition(calls.count <= handlers || role == .client, "every open call has its handler")
  }
}
