import StoreModel

/// What a `MemoryDisk` holds, and what of it would outlive a power cut. Guarded by the disk's lock.
struct MemoryDiskState {
  /// A file, by whatever names. Only touched under the disk's lock.
  final class File: @unchecked Sendable {
    /// What is read from it.
    var bytes: [UInt8] = []
    /// What outlives a power cut.
    var synced: [UInt8] = []
  }

  /// What a name stands for.
  enum Node {
    case file(File)
    case directory

    /// Whether two names stand for the same thing.
    static func same(_ a: Node?, _ b: Node?) -> Bool {
      switch (a, b) {
      case (nil, nil), (.directory?, .directory?): true
      case (.file(let a)?, .file(let b)?): a === b
      default: false
      }
    }
  }

  var capacityBytes: Int
  var calls = 0
  var fault: (@Sendable (MemoryDisk.Call) -> StoreError?)?
  var locks: Set<String> = []
  /// Everything but the root, by path, as the running system sees it.
  private var names: [String: Node] = [:]
  /// The same as it would be after a power cut.
  private var syncedNames: [String: Node] = [:]
  /// Names that changed since their directory was synced, by directory.
  private var changed: [String: Set<String>] = [:]
  /// Rises with every crash and restart: files that were opened before are dead.
  private(set) var life = 0
  /// The size of what survives whole or not at all.
  private let sectorBytes = 512

  init(capacityBytes: Int) {
    self.capacityBytes = capacityBytes
  }

  /// Bytes still to be had.
  var freeBytes: Int {
    max(capacityBytes - usedBytes, 0)
  }

  /// Bytes of all files.
  private var usedBytes = 0

  /// All files' paths, in order.
  var filePaths: [String] {
    names.keys.filter { file($0) != nil }.sorted()
  }

  /// The file with this path.
  func file(_ path: String) -> File? {
    guard case .file(let file)? = names[path] else { return nil }
    return file
  }

  mutating func create(_ path: String) throws(StoreError) -> File {
    try checkParent(of: path)
    guard names[path] == nil else {
      throw StoreError(.alreadyExists, "'\(path)' is there already")
    }
    let file = File()
    set(path, .file(file))
    return file
  }

  mutating func makeDirectory(_ path: String) throws(StoreError) {
    try checkParent(of: path)
    if file(path) != nil { throw StoreError(.alreadyExists, "'\(path)' is a file") }
    set(path, .directory)
  }

  mutating func rename(_ source: String, to target: String) throws(StoreError) {
    guard let moved = file(source) else { throw StoreError.noFile(source) }
    try checkParent(of: target)
    if let replaced = file(target), replaced !== moved { usedBytes -= replaced.bytes.count }
    set(source, nil)
    set(target, .file(moved))
  }

  mutating func remove(_ path: String) throws(StoreError) {
    guard let file = file(path) else { throw StoreError.noFile(path) }
    usedBytes -= file.bytes.count
    set(path, nil)
  }

  func list(_ directory: String) throws(StoreError) -> [DiskEntry] {
    guard directory.isEmpty || Node.same(names[directory], .directory) else {
      throw StoreError.noFile(directory)
    }
    return children(of: directory).map { path in
      DiskEntry(
        name: String(path.dropFirst(directory.isEmpty ? 0 : directory.count + 1)),
        isDirectory: file(path) == nil)
    }
  }

  mutating func sync(directory: String) throws(StoreError) {
    guard directory.isEmpty || Node.same(names[directory], .directory) else {
      throw StoreError.noFile(directory)
    }
    for path in changed.removeValue(forKey: directory) ?? [] { syncedNames[path] = names[path] }
  }

  mutating func write(
    _ bytes: [UInt8], at offset: Int, of file: File, path: String
  ) throws(StoreError) {
    let end = offset + bytes.count
    let growth = max(end - file.bytes.count, 0)
    guard growth <= freeBytes else { throw StoreError.diskFull(path) }
    if growth > 0 { file.bytes += [UInt8](repeating: 0, count: growth) }
    usedBytes += growth
    file.bytes.replaceSubrange(offset..<end, with: bytes)
  }

  mutating func corrupt(_ path: String, _ change: (inout [UInt8]) -> Void) {
    let file = file(path) ?? File()
    usedBytes -= file.bytes.count
    change(&file.bytes)
    usedBytes += file.bytes.count
    file.synced = file.bytes
    names[path] = .file(file)
    syncedNames[path] = .file(file)
  }

  mutating func endProcess() {
    locks = []
    fault = nil
    life += 1
  }

  mutating func crash(keeping keep: (Int) -> Bool) {
    var number = 0
    func survives() -> Bool {
      defer { number += 1 }
      return keep(number)
    }
    for path in Set(names.keys).union(syncedNames.keys).sorted()
    where !Node.same(names[path], syncedNames[path]) {
      if survives() { syncedNames[path] = names[path] }
    }
    names = syncedNames
    dropOrphans()
    for path in filePaths {
      guard let file = file(path) else { continue }
      file.bytes = merge(new: file.bytes, old: file.synced, survives)
      file.synced = file.bytes
    }
    syncedNames = names
    changed = [:]
    usedBytes = filePaths.reduce(0) { $0 + (file($1)?.bytes.count ?? 0) }
    endProcess()
  }

  /// What a power cut leaves of a file: for each sector the new bytes or the old.
  private func merge(new: [UInt8], old: [UInt8], _ survives: () -> Bool) -> [UInt8] {
    guard new != old else { return old }
    var result = old
    for start in stride(from: 0, to: new.count, by: sectorBytes) {
      let end = min(start + sectorBytes, new.count)
      let isOld = end <= old.count && old[start..<end].elementsEqual(new[start..<end])
      guard !isOld, survives() else { continue }
      if result.count < end { result += [UInt8](repeating: 0, count: end - result.count) }
      result.replaceSubrange(start..<end, with: new[start..<end])
    }
    return result
  }

  /// Takes away what stands in directories that are gone.
  private mutating func dropOrphans() {
    for path in names.keys.sorted() {
      let parent = MemoryDiskState.parent(of: path)
      if !parent.isEmpty, names[parent] == nil { names[path] = nil }
    }
  }

  /// Changes what a name stands for.
  private mutating func set(_ path: String, _ node: Node?) {
    names[path] = node
    changed[MemoryDiskState.parent(of: path), default: []].insert(path)
  }

  private func checkParent(of path: String) throws(StoreError) {
    let parent = MemoryDiskState.parent(of: path)
    guard parent.isEmpty || Node.same(names[parent], .directory) else {
      throw StoreError.noFile(parent)
    }
  }

  /// The paths of what a directory holds, in order.
  private func children(of directory: String) -> [String] {
    names.keys.filter { MemoryDiskState.parent(of: $0) == directory }.sorted()
  }

  /// What stands before the last `/`.
  private static func parent(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
  }
}

extension StoreError {
  /// Nothing stands at this path.
  static func noFile(_ path: String) -> StoreError {
    StoreError(.notFound, "there is no '\(path)'")
  }

  /// No room for this file.
  static func diskFull(_ path: String) -> StoreError {
    StoreError(.resourceExhausted, "no space left on the disk for '\(path)'")
  }
}
