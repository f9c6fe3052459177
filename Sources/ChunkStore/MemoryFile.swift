/// A file of a `MemoryDisk`, by whatever names, with what of it would outlive a power cut. Only touched
/// under the disk's lock, which is why it may be passed from thread to thread unchecked.
final class MemoryFile: @unchecked Sendable {
  /// A change of the file's bytes that was not synced.
  private struct Change {
    var offset: Int
    var bytes: [UInt8]
  }

  /// The size of what survives whole or not at all.
  private static let sectorBytes = 512

  /// How long the file is; bytes behind those in memory are zeros.
  var size = 0
  private var bytes: [UInt8] = []
  private var syncedSize = 0
  private var synced: [UInt8] = []
  /// Changes since the last sync, in order.
  private var pending: [Change] = []
  /// Changes that a sync failed on: no later one makes them durable, but they may be.
  private var doubtful: [Change] = []
  /// Blocks whose room was given back, by number.
  private var holes: Set<Int> = []

  /// The bytes of the disk that it takes.
  var usedBytes: Int {
    size - holes.count * DiskBuffer.alignment
  }

  /// All its bytes.
  var contents: [UInt8] {
    read(at: 0, length: size)
  }

  /// How many bytes of the disk a write takes.
  func growth(byWriting count: Int, at offset: Int) -> Int {
    let filled = MemoryFile.blocks(touchedBy: offset..<offset + count)
      .reduce(0) { $0 + (holes.contains($1) ? DiskBuffer.alignment : 0) }
    return max(offset + count - size, 0) + filled
  }

  func write(_ new: [UInt8], at offset: Int) {
    for block in MemoryFile.blocks(touchedBy: offset..<offset + new.count) { holes.remove(block) }
    size = max(size, offset + new.count)
    MemoryFile.apply(new, at: offset, to: &bytes)
    pending.append(Change(offset: offset, bytes: new))
  }

  func read(at offset: Int, length: Int) -> [UInt8] {
    let end = min(offset + length, size)
    guard offset < end else { return [] }
    let known = offset < bytes.count ? Array(bytes[offset..<min(end, bytes.count)]) : []
    return known + [UInt8](repeating: 0, count: end - offset - known.count)
  }

  func truncate(to newSize: Int) {
    size = newSize
    if bytes.count > newSize { bytes.removeSubrange(newSize...) }
    holes = holes.filter { ($0 + 1) * DiskBuffer.alignment <= newSize }
  }

  /// Takes room for a range; what was given back of it reads as zeros as before.
  func reserve(_ range: Range<Int>) {
    for block in MemoryFile.blocks(touchedBy: range) { holes.remove(block) }
    size = max(size, range.upperBound)
  }

  func punch(_ range: Range<Int>) {
    write([UInt8](repeating: 0, count: range.count), at: range.lowerBound)
    let first = DiskBuffer.roundUp(range.lowerBound) / DiskBuffer.alignment
    let end = range.upperBound / DiskBuffer.alignment
    if first < end { holes.formUnion(first..<end) }
  }

  /// Makes what was written durable.
  func sync() {
    for change in pending { MemoryFile.apply(change.bytes, at: change.offset, to: &synced) }
    pending = []
    syncedSize = size
    if synced.count > size { synced.removeSubrange(size...) }
  }

  /// A sync that failed: the system forgets what it should have written.
  func failSync() {
    doubtful += pending
    pending = []
  }

  /// What the disk has instead of what the system has in memory of the file; nil: the same.
  var rotten: [UInt8]?

  /// Goes over to what the disk has.
  func forget() {
    guard let rotten else { return }
    self.rotten = nil
    replace(with: rotten)
  }

  /// Changes everything past all syncs.
  func replace(with new: [UInt8]) {
    bytes = new
    size = new.count
    pending = []
    doubtful = []
    holes = []
    sync()
    synced = new
  }

  /// Goes back to what was synced, and those sectors of the rest that `survives` keeps.
  func crash(keeping survives: () -> Bool) {
    var result = synced
    for change in doubtful + pending {
      var start = change.offset
      let end = change.offset + change.bytes.count
      while start < end {
        let sectorEnd = min((start / MemoryFile.sectorBytes + 1) * MemoryFile.sectorBytes, end)
        if survives() {
          MemoryFile.apply(
            change.bytes[start - change.offset..<sectorEnd - change.offset], at: start, to: &result)
        }
        start = sectorEnd
      }
    }
    if size != syncedSize, survives() {
      if result.count > size { result.removeSubrange(size...) }
    } else {
      size = max(syncedSize, result.count)
    }
    holes = []
    bytes = result
    synced = result
    syncedSize = size
    pending = []
    doubtful = []
  }

  private static func apply(_ new: some Collection<UInt8>, at offset: Int, to bytes: inout [UInt8])
  {
    let end = offset + new.count
    if bytes.count < end { bytes += [UInt8](repeating: 0, count: end - bytes.count) }
    bytes.replaceSubrange(offset..<end, with: new)
  }

  private static func blocks(touchedBy range: Range<Int>) -> Range<Int> {
    range.isEmpty
      ? 0..<0
      : range.lowerBound / DiskBuffer.alignment..<(range.upperBound - 1) / DiskBuffer.alignment + 1
  }
}
