public import CProtobufC
public import NIOCore

/// What generated `init(reading:)` functions take out of C structs that were unpacked from checked
/// input. Every NULL is an empty value.
public enum CFields {
  /// A string field.
  @inlinable
  public static func string(_ field: UnsafePointer<CChar>?) -> String {
    String(decoding: ArenaString.utf8(field), as: UTF8.self)
  }

  /// A string field with presence: nil when NULL.
  @inlinable
  public static func optionalString(_ field: UnsafePointer<CChar>?) -> String? {
    field.map { string($0) }
  }

  /// A repeated string field.
  @inlinable
  public static func strings(
    _ field: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ count: Int
  ) -> [String] {
    guard let field, count > 0 else { return [] }
    return [String](unsafeUninitializedCapacity: count) { buffer, initialized in
      for index in 0..<count { buffer.initializeElement(at: index, to: string(field[index])) }
      initialized = count
    }
  }

  /// A bytes field.
  @inlinable
  public static func bytes(_ field: ProtobufCBinaryData) -> [UInt8] {
    guard let data = field.data, field.len > 0 else { return [] }
    return [UInt8](UnsafeBufferPointer(start: data, count: field.len))
  }

  /// A repeated bytes field.
  @inlinable
  public static func bytesList(
    _ field: UnsafeMutablePointer<ProtobufCBinaryData>?, _ count: Int
  ) -> [[UInt8]] {
    guard let field, count > 0 else { return [] }
    return (0..<count).map { bytes(field[$0]) }
  }

  /// A body field that came inline, from a plain peer: copied into one piece.
  @inlinable
  public static func body(_ field: ProtobufCBinaryData) -> Body {
    guard let data = field.data, field.len > 0 else { return Body() }
    var buffer = ByteBufferAllocator().buffer(capacity: field.len)
    buffer.writeBytes(UnsafeRawBufferPointer(start: data, count: field.len))
    return Body(buffer)
  }

  /// A repeated number field.
  @inlinable
  public static func list<Value: BitwiseCopyable>(
    _ field: UnsafeMutablePointer<Value>?, _ count: Int
  ) -> [Value] {
    guard let field, count > 0 else { return [] }
    return [Value](UnsafeBufferPointer(start: field, count: count))
  }

  /// A repeated bool field.
  @inlinable
  public static func flags(
    _ field: UnsafeMutablePointer<protobuf_c_boolean>?, _ count: Int
  ) -> [Bool] {
    guard let field, count > 0 else { return [] }
    return (0..<count).map { field[$0] != 0 }
  }

  /// A repeated enum field.
  @inlinable
  public static func enums<Value: OpenEnum, CEnum>(
    _ field: UnsafeMutablePointer<CEnum>?, _ count: Int
  ) -> [Value] {
    guard let field, count > 0 else { return [] }
    let numbers = UnsafeRawPointer(field).assumingMemoryBound(to: Int32.self)
    return (0..<count).map { Value(rawValue: numbers[$0]) }
  }

  /// A message field; nil when NULL.
  @inlinable
  public static func message<Value: Message>(
    _ field: UnsafeMutablePointer<Value.CStruct>?
  ) -> Value? {
    guard let field else { return nil }
    return Value(reading: field)
  }

  /// A message that is there by what surrounds it: a oneof's member or a map entry's value.
  @inlinable
  public static func present<Value: Message>(
    _ field: UnsafeMutablePointer<Value.CStruct>?
  ) -> Value {
    guard let field else { return Value() }
    return Value(reading: field)
  }

  /// A repeated message field.
  @inlinable
  public static func messages<Value: Message>(
    _ field: UnsafeMutablePointer<UnsafeMutablePointer<Value.CStruct>?>?, _ count: Int
  ) -> [Value] {
    guard let field, count > 0 else { return [] }
    return [Value](unsafeUninitializedCapacity: count) { buffer, initialized in
      for index in 0..<count { buffer.initializeElement(at: index, to: present(field[index])) }
      initialized = count
    }
  }

  /// A map field: `read` takes key and value out of one entry's C struct. Of entries with the same
  /// key, the last one counts.
  @inlinable
  public static func map<Key: Hashable, Value, Entry>(
    _ field: UnsafeMutablePointer<UnsafeMutablePointer<Entry>?>?, _ count: Int,
    _ read: (UnsafePointer<Entry>) -> (Key, Value)
  ) -> [Key: Value] {
    guard let field, count > 0 else { return [:] }
    var map = [Key: Value](minimumCapacity: count)
    for index in 0..<count {
      guard let entry = field[index] else { continue }
      let (key, value) = read(entry)
      map[key] = value
    }
    return map
  }
}
