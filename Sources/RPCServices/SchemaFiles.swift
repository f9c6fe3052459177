internal import Schema

/// Schemas by file and by what they declare.
struct SchemaFiles: Sendable {
  /// One file.
  struct File: Sendable {
    var dependencies: [String]
    /// A serialized `FileDescriptorProto`.
    var descriptor: [UInt8]
  }

  private(set) var files: [String: File] = [:]
  /// Full names of services, methods, messages, enums and extensions: the file that declares each.
  private(set) var symbols: [String: String] = [:]

  /// Reads what the files declare.
  init(_ schemas: [FileSchema]) {
    for schema in schemas {
      let bytes = schema.descriptor
      files[schema.name] = File(
        dependencies: schema.dependencies.map(\.name), descriptor: bytes)
      guard let file = try? Google_Protobuf_FileDescriptorProto(encodedBytes: bytes) else {
        preconditionFailure("a schema that was compiled in can be read")
      }
      for symbol in Self.symbols(of: file) { symbols[symbol] = schema.name }
    }
  }

  /// A file and what it imports, each once and without those in `known`, to which they are added.
  func closure(of name: String, known: inout Set<String>) -> [[UInt8]] {
    guard let file = files[name], known.insert(name).inserted else { return [] }
    var closure = [file.descriptor]
    for dependency in file.dependencies {
      closure += self.closure(of: dependency, known: &known)
    }
    return closure
  }

  private static func symbols(of file: Google_Protobuf_FileDescriptorProto) -> [String] {
    let scope = file.package.map { $0.isEmpty ? "" : $0 + "." } ?? ""
    var symbols = file.enumType.map { scope + ($0.name ?? "") }
    symbols += file.extension.map { scope + ($0.name ?? "") }
    for service in file.service {
      let name = scope + (service.name ?? "")
      symbols.append(name)
      symbols += service.method.map { "\(name).\($0.name ?? "")" }
    }
    for message in file.messageType { symbols += self.symbols(of: message, scope) }
    return symbols
  }

  private static func symbols(
    of message: Google_Protobuf_DescriptorProto, _ scope: String
  ) -> [String] {
    let name = scope + (message.name ?? "")
    return [name] + message.enumType.map { "\(name).\($0.name ?? "")" }
      + message.nestedType.flatMap { symbols(of: $0, name + ".") }
  }
}
