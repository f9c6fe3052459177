public import CProtobufC

// What generated `fill` functions put into C structs.
extension Arena {
  /// Memory for `count` values; throws when memory is out.
  @inlinable
  func values<Value>(
    _ type: Value.Type, _ count: Int
  ) throws(SchemaError) -> UnsafeMutablePointer<Value> {
    guard let memory = allocate(MemoryLayout<Value>.stride * count) else { throw Self.outOfMemory }
    return memory.bindMemory(to: Value.self, capacity: count)
  }

  @usableFromInline
  static var outOfMemory: SchemaError {
    SchemaError(.tooMuchMemory, message: "", text: "no memory left to encode in")
  }

  /// A string field.
  @inlinable
  public func string(_ value: String) throws(SchemaError) -> UnsafeMutablePointer<CChar> {
    var value = value
    // Whoever bridged it from elsewhere pays for it once; Swift's own strings are as they should be.
    let result = value.withUTF8 { utf8 in
      guard let memory = allocate(ArenaString.overhead + utf8.count) else {
        return UnsafeMutablePointer<CChar>?.none
      }
      if let start = utf8.baseAddress {
        (memory + MemoryLayout<Int>.size).copyMemory(from: start, byteCount: utf8.count)
      }
      return ArenaString.finish(memory, utf8.count)
    }
    guard let result else { throw Self.outOfMemory }
    return result
  }

  /// A string field with presence: NULL when nil.
  @inlinable
  public func optionalString(
    _ value: String?
  ) throws(SchemaError) -> UnsafeMutablePointer<CChar>? {
    guard let value else { return nil }
    return try string(value)
  }

  /// A repeated string field.
  @inlinable
  public func strings(
    _ list: [String]
  ) throws(SchemaError) -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? {
    guard !list.isEmpty else { return nil }
    let memory = try values(UnsafeMutablePointer<CChar>?.self, list.count)
    for index in list.indices {
      (memory + index).initialize(to: try string(list[index]))
    }
    return memory
  }

