/// Every type of one run's schemas by its full name, with the names it has in Swift.
struct SchemaTypes {
  /// A message that isn't a map's entry.
  struct MessageType {
    /// Its name in Swift, from the module's top.
    var swiftName: String
    /// Full names of the messages that it holds by value in its Swift struct.
    var held: [String]
    /// The file it is declared in.
    var file: String
  }

  /// An enum.
  struct EnumType {
    /// Its name in Swift, from the module's top.
    var swiftName: String
    /// Its cases, in the order of its values.
    var cases: [String]
    /// Its values, for defaults.
    var values: [SchemaEnum.Value]
    /// The file it is declared in.
    var file: String
  }

  private(set) var messages: [String: MessageType] = [:]
  private(set) var enums: [String: EnumType] = [:]
  /// Key and value of each map's entry.
  private(set) var mapEntries: [String: (key: SchemaField, value: SchemaField)] = [:]

  /// Resolves the types of all files.
  init(_ files: [SchemaFile]) throws(GeneratorError) {
    for file in files {
      let prefix = Self.prefix(of: file)
      for message in file.messages { try add(message, in: file, prefix: prefix) }
      for declaration in file.enums { add(declaration, in: file, prefix: prefix) }
    }
  }

  /// What the names of a file's own types begin with.
  static func prefix(of file: SchemaFile) -> String {
    file.swiftPrefix ?? SwiftNames.prefix(ofPackage: file.package)
  }

  private mutating func add(
    _ message: SchemaMessage, in file: SchemaFile, prefix: String
  ) throws(GeneratorError) {
    if message.isMapEntry {
      guard message.fields.count == 2 else {
        throw GeneratorError(message.fullName, "a map's entry has a key and a value")
      }
      mapEntries[message.fullName] = (message.fields[0], message.fields[1])
      return
    }
    let name = Self.swiftName(message.name, kind: "Message", prefix: prefix)
    let held = message.fields.filter { $0.kind == .message && $0.label != .repeated }
    messages[message.fullName] = MessageType(
      swiftName: name, held: held.map(\.typeName), file: file.name)
    for nested in message.messages { try add(nested, in: file, prefix: name + ".") }
    for nested in message.enums { add(nested, in: file, prefix: name + ".") }
  }

  private mutating func add(_ declaration: SchemaEnum, in file: SchemaFile, prefix: String) {
    enums[declaration.fullName] = EnumType(
      swiftName: Self.swiftName(declaration.name, kind: "Enum", prefix: prefix),
      cases: SwiftNames.cases(of: declaration), values: declaration.values, file: file.name)
  }

  private static func swiftName(_ name: String, kind: String, prefix: String) -> String {
    guard prefix.isEmpty || prefix.hasSuffix(".") else { return prefix + name }
    return prefix + SwiftNames.type(name, kind: kind)
  }

  /// A message's name in Swift.
  func message(_ fullName: String) throws(GeneratorError) -> MessageType {
    guard let type = messages[fullName] else {
      throw GeneratorError(fullName, "no such message in the schemas that protoc sent")
    }
    return type
  }

  /// An enum's names in Swift.
  func `enum`(_ fullName: String) throws(GeneratorError) -> EnumType {
    guard let type = enums[fullName] else {
      throw GeneratorError(fullName, "no such enum in the schemas that protoc sent")
    }
    return type
  }

  /// Whether a message holds `other` by value, itself or through messages that it holds.
  func message(_ fullName: String, reaches other: String) -> Bool {
    var seen: Set<String> = []
    var open = [fullName]
    while let next = open.popLast() {
      if next == other { return true }
      guard seen.insert(next).inserted else { continue }
      open += messages[next]?.held ?? []
    }
    return false
  }
}
