import GRDB
import StoreModel

/// What an entry's row says beside its key, as compact bytes.
///
/// The first byte is the format and the kind of content, then class, version, time, size and checksum.
/// A file of one chunk has the chunk's id here: its length and checksum are the file's. So a small file
/// is one row. Content that several names share, or of several chunks, stands in `manifests`.
struct EntryValue: Equatable {
  enum Content: Equatable {
    /// An empty file has no chunks.
    case empty
    /// The only chunk's group and upload.
    case single(group: GroupID, upload: UploadID)
    /// A row of `manifests`, under the upload that wrote the chunks.
    case shared(upload: UploadID)
  }

  var version: UInt64
  var modifiedMicroseconds: Int64
  var size: UInt64
  var checksum: UInt32
  var storageClass: StorageClass
  var content: Content

  var encoded: [UInt8] {
    var writer = CompactWriter()
    let (kind, numbers): (UInt8, [UInt64]) =
      switch content {
      case .empty: (0, [])
      case .single(let group, let upload): (1, [UInt64(group), upload])
      case .shared(let upload): (2, [upload])
      }
    writer.byte(kind << 4 | storageClass.code)
    writer.number(version)
    writer.signed(modifiedMicroseconds)
    writer.number(size)
    writer.fixed(checksum)
    for number in numbers { writer.number(number) }
    return writer.bytes
  }

  func entry(_ name: Name) -> Entry {
    Entry(
      name: name, version: version, size: size, checksum: checksum, storageClass: storageClass,
      modifiedMicroseconds: modifiedMicroseconds)
  }
}

extension EntryValue {
  /// What a name's row is called when it is damaged.
  static func subject(bucket: String, key: String) -> String {
    "the entry of key '\(key)' in bucket '\(bucket)'"
  }

  /// Reads what `encoded` wrote.
  ///
  /// - Throws: `StoreError.dataLoss` when it makes no sense; `subject` says whose it is.
  init(
    decoding bytes: [UInt8], of subject: @autoclosure () -> String
  ) throws(StoreError) {
    var reader = CompactReader(bytes)
    guard let first = reader.byte(), let storageClass = StorageClass(code: first & 0xF),
      let version = reader.number(), let modified = reader.signed(), let size = reader.number(),
      let checksum = reader.fixed(), let content = Content(kind: first >> 4, &reader),
      reader.isAtEnd, content.fits(size), Row.counts.contains(Int64(clamping: version)),
      Row.times.contains(modified)
    else { throw StoreError.damaged("\(subject()) makes no sense") }
    self.init(
      version: version, modifiedMicroseconds: modified, size: size, checksum: checksum,
      storageClass: storageClass, content: content)
  }
}

extension EntryValue.Content {
  /// Whether a file of so many bytes may have this content.
  fileprivate func fits(_ size: UInt64) -> Bool {
    switch self {
    case .empty: size == 0
    case .single: (1...UInt64(ManifestRules.maxChunkBytes)).contains(size)
    case .shared: size <= ManifestRules.maxFileBytes
    }
  }

  fileprivate init?(kind: UInt8, _ reader: inout CompactReader) {
    switch kind {
    case 0: self = .empty
    case 1:
      guard let group = reader.number().flatMap({ GroupID(exactly: $0) }),
        let upload = reader.number()
      else { return nil }
      self = .single(group: group, upload: upload)
    case 2:
      guard let upload = reader.number() else { return nil }
      self = .shared(upload: upload)
    default: return nil
    }
  }
}

extension StorageClass {
  /// The class's number in the database; never changed.
  var code: UInt8 {
    switch self {
    case .replica1: 1
    case .replica2: 2
    case .replica3: 3
    }
  }

  init?(code: UInt8) {
    guard let known = StorageClass.allCases.first(where: { $0.code == code }) else { return nil }
    self = known
  }
}
