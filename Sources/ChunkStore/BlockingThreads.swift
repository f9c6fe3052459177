import Dispatch
import StoreModel
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A bounded number of threads for calls that block, so that no event loop and no thread of the
/// cooperative pool ever waits for a disk.
///
/// Threads start when there is work for them and end with the object.
final class BlockingThreads: Sendable {
  /// What the threads share; they keep it alive, not their owner.
  private final class Shared: Sendable {
    struct State {
      var jobs: [@Sendable () -> Void] = []
      /// Jobs of `jobs` that were taken already.
      var taken = 0
      var threads = 0
      var idle = 0
      var isStopping = false
    }

    let state = Mutex(State())
    /// Counts jobs that no thread has begun to look for.
    let signal = DispatchSemaphore(value: 0)
  }

  private let maxThreads: Int
  private let shared = Shared()

  /// Sets how many threads there may be.
  init(maxThreads: Int) {
    self.maxThreads = maxThreads
  }

  deinit {
    let threads = shared.state.withLock { state in
      state.isStopping = true
      return state.threads
    }
    for _ in 0..<threads { shared.signal.signal() }
  }

  /// Runs a job on one of the threads and waits for it without blocking.
  func run<Value: Sendable, Failure: Error>(
    _ job: @escaping @Sendable () throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    try await start(job).value()
  }

  /// Begins a job on one of the threads, to be waited for later.
  func start<Value: Sendable, Failure: Error>(
    _ job: @escaping @Sendable () throws(Failure) -> Value
  ) -> BlockingOperation<Value, Failure> {
    let operation = BlockingOperation<Value, Failure>()
    enqueue {
      do throws(Failure) {
        operation.end(.success(try job()))
      } catch {
        operation.end(.failure(error))
      }
    }
    return operation
  }

  /// Puts a job into the queue, and starts a thread where all are busy.
  private func enqueue(_ job: @escaping @Sendable () -> Void) {
    let needsThread = shared.state.withLock { state in
      state.jobs.append(job)
      let waiting = state.jobs.count - state.taken
      guard waiting > state.idle, state.threads < maxThreads else { return false }
      state.threads += 1
      state.idle += 1
      return true
    }
    if needsThread { startThread() }
    shared.signal.signal()
  }

  private func startThread() {
    let argument = Unmanaged.passRetained(shared).toOpaque()
    #if canImport(Darwin)
      var thread: pthread_t?
    #else
      var thread = pthread_t()
    #endif
    let code = pthread_create(&thread, nil, BlockingThreads.main, argument)
    guard code == 0 else {
      // Those that there are do the job later.
      Unmanaged<Shared>.fromOpaque(argument).release()
      let left = shared.state.withLock { state in
        state.threads -= 1
        state.idle -= 1
        return state.threads
      }
      precondition(left > 0, "the system gives not even one thread (\(code))")
      return
    }
    #if canImport(Darwin)
      if let thread { pthread_detach(thread) }
    #else
      pthread_detach(thread)
    #endif
  }

  /// A thread's life: waits for a job, does it, until told to stop.
  #if canImport(Darwin)
    private static let main: @convention(c) (UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? =
      {
        work(Unmanaged<Shared>.fromOpaque($0).takeRetainedValue())
        return nil
      }
  #else
    private static let main: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? =
      {
        if let argument = $0 { work(Unmanaged<Shared>.fromOpaque(argument).takeRetainedValue()) }
        return nil
      }
  #endif

  private static func work(_ shared: Shared) {
    while true {
      shared.signal.wait()
      let (job, isStopping) = shared.state.withLock { state in
        state.idle -= 1
        return (next(&state), state.isStopping)
      }
      job?()
      if job == nil, isStopping { return }
      shared.state.withLock { $0.idle += 1 }
    }
  }

  /// Takes the oldest job.
  private static func next(_ state: inout Shared.State) -> (@Sendable () -> Void)? {
    guard state.taken < state.jobs.count else { return nil }
    let job = state.jobs[state.taken]
    state.taken += 1
    if state.taken == state.jobs.count || state.taken >= 256 {
      state.jobs.removeFirst(state.taken)
      state.taken = 0
    }
    return job
  }
}

/// A job that blocks a thread while its owner does something else.
final class BlockingOperation<Value: Sendable, Failure: Error>: Sendable {
  private enum State {
    case running
    case awaited(CheckedContinuation<Void, Never>)
    case ended(Result<Value, Failure>)
  }

  private let state = Mutex(State.running)

  /// Waits for what the job gave. Called once.
  ///
  /// The result is handed over under the lock, not by the continuation: where that is resumed before its
  /// owner waits, ThreadSanitizer doesn't see the handing over, and would report each such result as a race.
  func value() async throws(Failure) -> Value {
    await withCheckedContinuation { continuation in
      let isOver = state.withLock { state in
        if case .ended = state { return true }
        state = .awaited(continuation)
        return false
      }
      if isOver { continuation.resume() }
    }
    let result = state.withLock { state -> Result<Value, Failure> in
      guard case .ended(let result) = state else {
        preconditionFailure("resumed by nobody but end(_:)")
      }
      return result
    }
    return try result.get()
  }

  /// Tells its owner how it went.
  fileprivate func end(_ result: Result<Value, Failure>) {
    let waiting = state.withLock { state -> CheckedContinuation<Void, Never>? in
      defer { state = .ended(result) }
      guard case .awaited(let continuation) = state else { return nil }
      return continuation
    }
    waiting?.resume()
  }
}

extension BlockingOperation: DiskOperation where Value == Void, Failure == StoreError {
  func finish() async throws(StoreError) { try await value() }
}
