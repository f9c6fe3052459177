/// What the generator's caller may choose: protoc's `--holdfast_opt=NAME=VALUE`, separated by commas.
///
/// | parameter | meaning |
/// | --- | --- |
/// | `visibility=public` | access level of what is generated: `public`, `package` or `internal` |
/// | `module=NAME` | the Swift module that the files are for: it is never imported |
/// | `c_module=CSchemas` | the Swift module of protoc-c's output for the generated files |
/// | `file_naming=full_path` | `full_path` (a/b.pb.swift), `path_to_underscores` (a_b.pb.swift) or `drop_path` (b.pb.swift) |
/// | `MFILE.proto=MODULE` | that file's types are in another Swift module, which is imported |
struct GeneratorOptions {
  /// Schemas whose Swift types are in the module `Schema`, without being told.
  private static let schemaModule =
    ["any", "descriptor", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers"]
    .map { "google/protobuf/\($0).proto" } + ["holdfast/rpc/options.proto"]

  /// How an output file is called after its schema.
  enum FileNaming: String {
    case fullPath = "full_path"
    case pathToUnderscores = "path_to_underscores"
    case dropPath = "drop_path"
  }

  /// The access levels that can be asked for.
  enum Visibility: String {
    case `public`
    case `package`
    case `internal`
  }

  /// Access level of what is generated.
  var visibility = Visibility.public
  /// The Swift module that the files are for; nil when it isn't said.
  var module: String?
  /// The Swift module of protoc-c's output.
  var cModule = "CSchemas"
  /// How output files are called.
  var fileNaming = FileNaming.fullPath
  /// The Swift modules of schemas that were generated elsewhere, by the schemas' names.
  var modules: [String: String] = Dictionary(
    uniqueKeysWithValues: Self.schemaModule.map { ($0, "Schema") })

  /// Reads protoc's parameter.
  init(parameter: String) throws(GeneratorError) {
    for part in parameter.split(separator: ",") {
      guard let equals = part.firstIndex(of: "=") else {
        throw GeneratorError("parameter '\(part)'", "has no value; write NAME=VALUE")
      }
      let value = String(part[part.index(after: equals)...])
      try set(String(part[..<equals]), value)
    }
  }

  private mutating func set(_ name: String, _ value: String) throws(GeneratorError) {
    let place = "parameter '\(name)'"
    switch name {
    case "visibility":
      visibility = try Self.choice(value, place, ["public", "package", "internal"])
    case "file_naming":
      fileNaming = try Self.choice(
        value, place, ["full_path", "path_to_underscores", "drop_path"])
    case "module":
      module = try Self.moduleName(value, place)
    case "c_module":
      cModule = try Self.moduleName(value, place)
    case _ where name.hasPrefix("M") && name.hasSuffix(".proto"):
      modules[String(name.dropFirst())] = try Self.moduleName(value, place)
    default:
      throw GeneratorError(
        place,
        "is unknown; there are visibility, module, c_module, file_naming and MFILE.proto")
    }
  }

  private static func choice<Choice: RawRepresentable<String>>(
    _ value: String, _ place: String, _ choices: [String]
  ) throws(GeneratorError) -> Choice {
    guard let choice = Choice(rawValue: value) else {
      throw GeneratorError(
        place, "'\(value)' is none of its values: \(choices.joined(separator: ", "))")
    }
    return choice
  }

  private static func moduleName(
    _ value: String, _ place: String
  ) throws(GeneratorError) -> String {
    guard value.first?.isLetter == true,
      value.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" })
    else { throw GeneratorError(place, "'\(value)' is no module's name") }
    return value
  }

  /// The path of a schema's Swift file, below the output directory.
  func outputPath(of schema: String) -> String {
    let stem = schema.hasSuffix(".proto") ? String(schema.dropLast(6)) : schema
    switch fileNaming {
    case .fullPath: return stem + ".pb.swift"
    case .pathToUnderscores: return stem.replacing("/", with: "_") + ".pb.swift"
    case .dropPath: return (stem.split(separator: "/").last.map(String.init) ?? stem) + ".pb.swift"
    }
  }
}
