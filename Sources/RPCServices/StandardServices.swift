public import RPC
public import Schema

extension Router {
  /// Adds what every server offers beside its own services, which are here already: health
  /// (`grpc.health.v1.Health`), reflection (`grpc.reflection.v1.ServerReflection`) and a look inside
  /// (`holdfast.rpc.Debug`).
  ///
  /// - Parameters:
  ///   - files: the schemas that declare the services; what they import comes along.
  ///   - monitor: the one that the server is given.
  public mutating func addStandardServices(files: [FileSchema], monitor: ServerMonitor) {
    let own: [FileSchema] = [
      .grpcHealthV1Health, .grpcReflectionV1Reflection, .holdfastRpcDebug,
    ]
    let offered = services.map(\.name)
    register(HealthChecks(services: Set(offered), monitor: monitor))
    register(DebugReports(monitor: monitor))
    let names =
      offered + [
        HealthMethods.service.name, DebugMethods.service.name, ServerReflectionMethods.service.name,
      ]
    register(
      SchemaReflection(
        services: names.sorted(), schemas: SchemaFiles(FileSchema.closure(of: files + own))))
  }
}
