/// One `.proto` file as the generator sees it: read from its descriptor, names still the schema's.
struct SchemaFile {
  /// Its path as schemas import it, such as `holdfast/v1/node.proto`.
  var name: String
  /// Its package; may be empty.
  var package: String
  /// Whether its syntax is proto3; else it is proto2.
  var isProto3: Bool
  /// The option `swift_prefix`; nil when it is not set.
  var swiftPrefix: String?
  /// The files that it imports.
  var dependencies: [String]
  /// Places in `dependencies` of the files that whoever imports this file sees too.
  var publicDependencies: [Int]
  /// Its messages that stand in no other.
  var messages: [SchemaMessage]
  /// Its enums that stand in no message.
  var enums: [SchemaEnum]
  /// Its services.
  var services: [SchemaService]
  /// What stands at its top, before the syntax.
  var comments: Comments
  /// Its `FileDescriptorProto` without source info, serialized.
  var descriptor: [UInt8]
}

/// A message.
struct SchemaMessage {
  /// Its own name.
  var name: String
  /// Its name with package and enclosing messages, without a leading dot.
  var fullName: String
  /// Its fields, in the order of the schema.
  var fields: [SchemaField]
  /// Its oneofs' names, in order.
  var oneofs: [SchemaOneof]
  /// Messages declared inside it, the entries of its maps included.
  var messages: [SchemaMessage]
  /// Enums declared inside it.
  var enums: [SchemaEnum]
  /// Whether it stands for the entries of a map field.
  var isMapEntry: Bool
  /// What the schema says of it.
  var comments: Comments
}

/// A field of a message.
struct SchemaField {
  /// The types of fields, with protobuf's numbers.
  enum Kind: Int32 {
    case double = 1
    case float, int64, uint64, int32, fixed64, fixed32, bool, string, group, message, bytes, uint32
    case `enum`, sfixed32, sfixed64, sint32, sint64
  }

  /// How often a field may stand in its message, with protobuf's numbers.
  enum Label: Int32 {
    case optional = 1
    case required, repeated
  }

  /// Its name.
  var name: String
  /// Its number.
  var number: Int32
  /// Its type.
  var kind: Kind
  /// How often it may stand in its message.
  var label: Label
  /// The full name of its message or enum, without a leading dot; empty for other types.
  var typeName: String
  /// The place of its oneof in the message's; nil when it is in none.
  var oneof: Int?
  /// Whether it is proto3's `optional`.
  var isProto3Optional = false
  /// Its name in JSON.
  var jsonName: String
  /// A proto2 default in the schema's text form; nil when there is none.
  var defaultValue: String?
  /// Whether it is the message's body.
  var isBody: Bool
  /// What the schema says of it.
  var comments: Comments
}

/// A oneof of a message.
struct SchemaOneof {
  /// Its name.
  var name: String
  /// What the schema says of it.
  var comments: Comments
}

/// An enum.
struct SchemaEnum {
  /// One of its values.
  struct Value {
    /// Its name.
    var name: String
    /// Its number.
    var number: Int32
    /// What the schema says of it.
    var comments: Comments
  }

  /// Its own name.
  var name: String
  /// Its name with package and enclosing messages, without a leading dot.
  var fullName: String
  /// Its values, in the order of the schema; the first is the default.
  var values: [Value]
  /// What the schema says of it.
  var comments: Comments
}

/// A service.
struct SchemaService {
  /// One of its methods.
  struct Method {
    /// Its name.
    var name: String
    /// The full name of its requests' message.
    var request: String
    /// The full name of its responses' message.
    var response: String
    /// Whether the client sends any number of requests.
    var streamsRequests: Bool
    /// Whether the server sends any number of responses.
    var streamsResponses: Bool
    /// Whether two calls have the effect of one.
    var isIdempotent: Bool
    /// What the schema says of it.
    var comments: Comments
  }

  /// Its own name.
  var name: String
  /// Its name with the package.
  var fullName: String
  /// Its methods, in the order of the schema.
  var methods: [Method]
  /// What the schema says of it.
  var comments: Comments
}

/// The comments around a declaration in a schema.
struct Comments {
  /// Right above it; empty when there is none.
  var leading = ""
  /// Behind or right below it.
  var trailing = ""
  /// Above it, set off by an empty line.
  var detached: [String] = []

  /// Whether nothing is said.
  var isEmpty: Bool { leading.isEmpty && trailing.isEmpty && detached.isEmpty }

  /// Its documentation: what stands above it, then what stands behind it, a paragraph each.
  var documentation: [String] {
    let paragraphs = [leading, trailing].map(Comments.lines).filter { !$0.isEmpty }
    return Array(paragraphs.joined(separator: [""]))
  }

  /// A comment's lines without the space after its marks and without empty lines at either end.
  static func lines(of comment: String) -> [String] {
    var lines = comment.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      var line = line.hasPrefix(" ") ? line.dropFirst() : line
      while line.last == " " || line.last == "\t" || line.last == "\r" { line.removeLast() }
      return String(line)
    }
    while lines.last?.isEmpty == true { lines.removeLast() }
    return Array(lines.drop { $0.isEmpty })
  }
}
