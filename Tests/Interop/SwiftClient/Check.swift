import RPC
import StoreProtocol

/// One thing that a call must do.
struct Check {
  /// Printed with the result.
  let name: String
  /// Makes the calls; throws when they don't do what they should.
  let run: @Sendable (NodeClient) async throws -> Void
}

/// Why a check failed.
struct CheckFailure: Error, CustomStringConvertible {
  let description: String
}

/// Fails the check with `reason` unless `holds`.
func expect(_ holds: Bool, _ reason: @autoclosure () -> String) throws {
  guard holds else { throw CheckFailure(description: reason()) }
}

/// Expects that `call` fails with one of `codes`.
///
/// - Returns: the error.
@discardableResult
func expectError<Result>(
  _ codes: StatusCode..., of call: () async throws -> Result
) async throws -> RPCError {
  do {
    let result = try await call()
    throw CheckFailure(description: "it succeeded with \(result), not \(codes)")
  } catch let error as RPCError {
    try expect(codes.contains(error.code), "it failed with \(error), not \(codes)")
    return error
  }
}
