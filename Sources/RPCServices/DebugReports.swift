internal import RPC

/// Tells what the server's connections are at.
struct DebugReports: DebugService {
  /// The most calls of one connection that are told.
  private static let maxCalls = 100
  /// The most connections that are told: the answer stays below a message's limit.
  private static let maxConnections = 1_000

  let monitor: ServerMonitor

  func getConnections(
    _ request: GetConnectionsRequest, context: CallContext
  ) async throws -> GetConnectionsResponse {
    let report = monitor.report
    return GetConnectionsResponse(
      ageUs: report.age.microseconds, draining: report.isDraining,
      connections: report.connections.prefix(Self.maxConnections).map(Self.connection))
  }

  private static func connection(_ report: ServerReport.ConnectionReport) -> ConnectionReport {
    ConnectionReport(
      number: report.number, peer: report.peer, identity: report.identity?.names ?? [],
      ageUs: report.age.microseconds, idleUs: report.idle.microseconds,
      bytesReceived: report.bytesReceived, bytesSent: report.bytesSent,
      callsBegun: report.callsBegun, bytesHeld: report.bytesHeld, sendWindow: report.sendWindow,
      receiveWindow: report.receiveWindow, calls: report.calls.prefix(maxCalls).map(call),
      callCount: UInt32(report.calls.count))
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
