import GRDB
import StoreModel

/// The tables of the Directory's database.
///
/// Numbers that SQLite keeps as signed 64 bits hold our unsigned ones by their bit pattern. Keys are
/// blobs: their order is that of their bytes. What takes a row a file is kept small: see `EntryValue`.
enum DatabaseSchema {
  /// The version that this program writes, in `PRAGMA user_version`. A newer one is refused.
  static let version = 1
  /// Marks the file as ours, in `PRAGMA application_id`: "HFdr".
  static let applicationID = 0x4846_6472

  private static let tables = """
    CREATE TABLE state (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      cluster TEXT NOT NULL,
      version INTEGER NOT NULL
    );
    CREATE TABLE buckets (
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      entries INTEGER NOT NULL,
      bytes INTEGER NOT NULL
    );
    CREATE TABLE entries (
      bucket INTEGER NOT NULL,
      key BLOB NOT NULL,
      value BLOB NOT NULL,
      PRIMARY KEY (bucket, key)
    ) WITHOUT ROWID;
    CREATE TABLE manifests (
      upload INTEGER PRIMARY KEY,
      names INTEGER NOT NULL,
      chunks BLOB NOT NULL
    );
    CREATE TABLE upload_blocks (
      first INTEGER PRIMARY KEY,
      end INTEGER NOT NULL,
      opened_us INTEGER NOT NULL,
      closed_us INTEGER
    );
    CREATE TABLE finished_uploads (
      upload INTEGER PRIMARY KEY,
      answer BLOB NOT NULL
    );
    CREATE TABLE requests (
      id INTEGER PRIMARY KEY,
      key BLOB NOT NULL UNIQUE,
      fingerprint INTEGER NOT NULL,
      since_us INTEGER NOT NULL,
      answer BLOB NOT NULL
    );
    CREATE TABLE nodes (
      id INTEGER PRIMARY KEY,
      address TEXT NOT NULL,
      zone TEXT NOT NULL,
      heard_us INTEGER NOT NULL,
      left_us INTEGER
    );
    CREATE TABLE placement_groups (
      id INTEGER PRIMARY KEY,
      epoch INTEGER NOT NULL,
      class INTEGER NOT NULL,
      members BLOB NOT NULL,
      chunks INTEGER NOT NULL,
      bytes INTEGER NOT NULL
    );
    CREATE TABLE garbage (
      upload INTEGER PRIMARY KEY,
      since_us INTEGER NOT NULL,
      chunks BLOB
    );
    """

  /// Makes the tables in a fresh database, or checks that an old one is ours.
  ///
  /// - Parameters:
  ///   - database: the connection that writes.
  ///   - cluster: the identity that a fresh database gets.
  ///   - mayMake: whether there may be no tables yet.
  /// - Returns: the cluster that the database belongs to, and whether it was made just now; nil when there
  ///   is none and none may be made.
  /// - Throws: `StoreError`: `preconditionFailed` for a database of a newer or another program, `dataLoss`
  ///   for one whose state can't be what was written.
  static func prepare(
    _ database: Database, cluster: String, mayMake: Bool
  ) throws -> (cluster: String, isNew: Bool)? {
    let application = try number(database, "PRAGMA application_id")
    let found = try number(database, "PRAGMA user_version")
    let tableCount = try number(database, "SELECT count(*) FROM sqlite_master")
    if tableCount == 0 && found == 0 {
      guard mayMake else { return nil }
      try database.inTransaction(.immediate) {
        try database.execute(sql: tables)
        try database.execute(sql: "PRAGMA application_id = \(applicationID)")
        try database.execute(sql: "PRAGMA user_version = \(version)")
        try database.execute(
          sql: "INSERT INTO state (id, cluster, version) VALUES (1, ?, 0)", arguments: [cluster])
        return .commit
      }
      return (cluster, true)
    }
    guard application == applicationID else {
      throw StoreError(.preconditionFailed, "the database is not one of a Holdfast Directory")
    }
    guard found > 0 else { throw StoreError.damaged("its format is \(found)") }
    guard found <= version else {
      throw StoreError(
        .preconditionFailed,
        "the Directory's database has format \(found), this program knows formats up to \(version): "
          + "use a newer holdfast")
    }
    guard let row = try database.first("SELECT cluster FROM state WHERE id = 1") else {
      throw StoreError.damaged("its state is gone")
    }
    let known = try row.text(0, of: "its state")
    guard known.utf8.count == 32, known.allSatisfy({ $0.isHexDigit && $0.isASCII }) else {
      throw StoreError.damaged("its cluster's identity is not 32 hexadecimal digits")
    }
    _ = try database.lastVersion()
    return (known, false)
  }

  private static func number(_ database: Database, _ sql: String) throws -> Int64 {
    try Row.fetchOne(database, sql: sql)?.integer(0, of: "its header") ?? 0
  }
}
