import StoreModel
import Testing

@testable import ChunkStore

@Suite("Data directory")
struct DataDirectoryTests {
  @Test("the node's number is drawn once; the cluster is joined for good")
  func identity() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    #expect(store.node == testNode)
    #expect(store.cluster == "")
    try await store.join(cluster: "c-1")
    try await store.join(cluster: "c-1")
    #expect(await code { try await store.join(cluster: "c-2") } == .preconditionFailed)
    disk.crash()
    let again = try await openStore(disk, node: NodeID(1))
    #expect(again.node == testNode)
    #expect(again.cluster == "c-1")
    for name in ["", "two words", String(repeating: "x", count: 257)] {
      #expect(await code { try await again.join(cluster: name) } == .invalidArgument)
    }
  }

  @Test("a directory in use, a foreign one and a newer one are refused")
  func refusals() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    #expect(await code { _ = try await openStore(disk) } == .preconditionFailed)
    await store.close()
    await (try openStore(disk)).close()
    let text = try #require(disk.contents(of: "format"))
    for place in text.indices {
      disk.corrupt("format") { bytes in
        bytes = text
        bytes[place] ^= 1
      }
      #expect(await code { _ = try await openStore(disk) } == .dataLoss, "at \(place)")
    }
    disk.corrupt("format") { $0 = [] }
    #expect(await code { _ = try await openStore(disk) } == .dataLoss)
    disk.corrupt("format") { $0 = Array("holdfast chunks 4\nnew\n".utf8) }
    #expect(await code { _ = try await openStore(disk) } == .preconditionFailed)
    disk.corrupt("format") { $0 = Array("holdfast chunks 1\nnode 1\n".utf8) }
    #expect(await code { _ = try await openStore(disk) } == .preconditionFailed)
    disk.corrupt("format") { $0 = Array("something else".utf8) }
    #expect(await code { _ = try await openStore(disk) } == .preconditionFailed)
    disk.corrupt("format") { $0 = text }
    #expect(try await openStore(disk).node == testNode)

    let foreign = MemoryDisk()
    foreign.corrupt("thesis.tex") { $0 = [1] }
    #expect(await code { _ = try await openStore(foreign) } == .preconditionFailed)
    #expect(foreign.files == ["lock", "thesis.tex"])
  }

  @Test("a directory of the former format is taken over, and is of this one from then on")
  func formerFormat() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.join(cluster: "c")
    await store.close()
    let new = try #require(disk.contents(of: "format"))
    let lines = String(decoding: new, as: UTF8.self).replacing("chunks 3", with: "chunks 2")
    let old = lines.split(separator: "\n").dropLast().map { $0 + "\n" }.joined()
    disk.corrupt("format") {
      $0 = Array("\(old)checksum \(DataDirectory.checksum(of: old))\n".utf8)
    }
    #expect(try await StoreCheck.run(on: disk).cluster == "c")
    #expect(disk.contents(of: "format") != new)
    let again = try await openStore(disk)
    #expect(again.node == store.node)
    #expect(again.cluster == "c")
    #expect(disk.contents(of: "format") == new)
  }

  @Test("cut at every call of the first start and of a join, the directory opens again")
  func cutAtStart() async throws {
    for cut in 0..<40 {
      let disk = MemoryDisk()
      disk.injectFaults { $0.number >= cut ? StoreError(.internal, "the power is gone") : nil }
      if let store = try? await openStore(disk) { try? await store.join(cluster: "c") }
      disk.crash { ($0 + cut) % 3 == 0 }
      let store = try await openStore(disk)
      try await store.join(cluster: "c")
      #expect(store.node == testNode)
    }
  }

  @Test("a full disk of the former format opens")
  func upgradeFull() async throws {
    let disk = MemoryDisk(capacityBytes: 64 << 20)
    let store = try await openStore(disk)
    try await store.store(pattern(9_000, seed: 1), upload: 1)
    await store.close()
    for version in [3, 2] {
      if version == 2 {
        disk.corrupt(StorePaths.format) { file in
          let lines = String(decoding: file, as: UTF8.self).split(separator: "\n").dropLast()
            .map { $0 + "\n" }.joined().replacing("chunks 3", with: "chunks 2")
          file = Array((lines + "checksum \(DataDirectory.checksum(of: lines))\n").utf8)
        }
      }
      disk.capacityBytes -= Int(try await disk.space().freeBytes)
      #expect(try await disk.space().freeBytes == 0)
      do {
        let again = try await openStore(disk)
        #expect(try await again.load(upload: 1) == pattern(9_000, seed: 1))
        await again.close()
      } catch { Issue.record("version \(version): \(error)") }
    }
  }
}