  /// A bytes field.
  @inlinable
  public func bytes(_ value: [UInt8]) throws(SchemaError) -> ProtobufCBinaryData {
    guard !value.isEmpty else { return ProtobufCBinaryData(len: 0, data: nil) }
    let memory = try values(UInt8.self, value.count)
    value.withUnsafeBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      memory.initialize(from: start, count: buffer.count)
    }
    return ProtobufCBinaryData(len: value.count, data: memory)
  }

  /// A repeated bytes field.
  @inlinable
  public func bytesList(
    _ list: [[UInt8]]
  ) throws(SchemaError) -> UnsafeMutablePointer<ProtobufCBinaryData>? {
    guard !list.isEmpty else { return nil }
    let memory = try values(ProtobufCBinaryData.self, list.count)
    for index in list.indices { (memory + index).initialize(to: try bytes(list[index])) }
    return memory
  }

  /// A body field: left out of the outermost message, whose body is appended after it is packed;
  /// copied into a message inside another.
  @inlinable
  public func body(_ value: Body) throws(SchemaError) -> ProtobufCBinaryData {
    guard state.pointee.depth > 0, value.count > 0 else {
      return ProtobufCBinaryData(len: 0, data: nil)
    }
    let memory = try values(UInt8.self, value.count)
    value.copyBytes(to: UnsafeMutableRawBufferPointer(start: memory, count: value.count))
    return ProtobufCBinaryData(len: value.count, data: memory)
  }

  /// A repeated number field: Int32, Int64, UInt32, UInt64, Float or Double.
  @inlinable
  public func list<Value: BitwiseCopyable>(
    _ list: [Value]
  ) throws(SchemaError) -> UnsafeMutablePointer<Value>? {
    guard !list.isEmpty else { return nil }
    let memory = try values(Value.self, list.count)
    list.withUnsafeBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      memory.initialize(from: start, count: buffer.count)
    }
    return memory
  }

  /// A repeated bool field.
  @inlinable
  public func flags(
    _ list: [Bool]
  ) throws(SchemaError) -> UnsafeMutablePointer<protobuf_c_boolean>? {
    guard !list.isEmpty else { return nil }
    let memory = try values(protobuf_c_boolean.self, list.count)
    for index in list.indices { (memory + index).initialize(to: list[index] ? 1 : 0) }
    return memory
  }

  /// A repeated enum field.
  @inlinable
  public func enums<Value: OpenEnum, CEnum>(
    _ list: [Value]
  ) throws(SchemaError) -> UnsafeMutablePointer<CEnum>? {
    guard !list.isEmpty else { return nil }
    precondition(MemoryLayout<CEnum>.size == 4, "an enum of protoc-c has the size of an int")
    let memory = try values(Int32.self, list.count)
    for index in list.indices { (memory + index).initialize(to: list[index].rawValue) }
    return UnsafeMutableRawPointer(memory).assumingMemoryBound(to: CEnum.self)
  }

  /// A message field: NULL when nil.
  @inlinable
  public func message<Value: Message>(
    _ value: Value?
  ) throws(SchemaError) -> UnsafeMutablePointer<Value.CStruct>? {
    guard let value else { return nil }
    return try nested(value)
  }

  /// The C struct of a message inside another.
  @inlinable
  func nested<Value: Message>(
    _ value: Value
  ) throws(SchemaError) -> UnsafeMutablePointer<Value.CStruct> {
    let memory = try values(Value.CStruct.self, 1)
    guard state.pointee.depth + 1 < DecodingLimits.greatestDepth else {
      throw Self.tooDeep(Value.fullName)
    }
    state.pointee.depth += 1
    try value.fill(memory, in: self)
    state.pointee.depth -= 1
    return memory
  }

  /// A repeated message field.
  @inlinable
  public func messages<Value: Message>(
    _ list: [Value]
  ) throws(SchemaError) -> UnsafeMutablePointer<UnsafeMutablePointer<Value.CStruct>?>? {
    guard !list.isEmpty else { return nil }
    let memory = try values(UnsafeMutablePointer<Value.CStruct>?.self, list.count)
    for index in list.indices { (memory + index).initialize(to: try nested(list[index])) }
    return memory
  }

  /// A map field: `fill` initializes and fills the C struct of one entry; entries are sorted, so
  /// that equal messages have equal encodings.
  @inlinable
  public func map<Key, Value, Entry>(
    _ map: [Key: Value],
    sortedBy isOrdered: (borrowing Entry, borrowing Entry) -> Bool,
    _ fill: (UnsafeMutablePointer<Entry>, Key, Value) throws(SchemaError) -> Void
  ) throws(SchemaError) -> UnsafeMutablePointer<UnsafeMutablePointer<Entry>?>? {
    guard !map.isEmpty else { return nil }
    let memory = try values(UnsafeMutablePointer<Entry>?.self, map.count)
    let entries = try values(Entry.self, map.count)
    var index = 0
    state.pointee.depth += 1
    for (key, value) in map {
      try fill(entries + index, key, value)
      (memory + index).initialize(to: entries + index)
      index += 1
    }
    state.pointee.depth -= 1
    guard index > 1 else { return memory }
    var sorted = UnsafeMutableBufferPointer(start: memory, count: index)
    sorted.sort { first, second in
      guard let first, let second else { return false }
      return isOrdered(first.pointee, second.pointee)
    }
    return memory
  }

  /// The order of two entries' string keys: that of their bytes.
  @inlinable
  public static func isOrdered(
    _ first: UnsafeMutablePointer<CChar>?, _ second: UnsafeMutablePointer<CChar>?
  ) -> Bool {
    ArenaString.utf8(first).lexicographicallyPrecedes(ArenaString.utf8(second))
  }

  /// The order of two entries' keys that are numbers or bools.
  @inlinable
  public static func isOrdered<Key: Comparable>(_ first: Key, _ second: Key) -> Bool {
    first < second
  }
}
