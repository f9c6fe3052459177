import Foundation
import PackagePlugin

/// Generates the Swift code of a target's schemas whenever they have changed, while it is built.
///
/// The target names the plugin, and every `.proto` in its folder becomes messages, services and stubs.
/// What `protoc-c` makes of the same schemas is in the C target `C<Target>`, which the command plugin
/// writes (`swift package generate`): C headers must be there before Swift is compiled.
@main
struct GenerateSwift: BuildToolPlugin {
  func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
    guard let module = target as? any SourceModuleTarget else { return [] }
    let folder = target.directoryURL
    let schemas = module.sourceFiles(withSuffix: ".proto").map(\.url)
    guard !schemas.isEmpty else {
      throw Refusal("target '\(target.name)' has no .proto file in \(folder.path)")
    }
    let generator = try context.tool(named: "protoc-gen-holdfast").url
    let imports = try [folder, holdfastSchemas(of: context.package)]
    let output = context.pluginWorkDirectoryURL
    let parameters = try parameters(of: target)
    return schemas.map { schema in
      let path = schema.path.dropFirst(folder.path.count).drop { $0 == "/" }
      let file = path.dropLast(".proto".count).replacing("/", with: "_") + ".pb.swift"
      return .buildCommand(
        displayName: "Generating \(file)",
        executable: protoc,
        arguments: imports.map { "-I\($0.path)" } + [
          "--plugin=protoc-gen-holdfast=\(generator.path)", "--holdfast_out=\(output.path)",
          "--holdfast_opt=\(parameters)", schema.path,
        ],
        // Schemas import each other: each file depends on all of them, and on the generator.
        inputFiles: schemas + [generator],
        outputFiles: [output.appending(path: file)])
    }
  }

  /// What the generator is told: where Holdfast's own types are, where the C code is, and the target's
  /// own wishes, such as `visibility=internal`, from the file `generator-options` beside its schemas.
  private func parameters(of target: any Target) throws -> String {
    let own = target.directoryURL.appending(path: "generator-options")
    let wishes =
      FileManager.default.fileExists(atPath: own.path)
      ? try String(contentsOf: own, encoding: .utf8).split(whereSeparator: \.isWhitespace) : []
    return
      ([
        "module=\(target.name)", "c_module=C\(target.name)", "file_naming=path_to_underscores",
      ] + wishes.map(String.init)).joined(separator: ",")
  }

  /// The schema compiler: the one that PROTOC_PATH names, or the system's.
  private var protoc: URL {
    URL(
      filePath: ProcessInfo.processInfo.environment["PROTOC_PATH"] ?? "/usr/bin/protoc")
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
