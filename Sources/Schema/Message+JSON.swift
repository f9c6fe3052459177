extension JSONMappable {
  /// The value in proto3's JSON mapping, as text.
  func jsonText(_ options: JSONOptions) throws(SchemaError) -> String {
    var out = JSONWriter(options: options)
    try writeJSON(to: &out)
    return out.text
  }

  /// The value in proto3's JSON mapping, for other coders.
  func jsonValue() throws(SchemaError) -> JSONValue {
    try JSONParser.parse(try jsonText(JSONOptions()))
  }
}

extension Message {
  /// The message in proto3's JSON mapping; fields stand in the schema's order and maps' keys are
  /// sorted, so that equal messages have equal texts.
  ///
  /// - Parameter options: whether default values are written, and what an `Any` may hold.
  /// - Returns: the text.
  /// - Throws: `invalidJSON` for what JSON can't say: an `Any` of unknown type, a time out of range.
  public func jsonString(_ options: JSONOptions = JSONOptions()) throws(SchemaError) -> String {
    do throws(SchemaError) {
      return try jsonText(options)
    } catch {
      throw error.named(Self.fullName)
    }
  }

  /// Reads a message in proto3's JSON mapping.
  ///
  /// - Parameters:
  ///   - json: the text.
  ///   - options: whether what the schema doesn't know is passed over, and what an `Any` may hold.
  /// - Throws: `invalidJSON` when the text isn't JSON or doesn't fit the message; it says where.
  public init(json: String, options: JSONOptions = JSONOptions()) throws(SchemaError) {
    do throws(SchemaError) {
      try self.init(json: JSONParser.parse(json), options: options)
    } catch {
      throw error.named(Self.fullName)
    }
  }

  /// Never: a message that is there is written, even when it is empty.
  public var isJSONDefault: Bool { false }

  /// Reads the message in proto3's JSON mapping from any format.
  ///
  /// - Throws: `SchemaError`, or what the decoder throws.
  public init(from decoder: any Decoder) throws {
    let json = try JSONValue(from: decoder)
    do throws(SchemaError) {
      try self.init(json: json, options: JSONOptions())
    } catch {
      throw error.named(Self.fullName)
    }
  }

  /// Writes the message in proto3's JSON mapping to any format.
  ///
  /// - Throws: `SchemaError`, or what the encoder throws.
  public func encode(to encoder: any Encoder) throws {
    try jsonValue().encode(to: encoder)
  }
}

extension SchemaError {
  /// The same of a message, unless it says of which it is.
  fileprivate func named(_ fullName: String) -> SchemaError {
    var error = self
    if error.message.isEmpty { error.message = fullName }
    return error
  }
}
