extension Google_Protobuf_Any {
  /// A message's object with its type beside its fields; a well-known type's value under `value`.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    guard case .object(var members) = json else {
      throw JSONValue.failure("an object is expected, not \(json.kind)")
    }
    self.init()
    guard !members.isEmpty else { return }
    guard let place = members.firstIndex(where: { $0.name == "@type" }) else {
      throw JSONValue.failure("an Any has an \"@type\"")
    }
    typeURL = try members.remove(at: place).value.text()
    value = try Self.type(typeURL, options).encoded(members, options)
  }

  /// The message that the value is, with its type.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    let options = out.options
    try out.object { out throws(SchemaError) in
      guard !typeURL.isEmpty || !value.isEmpty else { return }
      try out.member("@type", typeURL)
      try Self.type(typeURL, options).writeAny(value, to: &out)
    }
  }

  /// The message that a URL ends with.
  private static func type(
    _ url: String, _ options: JSONOptions
  ) throws(SchemaError) -> any Message.Type {
    guard let slash = url.lastIndex(of: "/"),
      let type = options.type(named: url[slash...].dropFirst())
    else { throw JSONValue.failure("nothing is known of the type '\(url)'") }
    return type
  }
}

extension Message {
  /// The encoded message of what stands beside an `Any`'s type.
  fileprivate static func encoded(
    _ members: [JSONValue.Member], _ options: JSONOptions
  ) throws(SchemaError) -> [UInt8] {
    guard WellKnownTypes.isSpecial(self) else {
      return try Self(json: .object(members), options: options).encodedBytes()
    }
    guard members.count == 1, members[0].name == "value" else {
      throw JSONValue.failure("an Any of \(fullName) has a \"value\" and nothing else")
    }
    return try Self(json: members[0].value, options: options.inside).encodedBytes()
  }

  /// Writes an `Any`'s message after its type.
  fileprivate static func writeAny(
    _ bytes: [UInt8], to out: inout JSONWriter
  ) throws(SchemaError) {
    let message = try Self(encodedBytes: bytes)
    guard WellKnownTypes.isSpecial(self) else {
      var inner = JSONWriter(options: out.options)
      try message.writeJSON(to: &inner)
      let fields = inner.text.dropFirst().dropLast()
      if !fields.isEmpty { out.raw("," + fields) }
      return
    }
    try out.member("value", message)
  }
}
