// swift-tools-version: 6.2
import PackageDescription

// Fuzzing with libFuzzer, in a package of its own so that nothing else is built for it. `make fuzz` builds
// and runs it: see Tests/Fuzz/run.
//
// An input that libFuzzer finds becomes a test in Tests/SchemaTests, Tests/RPCTests or
// Tests/ChunkStoreTests.

/// A program that libFuzzer runs.
func fuzzer(_ name: String, _ products: [String]) -> Target {
  .executableTarget(
    name: name, dependencies: products.map { .product(name: $0, package: "holdfast") },
    swiftSettings: [.unsafeFlags(["-parse-as-library", "-sanitize=fuzzer"])],
    linkerSettings: [.unsafeFlags(["-sanitize=fuzzer"])])
}

let package = Package(
  name: "fuzz",
  platforms: [.macOS(.v26)],
  dependencies: [.package(name: "holdfast", path: "../..")],
  targets: [
    fuzzer("FuzzConnection", ["_RPCFuzzing"]),
    fuzzer("FuzzDecoder", ["Schema", "_TestSchemas"]),
    fuzzer("FuzzFrames", ["_RPCFuzzing"]),
    fuzzer("FuzzJSON", ["Schema", "_TestSchemas"]),
    fuzzer("FuzzSegments", ["_SegmentFuzzing"]),
  ]
)
