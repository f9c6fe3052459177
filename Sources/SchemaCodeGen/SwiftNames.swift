/// How the schema's names become Swift's: the conventions of swift-protobuf, which people know.
enum SwiftNames {
  /// `foo_bar` becomes `fooBar`; `url`, `http`, `https` and `id` are written in capitals unless they
  /// come first.
  static func lowerCamel(_ name: String) -> String {
    camel(name, upperFirst: false)
  }

  /// `foo_bar` becomes `FooBar`.
  static func upperCamel(_ name: String) -> String {
    camel(name, upperFirst: true)
  }

  /// The prefix of types in a package: `foo_bar.baz` gives `FooBar_Baz_`.
  static func prefix(ofPackage package: String) -> String {
    package.split(separator: ".").map { upperCamel(String($0)) + "_" }.joined()
  }

  /// A name as an identifier: in backticks when it is a keyword.
  static func identifier(_ name: String) -> String {
    keywords.contains(name) ? "`\(name)`" : name
  }

  /// An identifier as the label of an argument in a call, where few keywords need backticks.
  static func label(_ identifier: String) -> String {
    let bare = identifier.trimmingPrefix("`")
    guard bare.last == "`" else { return identifier }
    let name = String(bare.dropLast())
    return ["inout", "let", "var"].contains(name) ? identifier : name
  }

  /// A property's name: `_p` is added where every message has something of that name.
  static func property(_ name: String) -> String {
    let camel = lowerCamel(name)
    return reservedMembers.contains(camel) ? camel + "_p" : camel
  }

  /// What a schema's own description is called: `holdfast/v1/node.proto` gives `holdfastV1Node`.
  static func fileSchema(_ path: String) -> String {
    let stem = path.hasSuffix(".proto") ? String(path.dropLast(6)) : path
    let word = stem.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" }
    return identifier(lowerCamel(String(word)))
  }

  /// Whether a method can't bear this name, because the generated code has something of that name.
  static func isReservedMethod(_ name: String) -> Bool {
    ["init", "self", "Type", "Protocol", "description", "register", "channel", "service"]
      .contains(name)
  }

  /// The name of a message's or enum's type: `kind` is added where Swift or the generated code means
  /// something else by it.
  static func type(_ name: String, kind: String) -> String {
    let name = name.first?.isLowercase == true ? upperCamel(name) : name
    return reservedTypes.contains(name) ? name + kind : name
  }

  /// An enum's cases in the order of its values; a value's own name where stripping the enum's name
  /// would leave nothing, a digit first, or two alike.
  static func cases(of declaration: SchemaEnum) -> [String] {
    let whole = declaration.values.map { caseName($0.name) }
    let stripped = declaration.values.map { value in
      strip(declaration.name, from: value.name).map(caseName)
    }
    var uses: [String: Int] = [:]
    for (name, whole) in zip(stripped, whole) { uses[name ?? whole, default: 0] += 1 }
    return zip(stripped, whole).map { name, whole in
      guard let name, uses[name] == 1 else { return whole }
      return name
    }
  }

  /// A case's name.
  private static func caseName(_ name: String) -> String {
    let camel = lowerCamel(name)
    return reservedCases.contains(camel) ? camel + "_" : camel
  }

  /// What remains of `NODE_STATE_UP` without `NodeState`; nil when it doesn't begin so or nothing
  /// usable remains.
  private static func strip(_ prefix: String, from name: String) -> String? {
    var rest = Substring(name)
    for letter in prefix.lowercased() where letter != "_" {
      rest = rest.drop { $0 == "_" }
      guard let first = rest.first, first.lowercased() == String(letter) else { return nil }
      rest = rest.dropFirst()
    }
    guard rest.first == "_" else { return nil }
    rest = rest.drop { $0 == "_" }
    guard let first = rest.first, first.isLetter else { return nil }
    return String(rest)
  }

  private static func camel(_ name: String, upperFirst: Bool) -> String {
    enum Class { case none, digit, upper, lower, underscore }
    var result = ""
    var word = ""
    var last = Class.none
    func flush() {
      guard !word.isEmpty else { return }
      if result.isEmpty && !upperFirst {
        result += word
      } else if ["url", "http", "https", "id"].contains(word) {
        result += word.uppercased()
      } else {
        result += word.prefix(1).uppercased() + word.dropFirst()
      }
      word = ""
    }
    for character in name {
      let now: Class =
        switch character {
        case "0"..."9": .digit
        case "A"..."Z": .upper
        case "_": .underscore
        default: .lower
        }
      switch now {
      case .digit:
        if last != .digit { flush() }
        if result.isEmpty { result = "_" }
      case .upper:
        if last != .upper { flush() }
      case .lower:
        if last != .lower && last != .upper { flush() }
      case .underscore, .none:
        flush()
        if last == .underscore { result += "_" }
      }
      if now != .underscore { word += character.lowercased() }
      last = now
    }
    flush()
    return last == .underscore ? result + "_" : result
  }

  /// Swift's keywords, which an identifier may bear only in backticks.
  private static let keywords: Set<String> = [
    "associatedtype", "class", "deinit", "enum", "extension", "fileprivate", "func", "import",
    "init", "inout", "internal", "let", "operator", "precedencegroup", "private", "protocol",
    "public", "rethrows", "static", "struct", "subscript", "typealias", "var", "break", "case",
    "catch", "continue", "default", "defer", "do", "else", "fallthrough", "for", "guard", "if",
    "in",
    "repeat", "return", "switch", "throw", "throws", "try", "where", "while", "as", "false", "is",
    "nil", "self", "super", "true", "Any", "Self", "_",
  ]

  /// What every message has, and what can't be a property even in backticks.
  private static let reservedMembers: Set<String> = [
    "description", "debugDescription", "hashValue", "hash", "init", "self", "Type", "Protocol",
    "dynamicType", "messageBody", "encode", "encodedBytes", "jsonString", "jsonValue", "fill",
    "unknownFields",
  ]

  /// What every enum has as static members, and what can't be a case even in backticks.
  private static let reservedCases: Set<String> = [
    "init", "self", "Type", "Protocol", "fullName", "names", "allCases",
  ]

  /// Types that the generated code means when it names them, and names Swift refuses.
  private static let reservedTypes: Set<String> = [
    "Any", "AnyObject", "Array", "Bool", "Dictionary", "Double", "Error", "Float", "Int", "Int32",
    "Int64", "Never", "Optional", "Protocol", "Self", "Set", "String", "Swift", "Type", "UInt",
    "UInt8", "UInt32", "UInt64", "Void", "Hashable", "Equatable", "Sendable", "Codable", "Encoder",
    "Decoder", "JSONValue", "JSONOptions", "JSONWriter", "JSONFieldReader", "UnsafePointer",
    "UnsafeMutablePointer", "CStruct",
    "Schema", "Message", "Body", "OpenEnum", "Arena", "SchemaError", "Indirect", "FileSchema",
    "RPC", "Method", "Service", "ServiceDescription", "MethodDescription", "MessageReader",
    "MessageWriter", "CallContext", "CallOptions", "CallChannel", "Router",
  ]
}
