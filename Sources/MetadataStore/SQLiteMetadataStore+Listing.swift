import Foundation
import GRDB
package import StoreModel

extension SQLiteMetadataStore {
  package func list(_ query: ListingQuery) async throws(StoreError) -> ListingPage {
    try await read(to: "list bucket '\(query.bucket)'") { database in
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

extension Row {
  /// The key of a row of `entries`, and its text.
  ///
  /// - Parameters:
  ///   - bucket: the bucket's name, for people.
  ///   - previous: the line before, for people: a damaged key has no other name.
  ///   - floor: what it may not stand before: pages whose keys went back would never end.
  /// - Returns: the key's bytes and what they spell.
  /// - Throws: `StoreError.dataLoss` when it is no key.
  fileprivate func key(
    of bucket: String, behind previous: String, atLeast floor: [UInt8]
  ) throws(StoreError) -> (bytes: [UInt8], text: String) {
    func subject() -> String { "a key of bucket '\(bucket)' behind '\(previous)'" }
    let bytes = try bytes(0, of: subject())
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw .damaged("\(subject()) is not UTF-8")
    }
    guard !bytes.lexicographicallyPrecedes(floor) else {
      throw .damaged("\(subject()) stands before it")
    }
    return (bytes, text)
  }

  /// What a row of `entries` says.
  fileprivate func entry(bucket: String, key: String) throws(StoreError) -> Entry {
    func subject() -> String { EntryValue.subject(bucket: bucket, key: key) }
    return try EntryValue(decoding: bytes(1, of: subject()), of: subject())
      .entry(Name(storedBucket: bucket, key: key))
  }
}

extension Database {
  /// Reads a page from the index: where a prefix is folded, the next key is looked for behind all keys
  /// that it stands for, so a page costs as many steps as it has lines.
  ///
  /// A page ends before a damaged row, so that what stands before it is listed; the page that would begin
  /// with it fails and names it.
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
    do {
      search: while let from = next {
        next = nil
        var floor = from
        let rows = try Row.fetchCursor(
          statement, arguments: [bucket, from.stored, end.stored])
        while let row = try rows.next() {
          guard page.entries.count + page.prefixes.count < query.limit else {
            page.nextAfter = last
            break search
          }
          let key = try row.key(of: query.bucket, behind: last, atLeast: floor)
          if let folded = query.folded(key.bytes) {
            last = String(decoding: folded, as: UTF8.self)
            page.prefixes.append(last)
            next = ListingQuery.successor(of: folded)
            continue search
          }
          page.entries.append(try row.entry(bucket: query.bucket, key: key.text))
          last = key.text
          floor = key.bytes
        }
      }
    } catch {
      guard page != ListingPage() else { throw error }
      page.nextAfter = last
    }
    return page
  }
}
