#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What an arena knows; lies at the start of its first block.
@usableFromInline
struct ArenaState {
  /// The first free byte of the present block.
  @usableFromInline var next: UnsafeMutableRawPointer
  /// The end of the present block.
  @usableFromInline var end: UnsafeMutableRawPointer
  /// The blocks after the first, as a list through their first words.
  var blocks: UnsafeMutableRawPointer?
  /// Bytes of all blocks after the first.
  var grown = 0
  /// The most bytes that the blocks after the first may have.
  var budget: Int
  /// How deep the message that is being filled is nested; the outermost: 0.
  @usableFromInline var depth = 0
}

/// Memory for the C structs of one message: allocated by moving a pointer, freed at once.
///
/// The first block is kept by the thread for the next arena. An arena lives only inside
/// `Arena.with`, on one thread; nothing that lies in it may leave.
public struct Arena: ~Copyable {
  /// The arena's state, in its own first block.
  @usableFromInline
  let state: UnsafeMutablePointer<ArenaState>

  /// Bytes of the block that a thread keeps.
  private static let firstBlockSize = 16 << 10
  /// Bytes up to which blocks double.
  private static let greatestBlockSize = 1 << 20

  /// Runs `body` with a fresh arena and frees it after.
  ///
  /// `budget` bounds what the arena may take beyond its first block, in bytes.
  @inlinable
  public static func with<Result, Failure: Error>(
    budget: Int = .max, _ body: (borrowing Arena) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let arena = Arena(budget: budget)
    return try body(arena)
  }

  @usableFromInline
  init(budget: Int) {
    let block = FirstBlock.take(Self.firstBlockSize)
    state = block.bindMemory(to: ArenaState.self, capacity: 1)
    state.initialize(
      to: ArenaState(
        next: UnsafeMutableRawPointer(state + 1), end: block + Self.firstBlockSize,
        budget: budget))
  }

  deinit {
    var block = state.pointee.blocks
    while let present = block {
      block = present.load(as: UnsafeMutableRawPointer?.self)
      free(present)
    }
    FirstBlock.giveBack(UnsafeMutableRawPointer(state))
  }

  /// Memory for `byteCount` bytes, aligned to 8; nil when the budget is spent or memory is out.
  @inlinable
  func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer? {
    let next = state.pointee.next
    guard byteCount <= state.pointee.end - next - 7 else { return grow(byteCount) }
    state.pointee.next = next + ((byteCount + 7) & ~7)
    return next
  }

  /// The same, for the decoder and the encoder.
  static func allocate(
    _ state: UnsafeMutablePointer<ArenaState>, _ byteCount: Int
  ) -> UnsafeMutableRawPointer? {
    let next = state.pointee.next
    guard byteCount <= state.pointee.end - next - 7 else { return grow(state, byteCount) }
    state.pointee.next = next + ((byteCount + 7) & ~7)
    return next
  }

  @usableFromInline
  func grow(_ byteCount: Int) -> UnsafeMutableRawPointer? {
    Self.grow(state, byteCount)
  }

  /// Starts another block and allocates from it; nil when the budget is spent or memory is out.
  @inline(never)
  private static func grow(
    _ state: UnsafeMutablePointer<ArenaState>, _ byteCount: Int
  ) -> UnsafeMutableRawPointer? {
    let header = 16
    let (padded, overflow) = byteCount.addingReportingOverflow(header + 8)
    let left = state.pointee.budget - state.pointee.grown
    guard !overflow, padded <= left else { return nil }
    let doubled = min(max(2 * firstBlockSize, state.pointee.grown), greatestBlockSize)
    let size = max(padded, min(doubled, left))
    guard let block = malloc(size) else { return nil }
    block.storeBytes(of: state.pointee.blocks, as: UnsafeMutableRawPointer?.self)
    state.pointee.blocks = block
    state.pointee.grown += size
    let rounded = (byteCount + 7) & ~7
    // A large request gets a block of its own when more is left of the present one.
    if size - header - rounded >= state.pointee.end - state.pointee.next {
      state.pointee.next = block + header + rounded
      state.pointee.end = block + size
    }
    return block + header
  }

}

/// The block that each thread keeps for its next arena.
private enum FirstBlock {
  /// The thread-specific key; a thread's block is freed when the thread ends.
  private static let key: pthread_key_t? = {
    var key = pthread_key_t()
    return pthread_key_create(&key, { free($0) }) == 0 ? key : nil
  }()

  /// The thread's block, or a new one when there is none or an arena in use has it.
  static func take(_ size: Int) -> UnsafeMutableRawPointer {
    if let key, let block = pthread_getspecific(key) {
      pthread_setspecific(key, nil)
      return block
    }
    guard let block = malloc(size) else { preconditionFailure("out of memory") }
    return block
  }

  /// Keeps the block for the thread's next arena, or frees it when there is one already.
  static func giveBack(_ block: UnsafeMutableRawPointer) {
    guard let key, pthread_getspecific(key) == nil, pthread_setspecific(key, block) == 0 else {
      free(block)
      return
    }
  }
}
