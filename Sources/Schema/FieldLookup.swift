internal import CProtobufC

/// Finds fields by their numbers, fastest when they come in the schema's order.
struct FieldLookup {
  private let descriptor: UnsafePointer<ProtobufCMessageDescriptor>
  private let count: Int
  /// The index of the field found last.
  private(set) var index = 0

  init(_ descriptor: UnsafePointer<ProtobufCMessageDescriptor>) {
    self.descriptor = descriptor
    count = Int(descriptor.pointee.n_fields)
  }

  /// The field with this number; nil when the message has none.
  @inline(__always)
  mutating func field(_ number: UInt32) -> UnsafePointer<ProtobufCFieldDescriptor>? {
    guard count > 0, let fields = descriptor.pointee.fields else { return nil }
    if fields[index].id == number { return fields + index }
    if index + 1 < count, fields[index + 1].id == number {
      index += 1
      return fields + index
    }
    return search(fields, number)
  }

  /// A binary search: fields are sorted by number.
  private mutating func search(
    _ fields: UnsafePointer<ProtobufCFieldDescriptor>, _ number: UInt32
  ) -> UnsafePointer<ProtobufCFieldDescriptor>? {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if fields[middle].id < number { low = middle + 1 } else { high = middle }
    }
    guard low < count, fields[low].id == number else { return nil }
    index = low
    return fields + low
  }
}

/// Which of a message's fields have been seen.
struct SeenFields {
  private var first: UInt64 = 0
  /// The bits of the fields after the first 64; empty for a message with fewer.
  private var more: [UInt64]

  init(count: Int) {
    more = count > 64 ? [UInt64](repeating: 0, count: (count - 1) / 64) : []
  }

  /// Marks a field.
  @inline(__always)
  mutating func insert(_ index: Int) {
    let bit: UInt64 = 1 << UInt64(index & 63)
    if index < 64 { first |= bit } else { more[index / 64 - 1] |= bit }
  }

  /// Whether a field has been marked.
  func contains(_ index: Int) -> Bool {
    let bit: UInt64 = 1 << UInt64(index & 63)
    return (index < 64 ? first : more[index / 64 - 1]) & bit != 0
  }
}
