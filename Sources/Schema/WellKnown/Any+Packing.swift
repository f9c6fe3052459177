extension Google_Protobuf_Any {
  /// Packs a message: `type.googleapis.com/` and its full name say what it is.
  ///
  /// Throws when messages are nested too deep.
  public init(packing message: some Message) throws(SchemaError) {
    self.init(
      typeURL: "type.googleapis.com/\(type(of: message).fullName)",
      value: try message.encodedBytes())
  }

  /// Whether it holds a message of this type: whether its URL ends with `/` and the type's full name.
  public func holds(_ type: any Message.Type) -> Bool {
    typeURL.hasSuffix("/\(type.fullName)")
  }

  /// The message that it holds; nil when it holds one of another type.
  ///
  /// Throws when its bytes aren't such a message.
  public func unpack<Content: Message>(as type: Content.Type) throws(SchemaError) -> Content? {
    holds(type) ? try Content(encodedBytes: value) : nil
  }
}
