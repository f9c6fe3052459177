public import CProtobufC

/// Fields of a message that its schema doesn't know, as they stood on the wire.
///
/// A newer schema's fields come and go this way, and proto2's extensions. They have no form in JSON.
public struct UnknownFields: Sendable, Hashable {
  /// One field.
  public struct Field: Sendable, Hashable {
    /// Its number.
    public var number: UInt32
    /// Protobuf's number of its wire type.
    public var wireType: UInt32
    /// What follows its tag: a varint, 4 or 8 bytes, a length and so many bytes, or a group's fields
    /// and the tag that ends it.
    public var bytes: [UInt8]

    /// Makes a field.
    public init(number: UInt32, wireType: UInt32, bytes: [UInt8]) {
      self.number = number
      self.wireType = wireType
      self.bytes = bytes
    }
  }

  /// The fields, in the order of the wire.
  public var fields: [Field]

  /// Whether there are none.
  public var isEmpty: Bool { fields.isEmpty }

  /// These fields, or none.
  public init(_ fields: [Field] = []) {
    self.fields = fields
  }

  /// The last value of a bool field with this number; nil when there is none.
  public func bool(_ number: UInt32) -> Bool? {
    fields.last { $0.number == number && $0.wireType == 0 }.map { $0.bytes.contains { $0 != 0 } }
  }
}

extension Arena {
  /// The fields that the schema doesn't know.
  @inlinable
  public func unknownFields<CStruct>(
    _ unknown: UnknownFields, of c: UnsafeMutablePointer<CStruct>
  ) throws(SchemaError) {
    if !unknown.isEmpty { try fillUnknownFields(unknown, of: c) }
  }

  @usableFromInline
  func fillUnknownFields<CStruct>(
    _ unknown: UnknownFields, of c: UnsafeMutablePointer<CStruct>
  ) throws(SchemaError) {
    let fields = try values(ProtobufCMessageUnknownField.self, unknown.fields.count)
    for (place, field) in unknown.fields.enumerated() {
      let data = try bytes(field.bytes)
      (fields + place).initialize(
        to: ProtobufCMessageUnknownField(
          tag: field.number, wire_type: ProtobufCWireType(rawValue: field.wireType),
          len: data.len, data: data.data))
    }
    let base = UnsafeMutableRawPointer(c).assumingMemoryBound(to: ProtobufCMessage.self)
    base.pointee.unknown_fields = fields
    base.pointee.n_unknown_fields = UInt32(unknown.fields.count)
  }
}

extension CFields {
  /// The fields that the schema doesn't know.
  @inlinable
  public static func unknownFields<CStruct>(_ c: UnsafePointer<CStruct>) -> UnknownFields {
    let base = UnsafeRawPointer(c).assumingMemoryBound(to: ProtobufCMessage.self)
    return base.pointee.n_unknown_fields == 0 ? UnknownFields() : readUnknownFields(base)
  }

  @usableFromInline
  static func readUnknownFields(_ base: UnsafePointer<ProtobufCMessage>) -> UnknownFields {
    guard let fields = base.pointee.unknown_fields else { return UnknownFields() }
    return UnknownFields(
      (0..<Int(base.pointee.n_unknown_fields)).map { place in
        UnknownFields.Field(
          number: fields[place].tag, wireType: UInt32(fields[place].wire_type.rawValue),
          bytes: [UInt8](UnsafeBufferPointer(start: fields[place].data, count: fields[place].len)))
      })
  }
}
