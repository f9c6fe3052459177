/// A field as a property of its message's Swift struct: its names, its types, and the expressions
/// that carry it into the C struct and out of it.
struct Property {
  /// How the field is stored.
  enum Shape: Equatable {
    /// Always there, with a default.
    case plain
    /// nil when absent; the C struct has a `has_` member.
    case optional
    /// nil when absent; the C struct has NULL.
    case pointer
    /// A list.
    case repeated
    /// A map: the full name of its entry.
    case map
    /// One of a oneof's members.
    case member
    /// proto3's `optional`: nil when absent; in C a oneof with this one member.
    case single
  }

  /// The field.
  let field: SchemaField
  /// Message and field, such as `holdfast.v1.Name.key`.
  let path: String
  /// How it is stored.
  let shape: Shape
  /// The property's name, or the oneof's case; in backticks where needed.
  let name: String
  /// The same without backticks.
  let bareName: String
  /// The C struct's member.
  let member: String
  /// The C struct's member's name, to build others from.
  let memberBase: String
  /// The Swift type of one element.
  let elementType: String
  /// The property's type.
  let type: String
  /// The property's default.
  let defaultValue: String
  /// Whether the value must be kept on the heap, because it may hold its own message.
  let isRecursive: Bool
  /// Key and value, when it is a map.
  let entry: (key: SchemaField, value: SchemaField)?

  /// The field's name in JSON, as a Swift literal.
  var jsonName: String { "\"\(field.jsonName)\"" }

  /// Resolves a field of `message`.
  init(
    _ field: SchemaField, of message: SchemaMessage, isProto3: Bool, types: SchemaTypes
  ) throws(GeneratorError) {
    self.field = field
    path = message.fullName + "." + field.name
    bareName = SwiftNames.property(field.name)
    name = SwiftNames.identifier(bareName)
    memberBase = CNames.member(field.name)
    guard field.kind != .group else { throw GeneratorError(path, "groups are not supported") }
    member = SwiftNames.identifier(memberBase)
    entry = field.kind == .message ? types.mapEntries[field.typeName] : nil
    shape = Self.shape(of: field, isMap: entry != nil, isProto3: isProto3)
    elementType = try Self.swiftType(field, types)
    isRecursive =
      field.kind == .message && field.label != .repeated
      && types.message(field.typeName, reaches: message.fullName)
    switch shape {
    case .plain, .member:
      type = elementType
      defaultValue = Self.zero(field, elementType)
    case .optional, .pointer, .single:
      type = elementType + "?"
      defaultValue = "nil"
    case .repeated:
      type = "[\(elementType)]"
      defaultValue = "[]"
    case .map:
      guard let entry else { throw GeneratorError(path, "its entry is missing") }
      type = try "[\(Self.swiftType(entry.key, types)): \(Self.swiftType(entry.value, types))]"
      defaultValue = "[:]"
    }
    try check()
  }

  private static func shape(of field: SchemaField, isMap: Bool, isProto3: Bool) -> Shape {
    if isMap { return .map }
    if field.label == .repeated { return .repeated }
    if field.isProto3Optional { return .single }
    if field.oneof != nil { return .member }
    if field.kind == .message { return .pointer }
    if isProto3 || field.label == .required { return .plain }
    return field.kind == .string ? .pointer : .optional
  }

  /// Refuses what can't be carried.
  private func check() throws(GeneratorError) {
    if field.isBody {
      guard field.kind == .bytes, shape == .plain else {
        throw GeneratorError(path, "a body is a singular proto3 field of type bytes, in no oneof")
      }
    }
    if field.defaultValue != nil, field.kind == .string || field.kind == .bytes {
      throw GeneratorError(path, "defaults of strings and bytes are not supported")
    }
    if field.label == .required, field.kind == .message {
      throw GeneratorError(path, "required messages are not supported")
    }
  }

  /// The Swift type of one value of a field.
  static func swiftType(
    _ field: SchemaField, _ types: SchemaTypes
  ) throws(GeneratorError) -> String {
    switch field.kind {
    case .double: "Double"
    case .float: "Float"
    case .int64, .sint64, .sfixed64: "Int64"
    case .uint64, .fixed64: "UInt64"
    case .int32, .sint32, .sfixed32: "Int32"
    case .uint32, .fixed32: "UInt32"
    case .bool: "Bool"
    case .string: "String"
    case .bytes: field.isBody ? "Body" : "[UInt8]"
    case .enum: try types.enum(field.typeName).swiftName
    case .message where types.mapEntries[field.typeName] != nil: ""
    case .message, .group: try types.message(field.typeName).swiftName
    }
  }

  /// The value of a field that isn't there.
  private static func zero(_ field: SchemaField, _ type: String) -> String {
    switch field.kind {
    case .bool: "false"
    case .string: "\"\""
    case .bytes: field.isBody ? "Body()" : "[]"
    case .enum, .message, .group: "\(type)()"
    default: "0"
    }
  }
}
