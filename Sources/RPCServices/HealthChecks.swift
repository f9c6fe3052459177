internal import RPC

/// Says whether the server takes calls: it does until it is told to stop.
struct HealthChecks: HealthService {
  /// The services that it can be asked for.
  let services: Set<String>
  let monitor: ServerMonitor

  func check(
    _ request: HealthCheckRequest, context: CallContext
  ) async throws -> HealthCheckResponse {
    guard let status = status(of: request.service) else {
      throw RPCError(.notFound, "there is no service \(request.service) here")
    }
    return HealthCheckResponse(status: status)
  }

  func watch(
    _ request: HealthCheckRequest, responses: MessageWriter<HealthCheckResponse>,
    context: CallContext
  ) async throws {
    try await responses.write(
      HealthCheckResponse(status: status(of: request.service) ?? .serviceUnknown))
    guard monitor.isServing else { return }
    await monitor.untilDraining()
    try Task.checkCancellation()
    guard let status = status(of: request.service) else { return }
    try await responses.write(HealthCheckResponse(status: status))
  }

  private func status(of service: String) -> HealthCheckResponse.ServingStatus? {
    guard service.isEmpty || services.contains(service) else { return nil }
    return monitor.isServing ? .serving : .notServing
  }
}
