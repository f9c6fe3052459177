import Foundation
import GRDB
import MetadataStore
import StoreModel
import Testing

/// A column of a table that holds what this program never writes.
struct DamagedColumn: Sendable, CustomTestStringConvertible {
  let table: String
  let column: String
  /// SQL of the value that stands there.
  let value: String
  /// Which row.
  let row: String

  /// Whether nothing reads it, or it is as it might have been written.
  var mayGoUnnoticed: Bool {
    switch column {
    // Compared by SQLite, or read only when two callers open a block at once.
    case "since_us" where table == "requests": true
    case "opened_us": true
    case "closed_us", "left_us": ["NULL", "-1"].contains(value)
    case "heard_us", "since_us": value == "-1"
    case "fingerprint": ["-1", "9223372036854775807"].contains(value)
    // Nothing there: an upload that was aborted.
    case "answer" where table == "finished_uploads": value == "x''"
    case "chunks" where table == "garbage": value == "NULL"
    // SQLite moves the row to where nobody looks for it.
    case "key": true
    default: false
    }
  }

  var testDescription: String { "\(table).\(column) = \(value)" }

  private static let numbers = ["NULL", "'x'", "x'00'", "1.5", "9223372036854775807", "-1"]
  private static let texts = ["NULL", "x'00'"]
  private static let bytes = ["NULL", "7", "'x'", "1.5", "x''", "x'FF'"]

  private static func of(
    _ table: String, _ columns: [String], _ values: [String], row: String = "1"
  ) -> [DamagedColumn] {
    columns.flatMap { column in
      values.map { DamagedColumn(table: table, column: column, value: $0, row: row) }
    }
  }

  static let all: [DamagedColumn] =
    of("state", ["cluster"], texts) + of("state", ["version"], numbers)
    + of("buckets", ["entries", "bytes"], numbers)
    + of("entries", ["value"], bytes, row: "key = CAST('2' AS BLOB)")
    + of("entries", ["key"], ["'2'", "2", "x'FF'"], row: "key = CAST('2' AS BLOB)")
    + of("manifests", ["names"], numbers) + of("manifests", ["chunks"], bytes)
    + of("upload_blocks", ["end", "opened_us", "closed_us"], numbers)
    + of("finished_uploads", ["answer"], bytes)
    + of("requests", ["fingerprint", "since_us"], numbers) + of("requests", ["answer"], bytes)
    + of("nodes", ["address", "zone"], texts) + of("nodes", ["heard_us", "left_us"], numbers)
    + of("placement_groups", ["epoch", "class", "chunks", "bytes"], numbers)
    + of("placement_groups", ["members"], bytes)
    + of("placement_groups", ["id"], ["-1", "4294967295", "4294967296"])
    + of("garbage", ["since_us"], numbers) + of("garbage", ["chunks"], bytes)

  /// Puts the value where a flipped bit could: past what the table's definition refuses.
  func damage(_ file: String) throws {
    try Self.edit(file) { database in
      try database.execute(
        sql: "UPDATE sqlite_schema SET sql = replace(replace(sql, ' NOT NULL', ''), "
          + "'CHECK (id = 1)', '')")
    }
    try DatabaseQueue(path: file).writeWithoutTransaction { database in
      try database.execute(sql: "UPDATE \(table) SET \(column) = \(value) WHERE \(row)")
    }
  }

  private static func edit(_ file: String, _ body: (Database) throws -> Void) throws {
    try DatabaseQueue(path: file).writeWithoutTransaction { database in
      try database.execute(sql: "PRAGMA writable_schema = ON")
      try body(database)
    }
  }
}

@Suite("Damaged rows")
struct DamagedRowTests {
  /// A closed database with a row in every table.
  private static func filled() async throws -> TemporaryDirectory {
    let directory = try TemporaryDirectory()
    let store = try open(directory)
    try await store.makeGroup()
    try await store.save(
      StoredNode(
        record: NodeRecord(id: NodeID(1), address: "a:1", zone: "z"), heardMicroseconds: 4,
        leftMicroseconds: 3))
    for place in 0..<5 { try await store.put("\(place)", chunks: place % 3) }
    _ = try await store.delete(store.key("1"), condition: .none, request: key(1), now: 0)
    let aborted = try await store.leaseUploads(1, now: 0).lowerBound
    try await store.abortUpload(aborted, now: 0)
    await store.close()
    return directory
  }

  private static func key(_ byte: UInt8) throws -> RequestKey? {
    try RequestKey(Array(repeating: byte, count: 16))
  }

