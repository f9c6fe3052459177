/// How often a channel makes a call on its own.
///
/// It holds for unary calls of methods that their schema calls idempotent; all others are made once,
/// as are streams. (A call that the server surely never began is made again whatever the policy.) Only
/// failures that may pass are answered with another attempt: see `StatusCode.isSafeToRetry`. (More than
/// this side takes or may send won't be less the next time, though it has the code of a server that has
/// too much to do.) Each attempt but the first says in its metadata how many came before: `previous-attempts`.
public enum AttemptPolicy: Sendable, Hashable {
  /// One attempt.
  case once
  /// Another attempt after one has failed.
  case retry(Retry)
  /// Another attempt while others still run: the first good answer counts, and the others are cancelled.
  case hedge(Hedge)

  /// One attempt after another.
  public struct Retry: Sendable, Hashable {
    /// How many attempts there are at most, the first included; no more than `mostAttempts`.
    public var maxAttempts = 3
    /// The longest wait before the second attempt; it doubles with each one, and a random part of it is
    /// waited. A server that says by `Google_Rpc_RetryInfo` how long to wait is obeyed instead; one that
    /// names a negative time isn't asked again.
    public var firstBackoff: Duration = .milliseconds(50)
    /// The longest wait before any attempt.
    public var longestBackoff: Duration = .seconds(2)

    /// The defaults above.
    public init() {}
  }

  /// Several attempts at once.
  public struct Hedge: Sendable, Hashable {
    /// How many attempts there are at most, the first included; no more than `mostAttempts`.
    public var maxAttempts = 2
    /// How long an answer is waited for before the next attempt is made beside. An attempt that fails
    /// calls for the next one at once.
    public var delay: Duration

    /// Two attempts at most, the second after `delay`.
    public init(delay: Duration) {
      self.delay = delay
    }
  }

  /// The most attempts of a call, whatever a policy says: servers in trouble don't get it in fives.
  public static let mostAttempts = 5
}

/// What keeps a client from overwhelming a server that fails, by its retries: gRPC's token bucket.
///
/// A channel begins with `maxTokens`. An attempt that fails takes one, a success gives `ratio` back;
/// while half of them or fewer are left, nothing is tried again.
public struct RetryBudget: Sendable, Hashable {
  /// Tokens of a full bucket.
  public var maxTokens = 10.0
  /// What a success gives back.
  public var ratio = 0.1

  /// The defaults above.
  public init() {}
}
