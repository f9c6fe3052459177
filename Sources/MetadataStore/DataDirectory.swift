import StoreModel

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A Directory's data directory, held for this process: knows whether there has to be a database in it.
///
/// A database that is lost must not be replaced by a new, empty one without a word: every client would be
/// told that its files don't exist.
struct DataDirectory: Sendable {
  /// What is left of a database that is lost.
  enum Remains: String {
    case missing = "is missing"
    case empty = "is empty"
    case withoutTables = "has no tables in it"
  }

  /// Whether a database without tables may be made a new cluster's.
  var mayMakeDatabase: Bool { !lock.wasMade }

  private let path: String
  private let lock: DirectoryLock

  /// Makes the directory if there is none, and takes it.
  ///
  /// - Throws: `StoreError.preconditionFailed` when another Directory runs on it, there can be none or its
  ///   database is lost.
  init(_ path: String) throws(StoreError) {
    self.path = path
    try DirectoryLock.makeDirectory(path)
    lock = try DirectoryLock(directory: path)
    let size = Self.size("\(path)/\(SQLiteMetadataStore.fileName)")
    guard size ?? 0 == 0 else { return }
    // SQLite has a database's first page on disk before it begins a log.
    let hasLog = Self.size("\(path)/\(SQLiteMetadataStore.fileName)-wal") ?? 0 > 0
    guard !lock.wasMade, !hasLog else { throw lost(size == nil ? .missing : .empty) }
  }

  /// The database is on disk and is this cluster's.
  ///
  /// - Throws: `StoreError.preconditionFailed` when another cluster's was here before.
  func holds(cluster: String) throws(StoreError) {
    guard lock.cluster.isEmpty || lock.cluster == cluster else {
      throw StoreError(
        .preconditionFailed,
        "'\(path)' is the data directory of cluster \(lock.cluster), but the database in it is of "
          + "cluster \(cluster): restore the right one from a backup, or remove '\(path)/lock' if "
          + "this one is right")
    }
    try lock.made(cluster: cluster)
  }

  /// The error for a database that has to be here and isn't.
  func lost(_ remains: Remains) -> StoreError {
    let cluster = lock.cluster.isEmpty ? "" : " of cluster \(lock.cluster)"
    return StoreError(
      .preconditionFailed,
      "the Directory's database\(cluster) is lost: '\(path)/\(SQLiteMetadataStore.fileName)' "
        + "\(remains.rawValue), though a Directory ran here before; restore it from a backup, or "
        + "remove everything in '\(path)' to begin a new, empty cluster")
  }

  /// A file's bytes; nil when there is none.
  private static func size(_ path: String) -> Int? {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : nil
  }
}
