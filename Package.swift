// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target is built in the Swift 6 language mode, without warnings.
let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .treatAllWarnings(as: .error),
]

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioTLS: Target.Dependency = .product(name: "NIOTLS", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let arguments: Target.Dependency = .product(
  name: "ArgumentParser", package: "swift-argument-parser")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let metrics: Target.Dependency = .product(name: "CoreMetrics", package: "swift-metrics")
let metricsTesting: Target.Dependency = .product(
  name: "MetricsTestKit", package: "swift-metrics")
let tracing: Target.Dependency = .product(name: "Tracing", package: "swift-distributed-tracing")
let tracingInMemory: Target.Dependency = .product(
  name: "InMemoryTracing", package: "swift-distributed-tracing")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let lifecycle: Target.Dependency = .product(
  name: "ServiceLifecycle", package: "swift-service-lifecycle")
let signals: Target.Dependency = .product(
  name: "UnixSignals", package: "swift-service-lifecycle")

/// A room of the house: a Swift target with the house's settings.
func room(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
  .target(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: strict)
}

/// A program: a Swift executable with the house's settings.
func program(_ name: String, _ dependencies: [Target.Dependency], path: String? = nil) -> Target {
  .executableTarget(name: name, dependencies: dependencies, path: path, swiftSettings: strict)
}

/// The tests of a room, with what else they need.
func tests(
  _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [],
  resources: [Resource] = []
) -> Target {
  .testTarget(
    name: name, dependencies: dependencies, exclude: exclude, resources: resources,
    swiftSettings: strict)
}

let package = Package(
  name: "holdfast",
  platforms: [.macOS(.v26)],
  products: [
    .library(name: "Schema", targets: ["Schema"]),
    .library(name: "RPC", targets: ["RPC"]),
    .library(name: "RPCNIO", targets: ["RPCNIO"]),
    .library(name: "RPCObservability", targets: ["RPCObservability"]),
    .library(name: "RPCServices", targets: ["RPCServices"]),
    .library(name: "RPCTLS", targets: ["RPCTLS"]),
    .library(name: "StoreClient", targets: ["StoreClient"]),
    .executable(name: "holdfast", targets: ["holdfast"]),
    .executable(name: "protoc-gen-holdfast", targets: ["protoc-gen-holdfast"]),
    .plugin(name: "GenerateSwift", targets: ["GenerateSwift"]),
    .plugin(name: "Generate", targets: ["Generate"]),
    // For the nested package Tests/Fuzz alone.
    .library(name: "_TestSchemas", targets: ["TestSchemas"]),
    .library(name: "_SegmentFuzzing", targets: ["SegmentFuzzing"]),
    .library(name: "_RPCFuzzing", targets: ["RPCFuzzing"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.0"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    // Schemas and what is generated from them.
    .systemLibrary(
      name: "CProtobufC", pkgConfig: "libprotobuf-c", providers: [.apt(["libprotobuf-c-dev"])]),
    .systemLibrary(name: "CISAL", pkgConfig: "libisal", providers: [.apt(["libisal-dev"])]),
    .target(name: "CSchemas", dependencies: ["CProtobufC"]),
    room("Schema", ["CProtobufC", "CSchemas", nioCore]),
    room("SchemaCodeGen", ["Schema", "CSchemas", "CProtobufC"]),
    program("protoc-gen-holdfast", ["SchemaCodeGen"]),
    // For packages that use our schemas and calls: see Tests/Example.
    .plugin(
      name: "GenerateSwift", capability: .buildTool(), dependencies: ["protoc-gen-holdfast"]),
    .plugin(
      name: "Generate",
      capability: .command(
        intent: .custom(
          verb: "generate", description: "Writes the C code of every target's schemas"),
        permissions: [
          .writeToPackageDirectory(reason: "the C code is written into the target C<Target>")
        ]), dependencies: ["protoc-gen-holdfast"]),

    // Calls.
    room("RPC", ["Schema", nioCore, deque]),
    room("RPCNIO", ["RPC", nioCore, nioPosix, nioTLS, deque]),
    room("RPCTLS", ["RPC", "RPCNIO", nioCore, nioSSL]),

    room("RPCServices", ["RPC", "Schema", "CSchemas", "CProtobufC", nioCore]),

    room("RPCObservability", ["RPC", logging, metrics, tracing]),

    // The store.
    room("StoreProtocol", ["Schema", "CSchemas", "CProtobufC", "RPC", "StoreModel"]),
    room("StoreModel", []),
    room("Checksum", ["CISAL", nioCore]),
    .target(name: "CDisk"),
    room("SeededExecution", []),
    room("ChunkStore", ["StoreModel", "Checksum", "CDisk", nioCore], exclude: ["FORMAT.md"]),
    room("MetadataStore", ["StoreModel", grdb]),
    room(
      "DirectoryServer", ["StoreProtocol", "StoreModel", "MetadataStore", "RPC", "Schema", logging]),
    room(
      "NodeServer",
      [
        "StoreProtocol", "StoreModel", "ChunkStore", "Checksum", "RPC", "RPCServices", "Schema",
        nioCore, logging,
      ]),
    room(
      "StoreClient",
      ["StoreProtocol", "StoreModel", "Checksum", "RPC", "Schema", nioCore, deque, logging]),
    room(
      "Simulation",
      [
        "DirectoryServer", "NodeServer", "StoreClient", "ChunkStore", "Checksum", "MetadataStore",
        "RPC", "SeededExecution", "StoreModel", "StoreProtocol", nioCore, logging,
      ]),
    program(
      "holdfast",
      [
        "DirectoryServer", "NodeServer", "StoreClient", "ChunkStore", "MetadataStore", "RPC",
        "RPCNIO", "RPCObservability", "RPCServices", "RPCTLS", "Schema", "StoreModel",
        "StoreProtocol", nioCore, arguments, logging, lifecycle,
        signals,
      ]),

    // Benchmarks: ours beside C's.
    .target(
      name: "CYardsticks", dependencies: ["CISAL", "CProtobufC", "CSchemas"],
      path: "Tests/Bench/CYardsticks"),
    program(
      "holdfast-bench",
      [
        "CYardsticks", "CProtobufC", "Checksum", "ChunkStore", "RPC", "RPCNIO", "Schema",
        "StoreClient", "StoreModel", nioCore,
        logging,
      ], path: "Tests/Bench/HoldfastBench"),

    // The Swift client that calls the server in C.
    program(
      "interop-client", ["RPC", "RPCNIO", "Schema", "StoreProtocol"],
      path: "Tests/Interop/SwiftClient"),

    // Tests mirror the rooms.
    .target(
      name: "CTestSchemas", dependencies: ["CProtobufC", "CSchemas"], path: "Tests/CTestSchemas"),
    .target(
      name: "SegmentFuzzing",
      dependencies: ["ChunkStore", "SeededExecution", "StoreModel", "Checksum", nioCore],
      path: "Tests/SegmentFuzzing", swiftSettings: strict),
    .target(
      name: "TestSchemas", dependencies: ["Schema", "RPC", "CTestSchemas", "CProtobufC"],
      path: "Tests/TestSchemas",
      exclude: ["everything.proto", "features.proto", "imported.proto", "reexported.proto"],
      swiftSettings: strict),
    tests("SchemaTests", ["Schema", "TestSchemas", "CTestSchemas", "CProtobufC", nioCore]),
    tests(
      "SchemaCodeGenTests",
      ["SchemaCodeGen", "Schema", "RPC", "StoreProtocol", "TestSchemas", "CTestSchemas"],
      exclude: ["Fixtures"]),
    .target(
      name: "RPCTestSuite", dependencies: ["RPC", "Schema", "StoreProtocol", nioCore],
      path: "Tests/RPCTestSuite", swiftSettings: strict),
    .target(
      name: "RPCFuzzing", dependencies: ["RPC", "Schema", "StoreProtocol", nioCore],
      path: "Tests/RPCFuzzing", swiftSettings: strict),
    tests(
      "RPCTests",
      ["RPC", "RPCFuzzing", "RPCTestSuite", "Schema", "SeededExecution", "StoreProtocol", nioCore]),
    tests(
      "RPCNIOTests",
      ["RPC", "RPCNIO", "RPCTestSuite", "Schema", "StoreProtocol", nioCore, nioPosix]),
    tests(
      "RPCTLSTests", ["RPC", "RPCNIO", "RPCTLS", "RPCTestSuite", "StoreProtocol", nioCore]),
    tests(
      "RPCObservabilityTests",
      [
        "RPC", "RPCObservability", "StoreProtocol", logging, metrics, metricsTesting, tracing,
        tracingInMemory,
      ]),
    tests(
      "RPCServicesTests",
      ["RPC", "RPCServices", "RPCTestSuite", "Schema", "StoreProtocol", nioCore]),
    tests("StoreModelTests", ["StoreModel"]),
    .target(name: "CCallLog", path: "Tests/CCallLog"),
    tests(
      "ChunkStoreTests",
      [
        "CCallLog", "ChunkStore", "SeededExecution", "SegmentFuzzing", "StoreModel", "Checksum",
        nioCore,
      ]),
    tests("MetadataStoreTests", ["MetadataStore", "StoreModel", grdb]),
    tests(
      "DirectoryServerTests",
      ["DirectoryServer", "MetadataStore", "StoreProtocol", "StoreModel", "RPC", logging]),
    tests(
      "NodeServerTests",
      [
        "NodeServer", "ChunkStore", "Checksum", "StoreModel", "StoreProtocol", "RPC", "Schema",
        nioCore, logging,
      ]),
    tests(
      "StoreClientTests",
      [
        "StoreClient", "StoreProtocol", "StoreModel", "Checksum", "Schema", "RPC", nioCore, logging,
      ]),
    tests(
      "SimulationTests",
      ["Simulation", "SeededExecution", "StoreClient", "StoreModel", "RPC", nioCore]),
    tests("EndToEndTests", ["RPC", "RPCServices", "RPCTestSuite", "StoreModel", "holdfast"]),
    tests("TidyTests", []),
  ]
)
