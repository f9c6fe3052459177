internal import RPC

/// Tells what the server's connections are at.
struct DebugReports: DebugService {
  /// What is told at most, so that the answer stays below a message's limit of 4 MiB: a call takes some 50
  /// bytes and its method's path.
  private static let limits = {
    var limits = ServerReport.Limits()
    limits.connections = 1_000
    limits.callsOfConnection = 100
    limits.calls = 10_000
    return limits
  }()

  let monitor: ServerMonitor

  func getConnections(
    _ request: GetConnectionsRequest, context: CallContext
  ) async throws -> GetConnectionsResponse {
    let report = monitor.report(within: Self.limits)
    return GetConnectionsResponse(
      ageUs: report.age.microseconds, draining: report.isDraining,
      connections: report.connections.map(Self.connection),
      connectionCount: UInt32(clamping: report.connectionCount))
  }

  private static func connection(_ report: ServerReport.ConnectionReport) -> ConnectionReport {
    ConnectionReport(
      number: report.number, peer: report.peer, identity: report.identity?.names ?? [],
      ageUs: report.age.microseconds, idleUs: report.idle.microseconds,
      bytesReceived: report.bytesReceived, bytesSent: report.bytesSent,
      callsBegun: report.callsBegun, bytesHeld: report.bytesHeld, sendWindow: report.sendWindow,
      receiveWindow: report.receiveWindow, calls: report.calls.map(call),
      callCount: UInt32(clamping: report.callCount))
  }

  private static func call(_ report: ServerReport.CallReport) -> CallReport {
    CallReport(
      stream: report.stream, method: report.path,
      timeLeftUs: report.timeLeft.map { max($0.microseconds, 1) } ?? 0,
      messagesWaiting: UInt32(report.messagesWaiting), isWriteBlocked: report.isWriteBlocked,
      sendWindow: report.sendWindow, receiveWindow: report.receiveWindow,
      ageUs: report.age.microseconds)
  }
}

extension Duration {
  /// Whole microseconds, none when it is negative.
  fileprivate var microseconds: UInt64 {
    let parts = components
    return UInt64(max(parts.seconds * 1_000_000 + parts.attoseconds / 1_000_000_000_000, 0))
  }
}
