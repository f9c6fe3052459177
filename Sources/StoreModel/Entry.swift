/// One version of one name, without its manifest.
public struct Entry: Sendable, Hashable {
  /// The file's name.
  public var name: Name
  /// Rises with every change in the store; unique. From 1.
  public var version: UInt64
  /// Bytes.
  public var size: UInt64
  /// CRC-32C of the whole file.
  public var checksum: UInt32
  /// The redundancy it was written with.
  public var storageClass: StorageClass
  /// When it was committed, in microseconds since 1970.
  public var modifiedMicroseconds: Int64

  /// Makes an entry.
  public init(
    name: Name, version: UInt64, size: UInt64, checksum: UInt32, storageClass: StorageClass,
    modifiedMicroseconds: Int64
  ) {
    self.name = name
    self.version = version
    self.size = size
    self.checksum = checksum
    self.storageClass = storageClass
    self.modifiedMicroseconds = modifiedMicroseconds
  }
}

/// What must be so for a write to be done.
public enum Condition: Sendable, Hashable {
  /// Whatever stands there is replaced.
  case none
  /// The name must not exist.
  case absent
  /// The name's present version must be this one.
  case version(UInt64)
}
