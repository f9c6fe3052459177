import GRDB
package import StoreModel
import Synchronization

/// The Directory's database in SQLite: one writing connection, and readers beside it.
///
/// WAL with synchronous=FULL: what was acknowledged survives a power cut. Every blocking call runs on
/// an executor that was passed in, never on the cooperative pool or an event loop.
package final class SQLiteMetadataStore: MetadataStore {
  /// Where the database is.
  package enum Location: Sendable {
    /// In memory: gone with the store.
    case memory
    /// In this directory, which is made if there is none, and locked.
    case directory(String)
  }

  /// The database's file in its directory.
  package static let fileName = "directory.sqlite"
  /// The write-ahead log is cut back to this when it was worked off.
  private static let maxLogBytes = 64 << 20
  /// Pages that each connection keeps in memory, in KiB: bounds the Directory's memory.
  private static let cacheKiB = 16 << 10

  package let cluster: String
  /// Whether the database was made by this process: the cluster is new and empty.
  package let isNew: Bool
  let writer: DatabaseWriter
  private let readers: [DatabaseReader]
  private let nextReader = Atomic<Int>(0)
  /// The first upload id that this process may reserve: those before belong to earlier ones.
  let firstOwnUpload: UploadID
  let leases = Mutex(UploadLeases())
  private let place: DataDirectory?

  /// Opens the database, or makes it.
  ///
  /// - Parameters:
  ///   - location: where it is.
  ///   - executors: where database calls run: the first for writes, the others for reads (one
  ///     connection each; with none, and in memory, reads run with the writes). At least one.
  ///   - maxBytes: the database may not grow beyond; nil: as large as its disk.
  ///   - clusterBits: 128 random bits, which become the identity of a cluster that is made.
  /// - Throws: `StoreError`: `preconditionFailed` when another Directory has it open, a newer program wrote
  ///   it, there can be no such directory, or there was a database in it that is gone; `dataLoss` when it is damaged; `internal` when it can't be
  ///   opened.
  package init(
    _ location: Location, executors: [any SerialExecutor], maxBytes: UInt64? = nil,
    clusterBits: (UInt64, UInt64)
  ) throws(StoreError) {
    precondition(!executors.isEmpty, "the database needs an executor")
    let fresh = NodeID(clusterBits.0).description + NodeID(clusterBits.1).description
    do {
      var path: String?
      var place: DataDirectory?
      if case .directory(let directory) = location {
        place = try DataDirectory(directory)
        path = directory + "/" + Self.fileName
      }
      self.place = place
      let connection = try Self.connect(path, readOnly: false)
      (cluster, isNew, firstOwnUpload) = try connection.inDatabase { database in
        try Self.setUp(database, maxBytes: maxBytes)
        let mayMake = place?.mayMakeDatabase ?? true
        let found = try DatabaseSchema.prepare(database, cluster: fresh, mayMake: mayMake)
        guard let found else { throw place?.lost(.withoutTables) ?? .damaged("it has no tables") }
        return (found.cluster, found.isNew, try database.nextUpload())
      }
      try place?.holds(cluster: cluster)
      writer = DatabaseWriter(connection, executor: executors[0])
      readers = try executors.dropFirst().compactMap { executor in
        guard let path else { return nil }
        return DatabaseReader(try Self.connect(path, readOnly: true), executor: executor)
      }
    } catch let error as StoreError {
      throw error
    } catch let error as DatabaseError {
      throw StoreError(database: error)
    } catch {
      throw StoreError(.internal, "can't open the Directory's database: \(error)")
    }
  }

  /// Closes the database; later calls fail.
  package func close() async {
    for reader in readers { await reader.close() }
    await writer.close()
  }

  /// Transactions that were tried since the start, for tests and figures.
  package var transactions: Int {
    get async { await writer.transactions }
  }

  /// Reads one state of the database, on the reader whose turn it is.
  ///
  /// - Parameters:
  ///   - action: what for, such as "read 'a'": the error of a damaged database says so.
  ///   - body: reads.
  /// - Returns: what `body` returned.
  /// - Throws: `StoreError`, that of `body` or of the database.
  func read<Result: Sendable>(
    to action: @autoclosure () -> String, _ body: @Sendable (Database) throws -> Result
  ) async throws(StoreError) -> Result {
    do {
      return try await read(body)
    } catch {
      throw error.whileTrying(to: action())
    }
  }

  /// Reads one state of the database, on the reader whose turn it is.
  func read<Result: Sendable>(
    _ body: @Sendable (Database) throws -> Result
  ) async throws(StoreError) -> Result {
    guard !readers.isEmpty else { return try await writer.read(body) }
    let turn = nextReader.wrappingAdd(1, ordering: .relaxed).oldValue
    return try await readers[Int(UInt(bitPattern: turn) % UInt(readers.count))].read(body)
  }

  private static func connect(_ path: String?, readOnly: Bool) throws -> DatabaseQueue {
    var configuration = Configuration()
    configuration.readonly = readOnly
    configuration.foreignKeysEnabled = false
    configuration.busyMode = .timeout(5)
    configuration.label = readOnly ? "directory.read" : "directory.write"
    if !readOnly && path != nil { configuration.journalMode = .wal }
    configuration.prepareDatabase { database in
      try database.execute(sql: "PRAGMA cache_size = -\(cacheKiB)")
    }
    guard let path else { return try DatabaseQueue(configuration: configuration) }
    return try DatabaseQueue(path: path, configuration: configuration)
  }

  private static func setUp(_ database: Database, maxBytes: UInt64?) throws {
    try database.execute(sql: "PRAGMA synchronous = FULL")
    try database.execute(sql: "PRAGMA journal_size_limit = \(maxLogBytes)")
    if let maxBytes {
      let page =
        try Row.fetchOne(database, sql: "PRAGMA page_size")?
        .integer(0, in: 512...65_536, of: "its header") ?? 4_096
      let pages = max(1, Int64(clamping: maxBytes) / page)
      try database.execute(sql: "PRAGMA max_page_count = \(pages)")
    }
  }
}
