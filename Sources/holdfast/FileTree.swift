#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A tree of local files, walked in the order of names.
struct FileTree: Sendable {
  /// What stands in the tree.
  struct Item: Sendable, Equatable {
    /// Where it is on this machine.
    var path: String
    /// The same from the tree's root, parts joined by `/`.
    var relativePath: String
    var kind: Kind
  }

  /// What can be done with an item.
  enum Kind: Sendable, Equatable {
    /// A regular file of so many bytes.
    case file(bytes: UInt64)
    /// Left out, and why: links, devices, sockets and the like.
    case skipped(String)
    /// Something is wrong with it.
    case failed(CommandFailure)
  }

  /// Walks the tree below `root`, which must be a directory. Symbolic links are never followed.
  static func items(below root: String) -> [Item] {
    var items: [Item] = []
    var pending = [(path: root, relative: "")]
    while let directory = pending.popLast() {
      var subdirectories: [(path: String, relative: String)] = []
      switch names(in: directory.path) {
      case .failure(let failure):
        items.append(
          Item(path: directory.path, relativePath: directory.relative, kind: .failed(failure)))
      case .success(let names):
        for bytes in names {
          let name = String(decoding: bytes, as: UTF8.self)
          let path = directory.path + (directory.path.hasSuffix("/") ? "" : "/") + name
          let relative = directory.relative.isEmpty ? name : directory.relative + "/" + name
          guard Array(name.utf8) == bytes else {
            items.append(Item(path: path, relativePath: relative, kind: .failed(notUTF8(path))))
            continue
          }
          guard let kind = kind(of: path) else {
            subdirectories.append((path, relative))
            continue
          }
          items.append(Item(path: path, relativePath: relative, kind: kind))
        }
      }
      pending.append(contentsOf: subdirectories.reversed())
    }
    return items
  }

  private static func notUTF8(_ path: String) -> CommandFailure {
    CommandFailure(
      .usage, "'\(path)': the file's name is not UTF-8, so it can't be a key; rename it")
  }

  /// What `path` is; nil for a directory.
  private static func kind(of path: String) -> Kind? {
    var status = stat()
    guard lstat(path, &status) == 0 else { return .failed(.system(errno, "'\(path)'")) }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: return nil
    case S_IFREG: return .file(bytes: UInt64(status.st_size))
    case S_IFLNK: return .skipped("a symbolic link")
    default: return .skipped("not a regular file")
    }
  }

  /// The names in a directory as the system has them, in the order of their bytes.
  private static func names(in path: String) -> Result<[[UInt8]], CommandFailure> {
    guard let stream = opendir(path) else { return .failure(.system(errno, "'\(path)'")) }
    defer { closedir(stream) }
    var names: [[UInt8]] = []
    errno = 0
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if name != Array(".".utf8), name != Array("..".utf8) { names.append(name) }
      errno = 0
    }
    guard errno == 0 else { return .failure(.system(errno, "'\(path)'")) }
    return .success(names.sorted { $0.lexicographicallyPrecedes($1) })
  }
}
