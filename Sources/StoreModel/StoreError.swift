/// Why the store did not do what it was asked.
///
/// The code says what the caller may do next; the message names what is wrong, for people.
public struct StoreError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The kinds of failure.
  public enum Code: Sendable, Hashable, CaseIterable {
    /// The request can never succeed as it stands.
    case invalidArgument
    /// No such name, chunk, upload or node.
    case notFound
    /// It was there and was deleted.
    case deleted
    /// Something else stands there already.
    case alreadyExists
    /// A condition of the request, or the other side's identity, does not hold.
    case preconditionFailed
    /// Stored bytes are damaged: read another replica.
    case dataLoss
    /// Disk or quota is full: make room, then try again.
    case resourceExhausted
    /// Too few nodes or no server: try again later.
    case unavailable
    /// Lost against a concurrent change: try again at once.
    case aborted
    /// The operating system or the database failed: see the message.
    case `internal`

    /// Whether the same request may succeed later.
    public var mayRetry: Bool {
      switch self {
      case .resourceExhausted, .unavailable, .aborted: true
      case .invalidArgument, .notFound, .deleted, .alreadyExists, .preconditionFailed, .dataLoss,
        .internal:
        false
      }
    }
  }

  /// What kind of failure.
  public let code: Code
  /// What is wrong and what to do about it.
  public let message: String

  /// Makes an error.
  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  /// The message.
  public var description: String {
    message
  }
}
