/// A node's own number, drawn at random when its data directory was made. Never 0.
public struct NodeID: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// The number.
  public let value: UInt64

  /// Wraps a number.
  public init(_ value: UInt64) {
    self.value = value
  }

  /// 16 hexadecimal digits.
  public var description: String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// By number.
  public static func < (a: NodeID, b: NodeID) -> Bool {
    a.value < b.value
  }
}

/// A placement group's number. Never 0.
public typealias GroupID = UInt32

/// The number of one upload, leased by the Directory; rises, and is never given twice. Never 0.
public typealias UploadID = UInt64

/// A chunk's name: tells by itself where the chunk lives and which upload wrote it.
public struct ChunkID: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// The placement group that holds it.
  public let group: GroupID
  /// The upload that wrote it.
  public let upload: UploadID
  /// Its place in its file, from 0.
  public let index: UInt32

  /// Names a chunk.
  public init(group: GroupID, upload: UploadID, index: UInt32) {
    self.group = group
    self.upload = upload
    self.index = index
  }

  /// `group/upload/index`.
  public var description: String {
    "\(group)/\(upload)/\(index)"
  }

  /// By group, then upload, then index.
  public static func < (a: ChunkID, b: ChunkID) -> Bool {
    (a.group, a.upload, a.index) < (b.group, b.upload, b.index)
  }
}
