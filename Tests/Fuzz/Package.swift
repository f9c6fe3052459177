// swift-tools-version: 6.2
import PackageDescription

// Fuzzing with libFuzzer, in a package of its own so that nothing else is built for it. From this
// directory:
//
//   swift build -c release --sanitize=fuzzer
//   SWIFT_BACKTRACE=enable=no .build/release/FuzzDecoder -max_total_time=180 corpus
//   SWIFT_BACKTRACE=enable=no .build/release/FuzzSegments -max_total_time=180 corpus
//
// An input that libFuzzer finds becomes a test in Tests/SchemaTests or Tests/ChunkStoreTests.

let package = Package(
  name: "fuzz",
  platforms: [.macOS(.v26)],
  dependencies: [.package(name: "holdfast", path: "../..")],
  targets: [
    .executableTarget(
      name: "FuzzDecoder",
      dependencies: [
        .product(name: "Schema", package: "holdfast"),
        .product(name: "_TestSchemas", package: "holdfast"),
      ],
      swiftSettings: [.unsafeFlags(["-parse-as-library", "-sanitize=fuzzer"])],
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer"])]),
    .executableTarget(
      name: "FuzzSegments",
      dependencies: [.product(name: "_SegmentFuzzing", package: "holdfast")],
      swiftSettings: [.unsafeFlags(["-parse-as-library", "-sanitize=fuzzer"])],
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer"])]),
  ]
)
