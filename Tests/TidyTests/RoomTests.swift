import Foundation
import Testing

/// A room of the house and what it may import of the others and of the packages we use.
struct Room: Sendable, CustomTestStringConvertible {
  let name: String
  let imports: Set<String>

  var testDescription: String { name }

  init(_ name: String, _ imports: Set<String>) {
    self.name = name
    self.imports = imports
  }

  /// The house, from the ground up: a room imports only what stands above it here.
  static let all: [Room] = [
    Room("Schema", ["CProtobufC", "CSchemas", "NIOCore"]),
    Room("SchemaCodeGen", ["Schema", "CSchemas", "CProtobufC"]),
    Room("protoc-gen-holdfast", ["SchemaCodeGen", "Schema"]),
    Room("RPC", ["Schema", "CSchemas", "CProtobufC", "NIOCore", "DequeModule", "Logging"]),
    Room("RPCNIO", ["RPC", "NIOCore", "NIOPosix", "NIOTLS", "DequeModule", "Logging"]),
    Room("RPCTLS", ["RPC", "RPCNIO", "NIOCore", "NIOSSL"]),
    Room("RPCServices", ["RPC", "Schema", "CSchemas", "CProtobufC", "NIOCore"]),
    Room("RPCObservability", ["RPC", "CoreMetrics", "Instrumentation", "Logging", "Tracing"]),
    Room("StoreModel", []),
    Room("StoreProtocol", ["Schema", "CSchemas", "CProtobufC", "RPC", "StoreModel", "NIOCore"]),
    Room("SeededExecution", []),
    Room("Checksum", ["CISAL", "NIOCore"]),
    Room("ChunkStore", ["StoreModel", "Checksum", "CDisk", "NIOCore"]),
    Room("MetadataStore", ["StoreModel", "GRDB"]),
    Room(
      "DirectoryServer",
      ["StoreProtocol", "StoreModel", "MetadataStore", "RPC", "Schema", "Logging"]),
    Room(
      "NodeServer",
      [
        "StoreProtocol", "StoreModel", "ChunkStore", "Checksum", "RPC", "RPCServices", "Schema",
        "NIOCore", "Logging",
      ]),
    Room(
      "StoreClient",
      [
        "StoreProtocol", "StoreModel", "Checksum", "RPC", "Schema", "NIOCore", "DequeModule",
        "Logging",
      ]),
    Room(
      "Simulation",
      [
        "DirectoryServer", "NodeServer", "StoreClient", "ChunkStore", "MetadataStore", "RPC",
        "Schema", "SeededExecution", "StoreModel", "StoreProtocol", "Checksum", "NIOCore",
        "DequeModule",
        "Logging",
      ]),
    Room(
      "holdfast",
      [
        "DirectoryServer", "NodeServer", "StoreClient", "ChunkStore", "MetadataStore", "RPC",
        "RPCNIO", "RPCObservability", "RPCServices", "RPCTLS", "Schema", "StoreModel",
        "StoreProtocol", "Checksum", "NIOCore", "ArgumentParser", "Logging", "ServiceLifecycle",
        "UnixSignals",
      ]),
  ]

  /// What belongs to Swift and the system. The model has no need of any of it.
  static let system: Set<String> = [
    "Darwin", "Dispatch", "Foundation", "FoundationEssentials", "Glibc", "Musl", "Synchronization",
  ]

  /// C targets, which import nothing of Swift's.
  static let inC: Set<String> = ["CDisk", "CISAL", "CProtobufC", "CSchemas"]
}

@Suite("Rooms and walls")
struct RoomTests {
  private static let importLine =
    #"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|"#
    + #"fileprivate|private)\s+)?import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)"#
    + #"\s+)?(\w+)"#

  /// A line that imports something.
  private struct Import {
    let module: String
    let place: String
  }

  private static func imports(of file: SourceTree.File) throws -> [Import] {
    let pattern = try Regex(importLine)
    let lines = file.isGenerated ? file.lines : file.code
    return lines.enumerated().compactMap { number, line in
      guard line.contains("import "), let match = line.firstMatch(of: pattern),
        let module = match.output[1].substring
      else {
        return nil
      }
      return Import(
        module: String(module), place: "\(file.path):\(number + 1)")
    }
  }

  private static func files(of room: String, in folder: String = "Sources") -> [SourceTree.File] {
    SourceTree.here.files.filter {
      $0.path.hasPrefix("\(folder)/\(room)/") && $0.path.hasSuffix(".swift")
    }
  }

  @Test("a room imports only what its walls let in", arguments: Room.all)
  func walls(room: Room) throws {
    let allowed = room.name == "StoreModel" ? room.imports : room.imports.union(Room.system)
    for file in Self.files(of: room.name) {
      for line in try Self.imports(of: file) {
        check(
          allowed.contains(line.module), "\(line.place): \(room.name) may not import \(line.module)"
        )
      }
    }
  }

  @Test("every room is known here, and is there")
  func completeness() throws {
    let folders = try SourceTree.here.names(in: "Sources").filter { !$0.hasSuffix(".md") }
    let known = Set(Room.all.map(\.name)).union(Room.inC)
    #expect(Set(folders) == known)
  }

  @Test("rooms import each other in one direction only")
  func order() {
    var below: Set<String> = Room.inC
    let rooms = Set(Room.all.map(\.name))
    for room in Room.all {
      let notYet = room.imports.intersection(rooms).subtracting(below)
      check(notYet.isEmpty, "\(room.name) stands below \(notYet.sorted()) in the table")
      below.insert(room.name)
    }
  }

  @Test(
    "sockets and the database have one room each",
    arguments: [("NIOPosix", "RPCNIO"), ("NIOSSL", "RPCTLS"), ("GRDB", "MetadataStore")])
  func owners(module: String, room: String) throws {
    for file in SourceTree.here.written(".swift")
    where file.room != room && file.room != "\(room)Tests" {
      for line in try Self.imports(of: file) {
        check(line.module != module, "\(line.place): \(module) belongs to \(room)")
      }
    }
  }

  @Test("every test target tests")
  func testTargets() throws {
    let targets = try SourceTree.here.names(in: "Tests").filter { $0.hasSuffix("Tests") }
    #expect(!targets.isEmpty)
    for target in targets {
      check(
        Self.files(of: target, in: "Tests").contains { $0.text.contains("@Test") },
        "\(target) has no test")
    }
  }
}
