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
    try Arena.with(budget: limits.memory) { arena throws(SchemaError) in
      let (c, inlineBody) = try arena.decoded(
        input, cDescriptor, bodyField: bodyField, bodyCount: bodyCount, limits: limits)
      return (Self(reading: c.assumingMemoryBound(to: CStruct.self)), inlineBody)
    }
  }
}

extension Arena {
  /// Decodes a message into its C struct: gives the struct, and where in the input the inline body lies
  /// that ends it (nil when none does).
  @usableFromInline
  func decoded(
    _ input: UnsafeRawBufferPointer, _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>,
    bodyField: UInt32?, bodyCount: Int, limits: DecodingLimits
  ) throws(SchemaError) -> (UnsafeRawPointer, Range<Int>?) {
    var decoder = WireDecoder(arena: state, depth: limits.depth, bodyField: bodyField)
    guard input.count <= limits.bytes else {
      throw decoder.fault(
        .tooLarge, descriptor, nil, "\(input.count) bytes are more than \(limits.bytes)")
    }
    var count = input.count
    if bodyCount > 0 {
      count = try countWithoutSuffix(
        input, descriptor, bodyField: bodyField, bodyCount: bodyCount, decoder)
    }
    let message = try decoder.newMessage(descriptor)
    // No bytes may have no address.
    let start = (input.baseAddress ?? UnsafeRawPointer(state)).assumingMemoryBound(to: UInt8.self)
    try decoder.decode(into: message, descriptor, start, start + count, level: 1)
    let body = decoder.inlineBody.map { $0.lowerBound - start..<$0.upperBound - start }
    return (UnsafeRawPointer(message), bodyCount == 0 ? body : nil)
  }
}

/// The message part's length without the body's tag and length, which must end it.
private func countWithoutSuffix(
  _ input: UnsafeRawBufferPointer, _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>,
  bodyField: UInt32?, bodyCount: Int, _ decoder: WireDecoder
) throws(SchemaError) -> Int {
  guard let bodyField else {
    throw decoder.fault(.bodyMismatch, descriptor, nil, "a body for a message that has none")
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
    throw decoder.fault(
      .bodyMismatch, descriptor, nil,
      "the message doesn't end with the tag and length of its body of \(bodyCount) bytes")
  }
  return input.count - matches
}
