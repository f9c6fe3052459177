/// Serves a router's methods at an address.
///
/// `run()` lives as long as the server's connections and handlers: they are its children.
public final class RPCServer: Sendable {
  /// Serves `router` at `address` once `run()` is called.
  public init(
    router: Router, transport: any Transport, address: Address, time: any TimeSource,
    configuration: ConnectionConfiguration = ConnectionConfiguration()
  ) {
    preconditionFailure("to come")
  }

  /// Listens and serves until `shutdown` has drained it or the task is cancelled, which ends every call
  /// at once.
  ///
  /// - Throws: `RPCError` when it can't listen or accept.
  public func run() async throws {
    preconditionFailure("to come")
  }

  /// Where it listens, with the real port; waits until it does.
  ///
  /// - Throws: `RPCError` when listening failed, `cancelled` when this task is cancelled.
  public var listeningAddress: Address {
    get async throws { preconditionFailure("to come") }
  }

  /// Accepts no more connections and calls, lets the calls that run finish within `grace`, then closes;
  /// `run()` returns. Returns at once.
  public func shutdown(grace: Duration = .seconds(5)) {
    preconditionFailure("to come")
  }
}
