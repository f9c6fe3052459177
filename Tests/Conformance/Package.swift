// swift-tools-version: 6.2
import PackageDescription

// What protobuf's conformance runner asks: a package of its own, laid out and built below .build by
// Tests/Conformance/run, which brings the schemas of the runner's version.
let package = Package(
  name: "conformance",
  platforms: [.macOS(.v26)],
  dependencies: [.package(name: "holdfast", path: "../../..")],
  targets: [
    .target(name: "CConformance", dependencies: [.product(name: "Schema", package: "holdfast")]),
    .executableTarget(
      name: "Conformance",
      dependencies: ["CConformance", .product(name: "Schema", package: "holdfast")],
      exclude: ["generator-options"],
      plugins: [.plugin(name: "GenerateSwift", package: "holdfast")]),
  ]
)
