internal import Schema

/// What a connection takes from its peer and how it behaves; both sides tell each other the limits
/// when they connect.
public struct ConnectionConfiguration: Sendable, Hashable {
  /// The most bytes after a frame's header; at least 16 KiB.
  public var maxFramePayloadBytes = 1_114_112
  /// The most bytes of a message without its body. Where it is more than `DecodingLimits.standard` has, a
  /// message may take more memory in proportion.
  public var maxMessageBytes = 4 << 20
  /// The most bytes of a message's body.
  public var maxBodyBytes = 64 << 20
  /// The most bytes of the message that goes before the frames of a call: metadata and the like.
  public var maxMetaBytes = 65_535
  /// The most calls under way at once on a connection; more are refused.
  public var maxCalls = 1_024
  /// Bytes of whole messages that a call holds for its reader before its sender has to wait. It grows
  /// while the reader is so fast that the sender would wait for no other reason than the way there and
  /// back.
  public var callWindowBytes = 4 << 20
  /// How far that grows; no further than a quarter of `maxConnectionWindowBytes`.
  public var maxCallWindowBytes = 32 << 20
  /// The same for all calls of a connection together: however their own windows have grown, they hold no
  /// more than this.
  public var connectionWindowBytes = 64 << 20
  /// How far that grows.
  public var maxConnectionWindowBytes = 128 << 20
  /// Bytes of messages that have begun and aren't whole, of all calls of a connection together. Credit
  /// doesn't bound these, as any message must be able to end; a call that goes beyond it fails.
  public var maxUnfinishedBytes = 256 << 20
  /// Server: the most connections at once. One more takes the place of the one that has been without calls for
  /// longest, of the host that has the most; where there is none it is closed when it comes in.
  public var maxConnections = 10_000
  /// Server: bytes of messages, whole and begun, and of metadata that all connections together hold for their
  /// handlers, and of what they hold for peers that don't take it. Beyond it connections are given up, with an
  /// error that says so: those of the host that holds the most, the largest first.
  public var maxServerHeldBytes = 2 << 30
  /// How long a client waits for a connection, its preface included.
  public var connectTimeout: Duration = .seconds(5)
  /// How long nothing may come in while calls are under way before a ping is sent; twice that and the
  /// connection is lost.
  public var keepaliveInterval: Duration = .seconds(10)
  /// Server: how long a peer may take nothing of what waits for it, neither reading from its socket nor
  /// granting credit, before the connection is given up: for that time at least, and for twice as long at
  /// most; nil: for ever. Somebody who reads through a pager takes nothing for minutes, and may.
  public var stallTimeout: Duration? = .seconds(300)
  /// How long a connection may be without calls before it is closed: for that time at least, and for
  /// twice as long at most. Either side does it by its own setting; nil: never.
  public var idleTimeout: Duration? = .seconds(1_800)
  /// The first wait before another attempt to connect; each failure doubles it.
  public var firstBackoff: Duration = .milliseconds(50)
  /// The longest wait before another attempt to connect.
  public var longestBackoff: Duration = .seconds(5)
  /// How often a client makes a call of an idempotent method, unless the call's options say it.
  public var attempts = AttemptPolicy.once
  /// What bounds the attempts beyond the first of all calls to one address.
  public var retryBudget = RetryBudget()

  /// The defaults above.
  public init() {}
}

extension ConnectionConfiguration {
  /// What a message may make its decoder do: a message that the peer was told it may send can be decoded.
  var decodingLimits: DecodingLimits {
    var limits = DecodingLimits.standard
    guard maxMessageBytes > limits.bytes else { return limits }
    let (product, isTooMuch) = maxMessageBytes.multipliedReportingOverflow(
      by: limits.memory / limits.bytes)
    limits.memory = isTooMuch ? .max : product
    limits.bytes = maxMessageBytes
    return limits
  }
}
