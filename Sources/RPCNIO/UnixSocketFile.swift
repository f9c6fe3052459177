internal import RPC
internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The file of a listening Unix socket: made with a socket bound to it, removed when listening ends.
///
/// Only its owner may connect (mode 0600): on a Unix socket the file's permissions are what
/// authentication is elsewhere; whoever wants to let others in changes them. A file that a server left
/// behind when it died is replaced; one that a server still answers on is not. Who serves at the path holds
/// its lock.
final class UnixSocketFile: Sendable {
  private struct Identity: Equatable {
    var device: UInt64
    var node: UInt64
  }

  /// What is there until it is removed.
  private struct Holding: ~Copyable {
    let identity: Identity?
    let lock: PathLock
  }

  private let path: String
  private let holding: Mutex<Holding?>

  /// Makes the file; `socket` is bound to it and doesn't listen yet, so that nobody connects before the
  /// permissions are right.
  ///
  /// - Throws: `RPCError` that says why not.
  static func bind(_ path: String) throws(RPCError) -> (file: UnixSocketFile, socket: CInt) {
    let lock: PathLock
    do throws(SystemFailure) {
      lock = try PathLock(of: path)
    } catch {
      throw failure(path, error.code)
    }
    let socket: CInt
    do throws(RPCError) {
      socket = try makeBoundSocket(path)
    } catch {
      lock.release()
      throw error
    }
    let file = UnixSocketFile(path, lock)
    guard chmod(path, S_IRUSR | S_IWUSR) == 0 else {
      let code = errno
      file.remove()
      close(socket)
      throw failure(path, code)
    }
    return (file, socket)
  }

  /// A socket bound to the path, which the caller has the lock of.
  private static func makeBoundSocket(_ path: String) throws(RPCError) -> CInt {
    let socket = try makeSocket(path)
    do throws(RPCError) {
      var code = bind(socket, to: path)
      if code == EADDRINUSE, try isLeftBehind(path) {
        guard unlink(path) == 0 || errno == ENOENT else { throw failure(path, errno) }
        code = bind(socket, to: path)
      }
      guard code == 0 else { throw failure(path, code) }
      return socket
    } catch {
      close(socket)
      throw error
    }
  }

  private init(_ path: String, _ lock: consuming PathLock) {
    self.path = path
    holding = Mutex(Holding(identity: Self.identity(path), lock: lock))
  }

  /// Removes the file, once, unless another server has put its own in its place.
  func remove() {
    holding.withLock { holding in
      guard let held = holding.take() else { return }
      if let own = held.identity, Self.identity(path) == own { unlink(path) }
      held.lock.release()
    }
  }

  /// Whether the file is a socket on which nobody listens.
  ///
  /// - Throws: when somebody does, or it isn't a socket.
  private static func isLeftBehind(_ path: String) throws(RPCError) -> Bool {
    var status = stat()
    guard lstat(path, &status) == 0 else { return errno == ENOENT }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw RPCError(
        .alreadyExists, "can't listen on unix:\(path): there is a file that isn't a socket")
    }
    let probe = try makeSocket(path)
    defer { close(probe) }
    switch call(path, { connect(probe, $0, $1) }) {
    case ECONNREFUSED: return true
    case ENOENT: return true
    case 0, EAGAIN:
      throw RPCError(.unavailable, "can't listen on unix:\(path): another server listens there")
    case let code: throw failure(path, code)
    }
  }

  private static func makeSocket(_ path: String) throws(RPCError) -> CInt {
    #if os(Linux)
      let made = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    #else
      let made = socket(AF_UNIX, SOCK_STREAM, 0)
      if made >= 0 { _ = fcntl(made, F_SETFD, FD_CLOEXEC) }
    #endif
    guard made >= 0 else { throw failure(path, errno) }
    guard fcntl(made, F_SETFL, O_NONBLOCK) == 0 else {
      let code = errno
      close(made)
      throw failure(path, code)
    }
    return made
  }

  private static func bind(_ socket: CInt, to path: String) -> CInt {
    call(path) { systemBind(socket, $0, $1) }
  }

  /// Calls with the path as the system's address; the error's number, or 0.
  private static func call(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
  ) -> CInt {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    return withUnsafeMutableBytes(of: &address.sun_path) { place -> CInt in
      guard path.utf8.count < place.count else { return ENAMETOOLONG }
      place.copyBytes(from: path.utf8)
      return 0
    } != 0
      ? ENAMETOOLONG
      : withUnsafePointer(to: &address) { address in
        address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
          body(address, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 ? 0 : errno
        }
      }
  }

  private static func identity(_ path: String) -> Identity? {
    var status = stat()
    guard lstat(path, &status) == 0 else { return nil }
    return Identity(device: UInt64(status.st_dev), node: UInt64(status.st_ino))
  }

  private static func failure(_ path: String, _ code: CInt) -> RPCError {
    let reason = String(cString: strerror(code))
    return switch code {
    case EADDRINUSE:
      RPCError(.unavailable, "can't listen on unix:\(path): another server listens there")
    case EACCES, EPERM, EROFS:
      RPCError(.permissionDenied, "can't listen on unix:\(path): \(reason)")
    case ENOENT, ENOTDIR:
      RPCError(.notFound, "can't listen on unix:\(path): its directory isn't there")
    default: RPCError(.unavailable, "can't listen on unix:\(path): \(reason)")
    }
  }
}

/// The system's `bind`, which a method's name hides.
private func systemBind(
  _ socket: CInt, _ address: UnsafePointer<sockaddr>, _ length: socklen_t
) -> CInt {
  bind(socket, address, length)
}
