import Foundation
import GRDB
package import StoreModel

extension SQLiteMetadataStore {
  package func list(_ query: ListingQuery) async throws(StoreError) -> ListingPage {
    try await read { database in
      guard let bucket = try database.bucket(query.bucket), let start = query.firstKey else {
        return ListingPage()
      }
      return try database.page(query, bucket: bucket, from: start)
    }
  }
}

extension ListingQuery {
  /// The least bytes that a key of the page may have; nil when nothing can come.
  fileprivate var firstKey: [UInt8]? {
    switch start {
    case .at(let bytes): bytes
    case .behind(let bytes): bytes + [0]
    case nil: nil
    }
  }
}

extension Database {
  /// Reads a page from the index: where a prefix is folded, the next key is looked for behind all keys
  /// that it stands for, so a page costs as many steps as it has lines.
  fileprivate func page(
    _ query: ListingQuery, bucket: Int64, from start: [UInt8]
  ) throws -> ListingPage {
    let statement = try cachedStatement(
      sql: "SELECT key, value FROM entries WHERE bucket = ? AND key >= ? AND key < ? ORDER BY key")
    // No key has a byte 0xFF, being UTF-8.
    let end = query.end ?? [0xFF]
    var page = ListingPage()
    var last = ""
    var next: [UInt8]? = start
    search: while let from = next {
      next = nil
      let rows = try Row.fetchCursor(
        statement, arguments: [bucket, from.stored, end.stored])
      while let row = try rows.next() {
        guard page.entries.count + page.prefixes.count < query.limit else {
          page.nextAfter = last
          break search
        }
        let key = row.bytes(0)
        if let folded = query.folded(key) {
          last = String(decoding: folded, as: UTF8.self)
          page.prefixes.append(last)
          next = ListingQuery.successor(of: folded)
          continue search
        }
        last = String(decoding: key, as: UTF8.self)
        let name = Name(storedBucket: query.bucket, key: last)
        page.entries.append(try EntryValue(decoding: row.bytes(1)).entry(name))
      }
    }
    return page
  }
}
