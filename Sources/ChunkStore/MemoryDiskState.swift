import StoreModel

/// What a `MemoryDisk` holds, and what of it would outlive a power cut. Guarded by the disk's lock.
struct MemoryDiskState {
  /// What a name stands for.
  enum Node {
    case file(MemoryFile)
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
  var delay: (@Sendable (MemoryDisk.Call) async -> Void)?
  /// The number of the call at which the process ends.
  var stopsAtCall = Int.max
  var locks: Set<String> = []
  /// Everything but the root, by path, as the running system sees it.
  private var names: [String: Node] = [:]
  /// The same as it would be after a power cut.
  private var syncedNames: [String: Node] = [:]
  /// Names that changed since their directory was synced, by directory.
  private var changed: [String: Set<String>] = [:]
  /// Rises with every crash and restart: files that were opened before are dead.
  private(set) var life = 0

  init(capacityBytes: Int) {
    self.capacityBytes = capacityBytes
  }

  /// Whether the process has ended.
  var isStopped: Bool {
    calls > stopsAtCall
  }

  /// Bytes still to be had.
  var freeBytes: Int {
    max(capacityBytes - usedBytes, 0)
  }

  /// Bytes of all files that have names.
  private var usedBytes = 0

  /// All files' paths, in order.
  var filePaths: [String] {
    names.keys.filter { file($0) != nil }.sorted()
  }

  /// The file with this path.
  func file(_ path: String) -> MemoryFile? {
    guard case .file(let file)? = names[path] else { return nil }
    return file
  }

  /// The same, for whoever opens it.
  func regularFile(_ path: String) throws(StoreError) -> MemoryFile {
    switch names[path] {
    case .file(let file): return file
    case .directory: throw StoreError(.invalidArgument, "'\(path)' is no regular file")
    case nil: throw StoreError.noFile(path)
    }
  }

  mutating func create(_ path: String, reserving bytes: Int) throws(StoreError) -> MemoryFile {
    try checkParent(of: path)
    guard names[path] == nil else {
      throw StoreError(.alreadyExists, "'\(path)' is there already")
    }
    guard bytes <= freeBytes else { throw StoreError.diskFull(path) }
    let file = MemoryFile()
    file.size = bytes
    usedBytes += file.usedBytes
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
    if let replaced = file(target), replaced !== moved { usedBytes -= replaced.usedBytes }
    set(source, nil)
    set(target, .file(moved))
  }

  mutating func remove(_ path: String) throws(StoreError) {
    guard let file = file(path) else { throw StoreError.noFile(path) }
    usedBytes -= file.usedBytes
    set(path, nil)
  }

  func list(_ directory: String) throws(StoreError) -> [String] {
    guard directory.isEmpty || Node.same(names[directory], .directory) else {
      throw StoreError.noFile(directory)
    }
    return children(of: directory).map { path in
      String(path.dropFirst(directory.isEmpty ? 0 : directory.count + 1))
    }
  }

  mutating func sync(directory: String) throws(StoreError) {
    guard directory.isEmpty || Node.same(names[directory], .directory) else {
      throw StoreError.noFile(directory)
    }
    for path in changed.removeValue(forKey: directory) ?? [] { syncedNames[path] = names[path] }
  }

  mutating func write(
    _ bytes: [UInt8], at offset: Int, of file: MemoryFile, path: String
  ) throws(StoreError) {
    let before = file.usedBytes
    guard file.growth(byWriting: bytes.count, at: offset) <= freeBytes else {
      throw StoreError.diskFull(path)
    }
    file.write(bytes, at: offset)
    usedBytes += file.usedBytes - before
  }

  mutating func reserve(
    _ range: Range<Int>, of file: MemoryFile, path: String
  ) throws(StoreError) {
    guard !range.isEmpty else { return }
    let before = file.usedBytes
    guard file.growth(byWriting: range.count, at: range.lowerBound) <= freeBytes else {
      throw StoreError.diskFull(path)
    }
    file.reserve(range)
    usedBytes += file.usedBytes - before
  }

  mutating func truncate(_ file: MemoryFile, to bytes: Int) {
    usedBytes -= file.usedBytes
    file.truncate(to: bytes)
    usedBytes += file.usedBytes
  }

  mutating func punch(_ file: MemoryFile, _ range: Range<Int>) {
    usedBytes -= file.usedBytes
    file.punch(range)
    usedBytes += file.usedBytes
  }

  mutating func corrupt(_ path: String, _ change: (inout [UInt8]) -> Void) {
    let known = file(path)
    let file = known ?? MemoryFile()
    if known != nil { usedBytes -= file.usedBytes }
    var bytes = file.contents
    change(&bytes)
    file.replace(with: bytes)
    usedBytes += file.usedBytes
    names[path] = .file(file)
    syncedNames[path] = .file(file)
  }

  mutating func endProcess() {
    locks = []
    fault = nil
    delay = nil
    stopsAtCall = .max
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
      file(path)?.crash(keeping: survives)
    }
    syncedNames = names
    changed = [:]
    usedBytes = filePaths.reduce(0) { $0 + (file($1)?.usedBytes ?? 0) }
    endProcess()
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
