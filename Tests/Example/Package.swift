// swift-tools-version: 6.2
import PackageDescription

// A package that uses Holdfast's schemas and calls for a service of its own, as an outsider's would:
// its README walks through it. `make example` builds and runs it.
let package = Package(
  name: "example",
  platforms: [.macOS(.v26)],
  // An outsider writes .package(url: …) here.
  dependencies: [.package(name: "holdfast", path: "../..")],
  targets: [
    // What protoc-c makes of the schemas: written by `swift package generate`.
    .target(name: "CTicker", dependencies: [.product(name: "Schema", package: "holdfast")]),
    // The schemas, the Swift code that the plugin makes of them, and the service.
    .target(
      name: "Ticker",
      dependencies: [
        "CTicker",
        .product(name: "Schema", package: "holdfast"), .product(name: "RPC", package: "holdfast"),
      ],
      exclude: ["generator-options"],
      plugins: [.plugin(name: "GenerateSwift", package: "holdfast")]),
    // A server and a client in one process, over TCP.
    .executableTarget(
      name: "ticker-demo",
      dependencies: [
        "Ticker",
        .product(name: "RPC", package: "holdfast"), .product(name: "RPCNIO", package: "holdfast"),
      ]),
  ]
)
