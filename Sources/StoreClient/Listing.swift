import RPC
import StoreModel
import StoreProtocol

/// A listing that is read page by page as it is iterated: memory holds one page.
///
/// Names that appear or vanish while it runs may or may not be in it; every other name is, once.
public struct Listing: AsyncSequence, Sendable {
  /// What it yields.
  public typealias Element = ListedItem

  let client: StoreClient
  let bucket: String
  let prefix: String
  let delimiter: String
  let pageSize: Int

  /// Reads the pages.
  public struct AsyncIterator: AsyncIteratorProtocol {
    private let listing: Listing
    private var page: ArraySlice<ListedItem> = []
    private var after: String?

    init(_ listing: Listing) {
      self.listing = listing
      after = ""
    }

    /// The next item; nil at the end.
    ///
    /// - Throws: `StoreError`; `RPCError` when the caller is refused; `CancellationError`.
    public mutating func next() async throws -> ListedItem? {
      while page.isEmpty {
        guard let after else { return nil }
        let response = try await listing.fetch(after: after)
        page = try Self.merge(response)[...]
        guard response.nextAfter != after || response.nextAfter.isEmpty else {
          throw StoreError(.internal, "the Directory's listing does not go on after '\(after)'")
        }
        self.after = response.nextAfter.isEmpty ? nil : response.nextAfter
      }
      return page.removeFirst()
    }

    /// Entries and prefixes of a page in one order, by their bytes.
    private static func merge(_ response: ListEntriesResponse) throws -> [ListedItem] {
      var items: [ListedItem] = []
      var prefixes = response.prefixes[...]
      for wire in response.entries {
        let entry = try Entry(wire)
        while let prefix = prefixes.first,
          prefix.utf8.lexicographicallyPrecedes(entry.name.key.utf8)
        {
          items.append(.prefix(prefixes.removeFirst()))
        }
        items.append(.entry(entry))
      }
      return items + prefixes.map { .prefix($0) }
    }
  }

  /// Begins with the first page.
  public func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(self)
  }

  private func fetch(after: String) async throws -> ListEntriesResponse {
    let request = ListEntriesRequest(
      bucket: bucket, prefix: prefix, delimiter: delimiter, after: after, limit: UInt32(pageSize))
    return try await client.callDirectory { directory, options in
      try await directory.listEntries(request, options: options)
    }
  }
}
