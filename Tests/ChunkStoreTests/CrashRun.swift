import Checksum
import NIOCore
import SeededExecution
import StoreModel
import Synchronization

@testable import ChunkStore

/// A random workload on a store whose disk fails at one of its calls: everything follows from three
/// values, so that a failure is replayed by giving them again.
struct CrashRun: Sendable, CustomStringConvertible {
  /// What happens at the call.
  enum Fault: String, Sendable, CaseIterable {
    /// The power goes: of what was not synced, sectors survive or not as the seed decides.
    case power
    /// The process ends; the system keeps everything.
    case process
    /// This call, once, fails with an input/output error.
    case error
    /// From this call on for a while, nothing that takes room succeeds.
    case full
    /// A bit of what is stored flips at the call, and the store is opened anew when its work is done.
    case rot
  }

  /// What the workload, the order of its tasks and what survives follow from.
  var seed: UInt64
  /// The disk's call at which it happens; more than there are: never.
  var cut: Int
  /// What happens.
  var fault: Fault

  var description: String {
    "seed \(seed) cut \(cut) fault \(fault.rawValue)"
  }

  /// Reads what `description` gives.
  init?(_ text: String) {
    let words = text.split(separator: " ")
    guard words.count == 6, words[0] == "seed", let seed = UInt64(words[1]), words[2] == "cut",
      let cut = Int(words[3]), words[4] == "fault", let fault = Fault(rawValue: String(words[5]))
    else { return nil }
    self.init(seed: seed, cut: cut, fault: fault)
  }

  init(seed: UInt64, cut: Int, fault: Fault) {
    self.seed = seed
    self.cut = cut
    self.fault = fault
  }

  /// Bytes of the workload's segments: small, so that there are many.
  static let segmentBytes = 96 << 10

  /// Runs it.
  ///
  /// - Returns: how many calls the disk had before the fault was over.
  /// - Throws: `CrashFailure` that says which promise was broken.
  func run() throws -> Int {
    try SeededRun.run(seed: seed) { try await self.check() }
  }

  private func check() async throws -> Int {
    var generator = SeededGenerator(seed: seed ^ 0x5EED)
    let isSmallDisk = generator.next(below: 4) == 0
    let disk = MemoryDisk(capacityBytes: isSmallDisk ? 700 << 10 : 64 << 20)
    let model = CrashModel(disks: [disk], rot: fault == .rot)
    arm(disk)
    if let store = try? await open(disk) { await work(on: store, model: model, part: 0) }
    let calls = disk.calls
    strike(disk, &generator)
    if [.power, .process].contains(fault), generator.next(below: 2) == 0 {
      // It fails again while it recovers, or soon after.
      disk.stop(atCall: disk.calls + generator.next(below: 60))
      if let store = try? await open(disk) { await work(on: store, model: model, part: 5) }
      strike(disk, &generator)
    }
    for life in 1...2 {
      let store = try await open(disk)
      if fault != .rot, let mark = disk.files.first(where: { $0.hasSuffix(StorePaths.lostSuffix) })
      {
        throw CrashFailure(run: self, what: "'\(mark)' tells of a loss that was none")
      }
      try await inspect(store, model: model)
      await work(on: store, model: model, part: life)
      try await inspect(store, model: model)
      if life == 1 {
        if generator.next(below: 2) == 0 { await store.close() }
        disk.crash { _ in generator.next(below: 2) == 0 }
      }
    }
    return calls
  }

  /// Lays the fault.
  private func arm(_ disk: MemoryDisk) {
    let cut = cut
    switch fault {
    case .power, .process: disk.stop(atCall: cut)
    case .error:
      disk.injectFaults {
        $0.number == cut ? StoreError(.internal, "input/output error") : nil
      }
    case .full:
      disk.injectFaults { call in
        let takesRoom = [.create, .write, .reserve, .makeDirectory].contains(call.kind)
        return takesRoom && (cut..<cut + 40).contains(call.number)
          ? StoreError(.resourceExhausted, "no space left") : nil
      }
    case .rot:
      disk.injectDelays { call in
        if call.number == cut { flip(disk) }
      }
    }
  }

