internal import Schema

/// The details of an error as they travel: the list of a serialized `google.rpc.Status`.
enum ErrorDetails {
  /// The most bytes that are sent: half of what a frame's meta part can hold.
  static let maxBytes = 32 << 10

  /// The status with as many of the details as fit in `limit` bytes, the first ones first; empty when
  /// none does.
  static func encode(_ error: RPCError, limit: Int) -> [UInt8] {
    guard !error.details.isEmpty else { return [] }
    var status = Google_Rpc_Status(code: Int32(error.code.rawValue))
    var count = status.encodedCount
    for detail in error.details {
      count += detail.encodedCount + 8
      guard count <= min(limit, maxBytes) else { break }
      status.details.append(detail)
    }
    return status.details.isEmpty ? [] : (try? status.encodedBytes()) ?? []
  }

  /// The details of a status; none when the bytes are no status.
  static func decode(_ bytes: [UInt8]) -> [Google_Protobuf_Any] {
    bytes.isEmpty ? [] : (try? Google_Rpc_Status(encodedBytes: bytes).details) ?? []
  }
}

extension Message {
  /// Bytes of its encoding; more than any limit when it can't be encoded.
  fileprivate var encodedCount: Int { (try? encodedBytes().count) ?? 1 << 32 }
}

extension CallEnding {
  /// The longest status message that is sent.
  private static let maxMessageCharacters = 4_096
  /// The code, and the fields' tags and lengths.
  private static let fixedBytes = 24

  /// How a server ends a call, with `error` or with success, within the meta that its peer takes. What
  /// doesn't fit is left out: the message's end, then all metadata, then details, the last ones first.
  init(_ error: RPCError?, trailing: Metadata, maxMeta: Int) {
    self.init(metadata: trailing)
    if let error {
      code = error.code
      message = String(error.message.prefix(Self.maxMessageCharacters))
      while message.utf8.count > maxMeta / 2 { message.removeLast() }
      metadata.entries += error.metadata.entries
    } else if trailing.entries.isEmpty {
      return
    }
    var left = maxMeta - message.utf8.count - Self.fixedBytes
    if metadata.encodedBytes > left || !metadata.isValid { metadata = Metadata() }
    left -= metadata.encodedBytes
    if let error { details = ErrorDetails.encode(error, limit: left) }
  }
}
