internal import FoundationEssentials
public import NIOCore
internal import RPC
internal import Schema

/// Why JSON and a message don't fit: in words, with the field's path.
public struct DynamicFailure: Error, CustomStringConvertible, Sendable {
  /// For people.
  public let description: String

  init(_ description: String) {
    self.description = description
  }
}

extension DynamicSchema {
  /// The deepest that messages may be nested.
  static let maxDepth = 100

  /// A message of this type as protobuf, from its JSON. Messages that proto3's JSON writes in a way of
  /// their own, such as Timestamp, are written field by field here.
  ///
  /// - Throws: `DynamicFailure`.
  public func encode(json: String, as type: String) throws -> ByteBuffer {
    let node: JSONValue
    do throws(SchemaError) {
      node = try JSONValue(parsing: json)
    } catch {
      throw DynamicFailure(error.text)
    }
    var output = ByteBuffer()
    try encode(node, as: type, path: type, depth: 0, into: &output)
    return output
  }

  private func encode(
    _ node: JSONValue, as type: String, path: String, depth: Int, into output: inout ByteBuffer
  ) throws {
    guard depth < Self.maxDepth else { throw DynamicFailure("\(path): nested too deep") }
    guard let message = messages[type] else { throw DynamicFailure("\(type) isn't known") }
    guard case .object(let members) = node else {
      throw DynamicFailure("\(path): an object is expected")
    }
    var seen: Set<UInt32> = []
    var oneofs: Set<Int> = []
    for member in members {
      let (key, value) = (member.name, member.value)
      guard let field = message.fields.first(where: { $0.jsonName == key || $0.name == key }) else {
        throw DynamicFailure("\(path): there is no field '\(key)'")
      }
      guard seen.insert(field.number).inserted else {
        throw DynamicFailure("\(path).\(key): it is there twice")
      }
      if case .null = value { continue }
      if let oneof = field.oneof, !oneofs.insert(oneof).inserted {
        throw DynamicFailure("\(path).\(key): another field of its oneof is there")
      }
      let values: [JSONValue]
      if let entry = messages[field.typeName], entry.isMapEntry, field.isRepeated {
        guard case .object(let pairs) = value else {
          throw DynamicFailure("\(path).\(key): an object is expected")
        }
        values = pairs.map { pair in
          .object([
            JSONValue.Member(name: "key", value: .string(pair.name)),
            JSONValue.Member(name: "value", value: pair.value),
          ])
        }
      } else if field.isRepeated {
        guard case .array(let elements) = value else {
          throw DynamicFailure("\(path).\(key): an array is expected")
        }
        values = elements
      } else {
        values = [value]
      }
      for value in values {
        try encode(value, of: field, path: "\(path).\(key)", depth: depth, into: &output)
      }
    }
  }

  private func encode(
    _ node: JSONValue, of field: Field, path: String, depth: Int, into output: inout ByteBuffer
  ) throws {
    func bytes(_ content: ByteBuffer) {
      output.writeTag(field.number, 2)
      output.writeVarint(UInt64(content.readableBytes))
      output.writeImmutableBuffer(content)
    }
    func varint(_ value: UInt64) {
      output.writeTag(field.number, 0)
      output.writeVarint(value)
    }
    func fixed<Value: FixedWidthInteger>(_ value: Value) {
      output.writeTag(field.number, Value.bitWidth == 64 ? 1 : 5)
      output.writeInteger(value, endianness: .little)
    }
    switch field.kind {
    case .message:
      var content = ByteBuffer()
      try encode(node, as: field.typeName, path: path, depth: depth + 1, into: &content)
      bytes(content)
    case .string:
      guard case .string(let text) = node else { throw DynamicFailure("\(path): text is expected") }
      bytes(ByteBuffer(string: text))
    case .bytes:
      guard case .string(let text) = node, let data = Self.base64(text) else {
        throw DynamicFailure("\(path): base64 is expected")
      }
      bytes(ByteBuffer(bytes: data))
    case .bool:
      switch node {
      case .bool(let value): varint(value ? 1 : 0)
      case .string("true"): varint(1)
      case .string("false"): varint(0)
      default: throw DynamicFailure("\(path): true or false is expected")
      }
    case .enum: varint(UInt64(bitPattern: Int64(try value(of: node, in: field.typeName, path))))
    case .double: fixed(try number(node, path).bitPattern)
    case .float: fixed(Float(try number(node, path)).bitPattern)
    case .int64: varint(UInt64(bitPattern: try integer(node, path)))
    case .uint64: varint(try integer(node, path))
    case .int32: varint(UInt64(bitPattern: Int64(try integer(node, path) as Int32)))
    case .uint32: varint(UInt64(try integer(node, path) as UInt32))
    case .sint32:
      let value: Int32 = try integer(node, path)
      varint(UInt64(UInt32(bitPattern: value << 1 ^ value >> 31)))
    case .sint64:
      let value: Int64 = try integer(node, path)
      varint(UInt64(bitPattern: value << 1 ^ value >> 63))
    case .fixed32: fixed(try integer(node, path) as UInt32)
    case .fixed64: fixed(try integer(node, path) as UInt64)
    case .sfixed32: fixed(try integer(node, path) as Int32)
    case .sfixed64: fixed(try integer(node, path) as Int64)
    default: throw DynamicFailure("\(path): fields of its kind can't be written")
    }
  }

  private func value(of node: JSONValue, in type: String, _ path: String) throws -> Int32 {
    guard case .string(let name) = node else { return try integer(node, path) }
    guard let number = enums[type]?.numbers[name] else {
      throw DynamicFailure("\(path): \(type) has no value '\(name)'")
    }
    return number
  }

  private func integer<Value: FixedWidthInteger>(_ node: JSONValue, _ path: String) throws -> Value
  {
    let value: Value? =
      switch node {
      case .number(let text), .string(let text):
        Value(text) ?? Double(text).flatMap { Value(exactly: $0) }
      default: nil
      }
    guard let value else { throw DynamicFailure("\(path): a number of \(Value.self) is expected") }
    return value
  }

  private func number(_ node: JSONValue, _ path: String) throws -> Double {
    switch node {
    case .string("NaN"): return .nan
    case .string("Infinity"): return .infinity
    case .string("-Infinity"): return -.infinity
    case .number(let text), .string(let text):
      if let number = Double(text), number.isFinite { return number }
      fallthrough
    default: throw DynamicFailure("\(path): a number is expected")
    }
  }

  /// Standard and URL-safe base64, with or without what fills it up.
  private static func base64(_ text: String) -> Data? {
    var standard = text.replacing("-", with: "+").replacing("_", with: "/")
    while standard.hasSuffix("=") { standard.removeLast() }
    standard += String(repeating: "=", count: (4 - standard.utf8.count % 4) % 4)
    return Data(base64Encoded: standard)
  }
}

extension ByteBuffer {
  /// Appends a field's number and wire type.
  mutating func writeTag(_ number: UInt32, _ wireType: UInt64) {
    writeVarint(UInt64(number) << 3 | wireType)
  }
}