  /// Flips a bit of a segment or of their list.
  private func flip(_ disk: MemoryDisk) {
    var generator = SeededGenerator(seed: seed &* 0x9E37_79B9 ^ UInt64(cut))
    let files = disk.files.filter { $0.hasSuffix(".segment") || $0 == SegmentList.path }
    guard !files.isEmpty else { return }
    disk.corrupt(files[generator.next(below: files.count)]) { bytes in
      guard !bytes.isEmpty else { return }
      var place = generator.next(below: bytes.count)
      // Half of the time in a record's header, of which there is little beside payloads.
      let headers = stride(from: 0, to: bytes.count - 64, by: RecordPlace.unitBytes).filter {
        bytes[$0] == UInt8(ascii: "H") && bytes[$0 + 1] == UInt8(ascii: "F")
      }
      if !headers.isEmpty, generator.next(below: 2) == 0 {
        place = headers[generator.next(below: headers.count)] + generator.next(below: 64)
      }
      bytes[place] ^= 1 << UInt8(generator.next(below: 8))
    }
  }

  /// What the fault leaves of the disk.
  private func strike(_ disk: MemoryDisk, _ generator: inout SeededGenerator) {
    disk.capacityBytes = 64 << 20
    switch fault {
    case .power, .full: disk.crash { _ in generator.next(below: 2) == 0 }
    case .error where generator.next(below: 2) == 0:
      // What a failed sync left in the system's memory is seen by the next process, and lost later.
      disk.restart()
    case .error: disk.crash { _ in generator.next(below: 2) == 0 }
    case .process: disk.restart()
    case .rot:
      disk.injectDelays(nil)
      disk.restart()
    }
  }

  private func open(_ disk: MemoryDisk) async throws -> SegmentStore {
    // A reserve that is much smaller than a segment, or as large.
    try await openStore(
      disk, segmentBytes: CrashRun.segmentBytes,
      maxReserveBytes: seed % 2 == 0 ? 32 << 10 : CrashRun.segmentBytes)
  }

  // MARK: Workload

  /// Three tasks that store, read and delete chunks of their own, and one that looks after the store.
  private func work(on store: SegmentStore, model: CrashModel, part: Int) async {
    await withTaskGroup(of: Void.self) { group in
      for worker in 0..<3 {
        let seed = seed &* 31 &+ UInt64(part * 10 + worker)
        group.addTask { await self.work(on: store, model: model, worker: worker, seed: seed) }
      }
      group.addTask {
        for _ in 0..<12 {
          _ = await store.upkeep()
          for _ in 0..<20 { await Task.yield() }
        }
      }
    }
  }

  private func work(
    on store: SegmentStore, model: CrashModel, worker: Int, seed: UInt64
  ) async {
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<10 {
      let upload = UInt64(worker * 100 + generator.next(below: 6) + 1)
      switch generator.next(below: 10) {
      case 0..<6:
        // Few contents for each chunk, so that the same one comes again.
        let version = generator.next(below: 3)
        let lengths = [1, 900, 5_000, 30_000, 66_000, 100_000]
        let content = CrashContent(
          upload: upload, version: version, length: lengths[(Int(upload) + version) % 6])
        await model.put(content, on: store)
      case 6..<9: await model.delete(upload, on: store)
      default: await model.read(upload, on: store)
      }
    }
  }

  // MARK: Promises

  /// Checks everything that must hold once the store has opened.
  private func inspect(_ store: SegmentStore, model: CrashModel) async throws {
    store.shell.withLock { $0.state.checkInvariants() }
    for worker in 0..<3 {
      for number in 1...6 {
        await model.read(UInt64(worker * 100 + number), on: store, isFinal: true)
      }
    }
    if await !store.takeProblems().isEmpty { model.noteTold() }
    if let failure = model.failure ?? model.untold {
      throw CrashFailure(run: self, what: failure)
    }
    let listed = try await store.list(after: nil, limit: 1_000).records.map(\.chunk.id.upload)
    guard listed == model.present else {
      throw CrashFailure(run: self, what: "listed \(listed), stored \(model.present)")
    }
    let probe = CrashContent(upload: 1_000, version: 0, length: 3_000)
    do {
      try await store.store(probe.bytes, upload: probe.upload)
      guard try await store.load(upload: probe.upload) == probe.bytes else {
        throw CrashFailure(run: self, what: "what was just stored is something else")
      }
      try await store.delete(ChunkID(group: 7, upload: probe.upload, index: 0))
    } catch let error as StoreError {
      throw CrashFailure(run: self, what: "the store is not writable: \(error)")
    }
  }
}