  /// Asks a store for everything it can; returns what it says of damage.
  private static func useAll(_ store: SQLiteMetadataStore) async throws -> [StoreError] {
    var errors: [StoreError] = []
    func run<Value>(_ body: () async throws -> Value) async {
      do { _ = try await body() } catch {
        if let error = error as? StoreError { errors.append(error) }
      }
    }
    await run { try await store.nodes() }
    await run { try await store.groups() }
    await run { try await store.figures() }
    await run { try await store.garbage(after: 0, limit: 10) }
    var after: String? = ""
    while let start = after {
      after = nil
      await run {
        after = try await store.list(ListingQuery(bucket: "b", after: start, limit: 2)).nextAfter
      }
    }
    for place in 0..<5 { await run { try await store.file(store.key("\(place)")) } }
    for upload in 1...8 as ClosedRange<UInt64> {
      await run { try await store.checkUpload(upload, now: 0) }
      await run {
        try await store.commitUpload(
          UploadCommit(upload: upload, name: try store.key("0"), manifest: manifest(upload)),
          now: 0)
      }
      await run { try await store.abortUpload(upload, now: 0) }
    }
    await run {
      try await store.delete(store.key("1"), condition: .none, request: key(1), now: 0)
    }
    await run { try await store.makeGroup() }
    await run {
      try await store.createGroups(.replica3) { _ in [[NodeID(1), NodeID(2), NodeID(3)]] }
    }
    await run { try await store.put("2", chunks: 2) }
    await run { try await store.put("new") }
    await run {
      try await store.copy(
        store.key("2"), to: store.key("copy"), condition: .none, request: nil, now: 0)
    }
    await run {
      try await store.rename(
        store.key("2"), to: store.key("4"), condition: .none, request: key(2), now: 0)
    }
    await run { try await store.delete(store.key("4"), condition: .none, request: nil, now: 0) }
    return errors
  }

  @Test("whatever a column holds, calls end with an answer or an error")
  func everyColumn() async throws {
    let directory = try await Self.filled()
    for damage in DamagedColumn.all {
      let copy = try directory.copyAsAfterCrash()
      try damage.damage(copy.databaseFile)
      let errors: [StoreError]
      do {
        let store = try open(copy)
        errors = try await Self.useAll(store)
        await store.close()
      } catch let error as StoreError {
        errors = [error]
      }
      let loss = errors.filter { $0.code == .dataLoss }
      #expect(errors.allSatisfy { $0.code != .internal }, "\(damage.testDescription): \(errors)")
      #expect(!loss.isEmpty || damage.mayGoUnnoticed, "\(damage.testDescription)")
      for error in loss {
        #expect(error.message.contains("restore"), "\(damage.testDescription): \(error)")
      }
    }
  }

  @Test("a flipped bit anywhere behind the schema gives an answer or an error", arguments: 0..<8)
  func flippedBits(seed: Int) async throws {
    let directory = try await Self.filled()
    let whole = [UInt8](try Data(contentsOf: URL(filePath: directory.databaseFile)))
    let written = whole.indices.filter { $0 >= 4_096 && whole[$0] != 0 }
    var bits = SeededBits(UInt64(seed))
    for _ in 0..<40 {
      var bytes = whole
      let place = written[bits.next(below: written.count)]
      bytes[place] ^= 1 << UInt8(bits.next(below: 8))
      let copy = try TemporaryDirectory()
      try Data(bytes).write(to: URL(filePath: copy.databaseFile))
      guard let store = try? open(copy) else { continue }
      _ = try await Self.useAll(store)
      await store.close()
    }
  }

  @Test("a damaged entry is named; the others are read, and those before it are listed")
  func oneEntry() async throws {
    let directory = try await Self.filled()
    try DamagedColumn(
      table: "entries", column: "value", value: "NULL", row: "key = CAST('2' AS BLOB)"
    ).damage(directory.databaseFile)
    let store = try open(directory)
    let page = try await store.list(ListingQuery(bucket: "b"))
    #expect(page.entries.map(\.name.key) == ["0"] && page.nextAfter == "0")
    let failures = [
      await #expect(throws: StoreError.self) {
        try await store.list(ListingQuery(bucket: "b", after: "0"))
      },
      await #expect(throws: StoreError.self) { try await store.file(store.key("2")) },
      await #expect(throws: StoreError.self) { try await store.put("2") },
    ]
    for error in failures {
      #expect(error?.code == .dataLoss)
      #expect(error?.message.contains("the entry of key '2' in bucket 'b' has NULL") == true)
    }
    let behind = try await store.list(ListingQuery(bucket: "b", after: "2"))
    #expect(behind.entries.map(\.name.key) == ["3", "4"])
    #expect(try await store.file(store.key("3")).entry.size == 0)
    try await store.put("new")
  }
}
