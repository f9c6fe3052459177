/// What a server offers: generated code makes one protocol a service out of it.
public protocol Service: Sendable {
  /// The service as its schema describes it.
  static var description: ServiceDescription { get }
  /// Adds every method of the service to `router`.
  func register(in router: inout Router)
}
