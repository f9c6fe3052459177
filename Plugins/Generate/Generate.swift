import Foundation
import PackagePlugin

/// Writes what `protoc-c` makes of a package's schemas: `swift package generate [--target NAME]...`.
///
/// Every Swift target with schemas has a C target `C<Target>`, and these files in it belong to the
/// plugin: `*.pb-c.c`, `include/*.pb-c.h`, and a module map with a header that includes them all. They
/// are to be committed: Swift sees only C headers that are there before the build. The Swift code needs
/// no command: the plugin `GenerateSwift` makes it at each build.
@main
struct Generate: CommandPlugin {
  func performCommand(context: PluginContext, arguments: [String]) throws {
    var extractor = ArgumentExtractor(arguments)
    let names = extractor.extractOption(named: "target")
    if let stranger = extractor.remainingArguments.first {
      throw Refusal("'\(stranger)' is unknown: swift package generate [--target NAME]...")
    }
    let chosen =
      names.isEmpty ? context.package.targets : try context.package.targets(named: names)
    let modules = chosen.compactMap { $0 as? any SourceModuleTarget }
      .filter { !$0.sourceFiles(withSuffix: ".proto").isEmpty }
    guard !modules.isEmpty else { throw Refusal("no target has a .proto file in its folder") }
    let library = try holdfastSchemas(of: context.package)
    for module in modules {
      try generate(
        module, library: library, package: context.package,
        generator: try context.tool(named: "protoc-gen-holdfast").url)
    }
  }

  private func generate(
    _ module: any SourceModuleTarget, library: URL, package: Package, generator: URL
  ) throws {
    let name = "C\(module.name)"
    guard let target = package.targets.first(where: { $0.name == name }) else {
      throw Refusal(
        "target '\(module.name)' needs a C target '\(name)' beside it: a folder with an empty "
          + "\(name).c, named in Package.swift and among the dependencies of '\(module.name)'")
    }
    let schemas = module.sourceFiles(withSuffix: ".proto").map(\.url.path).sorted()
    let files = FileManager.default
    let output = files.temporaryDirectory.appending(path: "generate-\(UUID().uuidString)")
    try files.createDirectory(at: output, withIntermediateDirectories: true)
    defer { try? files.removeItem(at: output) }
    try run(
      protoc,
      [
        "-I\(module.directoryURL.path)", "-I\(library.path)",
        "--plugin=protoc-gen-holdfast=\(generator.path)", "--holdfast_out=\(output.path)",
        "--holdfast_opt=output=c",
      ] + schemas)
    let written = try install(from: output, in: target.directoryURL, module: name)
    print("\(name): \(written.joined(separator: ", "))")
  }

  /// Moves what protoc-c wrote to its places, and removes what an earlier run left of schemas that are
  /// gone.
  private func install(from output: URL, in folder: URL, module: String) throws -> [String] {
    let files = FileManager.default
    let include = folder.appending(path: "include")
    try files.createDirectory(at: include, withIntermediateDirectories: true)
    for path in try files.subpathsOfDirectory(atPath: folder.path) where isGenerated(path) {
      try files.removeItem(at: folder.appending(path: path))
    }
    let written = try files.subpathsOfDirectory(atPath: output.path).filter(isGenerated).sorted()
    for path in written {
      let place = (path.hasSuffix(".h") ? include : folder).appending(path: path)
      try files.createDirectory(
        at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
      try files.moveItem(at: output.appending(path: path), to: place)
    }
    let headers = written.filter { $0.hasSuffix(".h") }.map { "#include \"\($0)\"\n" }.joined()
    try """
    /* Generated. Every header of this module; adapters use deprecated fields without a warning. */
    #ifndef PROTOBUF_C__NO_DEPRECATED
    #define PROTOBUF_C__NO_DEPRECATED
    #endif
    \(headers)
    """.write(to: include.appending(path: "\(module).h"), atomically: true, encoding: .utf8)
    try "module \(module) {\n  header \"\(module).h\"\n  export *\n}\n".write(
      to: include.appending(path: "module.modulemap"), atomically: true, encoding: .utf8)
    return written
  }

  private func isGenerated(_ path: String) -> Bool {
    path.hasSuffix(".pb-c.c") || path.hasSuffix(".pb-c.h")
  }

  /// The schema compiler: the one that PROTOC_PATH names, or the system's.
  private var protoc: URL {
    URL(
      filePath: ProcessInfo.processInfo.environment["PROTOC_PATH"] ?? "/usr/bin/protoc")
  }

  private func run(_ program: URL, _ arguments: [String]) throws {
    guard FileManager.default.isExecutableFile(atPath: program.path) else {
      throw Refusal(
        "\(program.path) is not there: install protobuf-compiler and protobuf-c-compiler, or set "
          + "PROTOC_PATH")
    }
    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw Refusal("\(program.lastPathComponent) refused the schemas (see above)")
    }
  }

  /// The folder with `holdfast/rpc/options.proto`: in the package that brought this plugin.
  private func holdfastSchemas(of package: Package) throws -> URL {
    var packages = [package]
    while let next = packages.popLast() {
      if next.targets.contains(where: { $0.name == "protoc-gen-holdfast" }) {
        return next.directoryURL.appending(path: "Protos")
      }
      packages += next.dependencies.map(\.package)
    }
    throw Refusal("the package of protoc-gen-holdfast is not among the dependencies")
  }
}

/// Why nothing can be generated.
struct Refusal: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) {
    self.description = description
  }
}