/// A promise that was broken.
struct CrashFailure: Error, CustomStringConvertible {
  var run: CrashRun
  var what: String

  var description: String {
    "\(what). Replay: CRASH='\(run)' make test ONLY=ChunkStoreTests"
  }
}

/// What a workload stores.
struct CrashContent: Sendable, Hashable {
  var upload: UInt64
  var version: Int
  var length: Int

  /// Whether these are all its bytes. (Comparing arrays is slow where nothing is optimized.)
  func isWhole(_ found: [UInt8]) -> Bool {
    guard found.count == length else { return false }
    return CRC32C.checksum(of: found) == CRC32C.checksum(of: bytes)
  }

  private static let made = Mutex<[CrashContent: [UInt8]]>([:])

  var bytes: [UInt8] {
    CrashContent.made.withLock { made in
      if let bytes = made[self] { return bytes }
      let bytes = pattern(length, seed: upload * 1_000 + UInt64(version))
      made[self] = bytes
      return bytes
    }
  }
}

/// What must be found in a store, by what it acknowledged.
final class CrashModel: Sendable {
  private struct Chunk {
    /// What was acknowledged last.
    var content: CrashContent?
    /// What was asked for since, and is whole or not there at all.
    var maybe: [CrashContent?] = []
    /// Everything that ever was.
    var history: Set<CrashContent?> = [nil]
    /// Whether the last thing that was acknowledged is its deletion.
    var isDeleted = false

    var possible: [CrashContent?] { [content] + maybe }
  }

  private struct State {
    var chunks: [UInt64: Chunk] = [:]
    var failure: String?
    /// Chunks that a flipped bit may still cost.
    var rotten = 0
    /// Whether deletions may be forgotten: a flipped bit may have been in one.
    var mayForget = false
    var damaged: Set<UInt64> = []
    /// What is not as it should be, though it isn't said to be damaged.
    var odd: String?
    /// Whether the store has told of anything.
    var isTold = false
  }

  private let disks: [MemoryDisk]
  private let state: Mutex<State>

  /// Nothing was stored yet.
  ///
  /// - Parameters:
  ///   - disks: where the store is.
  ///   - rot: whether one chunk may be damaged.
  init(disks: [MemoryDisk], rot: Bool) {
    self.disks = disks
    state = Mutex(State(rotten: rot ? 1 : 0, mayForget: rot))
  }

  /// The first promise that was broken.
  var failure: String? { state.withLock(\.failure) }

  /// What a flipped bit has cost without a word.
  var untold: String? {
    state.withLock { $0.isTold ? nil : $0.odd.map { "\($0), and nothing was told" } }
  }

  /// The store has told of something that is wrong.
  func noteTold() {
    state.withLock { $0.isTold = true }
  }

  /// The uploads of the chunks that are there and whole.
  var present: [UInt64] {
    state.withLock { state in
      state.chunks.filter { $0.value.content != nil && !state.damaged.contains($0.key) }.keys
        .sorted()
    }
  }

  /// Stores a chunk.
  func put(_ content: CrashContent, on store: any ChunkStore) async {
    begin(content.upload, content)
    do {
      try await store.store(content.bytes, upload: content.upload, pieceBytes: 40_000)
      settle(content.upload, content)
    } catch let error as StoreError where error.code == .alreadyExists {
      state.withLock { state in
        let others = state.chunks[content.upload]?.possible.contains { $0 != nil && $0 != content }
        if others != true {
          state.failure =
            "\(content) conflicts (\(error)) with nothing of "
            + "\(state.chunks[content.upload]?.possible ?? [])"
        }
        if let place = state.chunks[content.upload]?.maybe.lastIndex(of: content) {
          state.chunks[content.upload]?.maybe.remove(at: place)
        }
      }
    } catch {
      // Whole or absent.
    }
  }

