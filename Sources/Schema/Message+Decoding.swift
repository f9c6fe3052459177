public import CProtobufC
public import NIOCore

extension Message {
  /// Decodes a frame's message part and the body that came with it.
  ///
  /// When `body` isn't empty, `bytes` must end with the body field's tag and length; a message
  /// whose body is inline, from a plain peer, is decoded with an empty `body`. Throws for input
  /// that isn't the message or goes beyond the limits, and names the field.
  @inlinable
  public init(
    decoding bytes: ByteBuffer, body: Body = Body(), limits: DecodingLimits = .standard
  ) throws(SchemaError) {
    let result = bytes.withUnsafeReadableBytes { input in
      Result { () throws(SchemaError) in
        try Self.decode(input, bodyCount: body.count, limits: limits)
      }
    }
    var (message, inline) = try result.get()
    if body.count > 0 {
      message.messageBody = body
    } else if let inline,
      let slice = bytes.getSlice(at: bytes.readerIndex + inline.lowerBound, length: inline.count)
    {
      message.messageBody = Body(slice)
    }
    self = message
  }

  /// Decodes a message in plain protobuf, its body included.
  @inlinable
  public init(
    encodedBytes bytes: [UInt8], limits: DecodingLimits = .standard
  ) throws(SchemaError) {
    try self.init(decoding: ByteBuffer(bytes: bytes), limits: limits)
  }

  /// Checks and decodes the input but for its body: gives the message, and where in the input its
  /// inline body lies when that is the last thing there (else nil).
  @inlinable
  static func decode(
    _ input: UnsafeRawBufferPointer, bodyCount: Int, limits: DecodingLimits
  ) throws(SchemaError) -> (Self, Range<Int>?) {
    let plan = try checkInput(
      input, cDescriptor, bodyField: bodyField, bodyCount: bodyCount, limits: limits)
    let head = UnsafeRawBufferPointer(rebasing: input[..<plan.headCount])
    let message = try Arena.with(budget: plan.budget) { arena throws(SchemaError) in
      Self(reading: try arena.unpacked(head, cDescriptor).assumingMemoryBound(to: CStruct.self))
    }
    return (message, plan.inlineBody)
  }
}

/// What the check of an input found.
@usableFromInline
struct DecodingPlan {
  /// The bytes from the input's start that libprotobuf-c has to unpack.
  @usableFromInline var headCount: Int
  /// Where the inline body lies that ends the input; nil when none does.
  @usableFromInline var inlineBody: Range<Int>?
  /// The memory that unpacking may take, in bytes.
  @usableFromInline var budget: Int
}

/// Checks a message's bytes before they are unpacked, and finds its body.
@usableFromInline
func checkInput(
  _ input: UnsafeRawBufferPointer, _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>,
  bodyField: UInt32?, bodyCount: Int, limits: DecodingLimits
) throws(SchemaError) -> DecodingPlan {
  var check = WireCheck(memory: limits.memory, depth: limits.depth, bodyField: bodyField)
  guard input.count <= limits.bytes else {
    throw check.fault(
      .tooLarge, descriptor, nil, "\(input.count) bytes are more than \(limits.bytes)")
  }
  var headCount = input.count
  if bodyCount > 0 {
    headCount = try countWithoutSuffix(
      input, descriptor, bodyField: bodyField, bodyCount: bodyCount, check)
  }
  // The arena gives out what the check counted; twice as much covers the ends of its blocks.
  let budget = limits.memory.multipliedReportingOverflow(by: 2)
  var plan = DecodingPlan(
    headCount: headCount, inlineBody: nil, budget: budget.overflow ? .max : budget.partialValue)
  guard let start = input.baseAddress?.assumingMemoryBound(to: UInt8.self), headCount > 0 else {
    _ = try check.message(descriptor, emptyInput, emptyInput, level: 1)
    return plan
  }
  try check.message(descriptor, start, start + headCount, level: 1)
  if bodyCount == 0, let body = check.body, body.field.upperBound == start + headCount {
    plan.headCount = body.field.lowerBound - start
    plan.inlineBody = (body.bytes.lowerBound - start)..<(body.bytes.upperBound - start)
  }
  return plan
}

/// A place for a message without bytes.
private nonisolated(unsafe) let emptyInput: UnsafePointer<UInt8> = {
  let place = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
  place.initialize(to: 0)
  return UnsafePointer(place)
}()

/// The message part's length without the body's tag and length, which must end it.
private func countWithoutSuffix(
  _ input: UnsafeRawBufferPointer, _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>,
  bodyField: UInt32?, bodyCount: Int, _ check: WireCheck
) throws(SchemaError) -> Int {
  guard let bodyField else {
    throw check.fault(.bodyMismatch, descriptor, nil, "a body for a message that has none")
  }
  let suffix = BodySuffix(field: bodyField, count: bodyCount)
  let matches = withUnsafeTemporaryAllocation(
    of: UInt8.self, capacity: BodySuffix.greatestLength
  ) { expected -> Int? in
    guard let start = expected.baseAddress else { return nil }
    let length = suffix.write(to: start)
    guard input.count >= length, input.suffix(length).elementsEqual(expected[..<length]) else {
      return nil
    }
    return length
  }
  guard let matches else {
    throw check.fault(
      .bodyMismatch, descriptor, nil,
      "the message doesn't end with the tag and length of its body of \(bodyCount) bytes")
  }
  return input.count - matches
}