  /// Deletes a chunk.
  func delete(_ upload: UInt64, on store: any ChunkStore) async {
    begin(upload, nil)
    do {
      try await store.delete(ChunkID(group: 7, upload: upload, index: 0))
      settle(upload, nil)
    } catch let error as StoreError where error.isAbsence {
      checkAbsence(upload, error)
      observe(upload, nil)
    } catch {
      // Gone or not.
    }
  }

  /// Reads a chunk and compares; what is found may still turn out otherwise unless `isFinal`.
  func read(_ upload: UInt64, on store: any ChunkStore, isFinal: Bool = false) async {
    do {
      let bytes = try await store.load(upload: upload)
      let found = state.withLock { state in
        state.chunks[upload]?.history.first { $0?.isWhole(bytes) == true } ?? nil
      }
      guard let found else { return fail("upload \(upload) has bytes that nobody stored") }
      let chunk = try await store.stat(ChunkID(group: 7, upload: upload, index: 0)).chunk
      guard chunk == (try newChunk(upload, bytes: bytes)) else {
        return fail("upload \(upload) is said to be \(chunk)")
      }
      observe(upload, found, isFinal: isFinal)
    } catch let error as StoreError where error.isAbsence {
      checkAbsence(upload, error)
      observe(upload, nil, isFinal: isFinal)
    } catch let error as StoreError where error.code == .dataLoss {
      // A disk that is gone can't be read; that says nothing of what is on it.
      if !isFinal, disks.contains(where: \.mayFail) { return }
      spoil(upload, "is damaged: \(error)")
    } catch {
      // The disk is down.
    }
  }

  /// What was deleted is said to be deleted, and what never was is not.
  private func checkAbsence(_ upload: UInt64, _ error: StoreError) {
    let (wasAsked, isDeleted, mayForget) = state.withLock { state in
      let chunk = state.chunks[upload]
      return (chunk?.history.count ?? 0 > 1, chunk?.isDeleted == true, state.mayForget)
    }
    if error.code == .notFound, isDeleted, !mayForget {
      fail("upload \(upload) was deleted and is said to be missing")
    }
    if error.code == .deleted, !wasAsked {
      fail("upload \(upload) never was and is said to be deleted")
    }
  }

  private func fail(_ what: String) {
    state.withLock { $0.failure = $0.failure ?? what }
  }

  /// Something was asked for.
  private func begin(_ upload: UInt64, _ content: CrashContent?) {
    state.withLock { state in
      state.chunks[upload, default: Chunk()].maybe.append(content)
      state.chunks[upload]?.history.insert(content)
    }
  }

  /// Something was acknowledged.
  private func settle(_ upload: UInt64, _ content: CrashContent?) {
    state.withLock { state in
      state.chunks[upload]?.content = content
      state.chunks[upload]?.maybe = []
      state.chunks[upload]?.isDeleted = content == nil
      state.damaged.remove(upload)
    }
  }

  /// Something was found. In a life that failed it may still turn out otherwise; when a store has opened
  /// anew it is so for good.
  private func observe(_ upload: UInt64, _ content: CrashContent?, isFinal: Bool = false) {
    let isPossible = state.withLock { state in
      (state.chunks[upload] ?? Chunk()).possible.contains(content)
    }
    guard isPossible else {
      return spoil(upload, "is \(content.map { "\($0)" } ?? "gone")", now: content)
    }
    guard isFinal else { return }
    state.withLock { state in
      state.chunks[upload]?.content = content
      state.chunks[upload]?.maybe = []
    }
  }

  /// Something else was found than there may be: what a flipped bit may cost, once.
  private func spoil(_ upload: UInt64, _ what: String, now content: CrashContent? = nil) {
    state.withLock { state in
      if what.hasPrefix("is damaged"), state.damaged.contains(upload) { return }
      guard state.rotten > 0 else {
        let possible = state.chunks[upload]?.possible.map { $0.map { "\($0)" } ?? "nothing" }
        state.failure = state.failure ?? "upload \(upload) \(what), not one of \(possible ?? [])"
        return
      }
      state.rotten -= 1
      if what.hasPrefix("is damaged") {
        state.damaged.insert(upload)
      } else {
        state.odd = "upload \(upload) \(what)"
        state.chunks[upload]?.content = content
      }
    }
  }
}

extension StoreError {
  /// Whether it says that a chunk is not there.
  var isAbsence: Bool { code == .notFound || code == .deleted }
}
