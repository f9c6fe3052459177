// Messages that wrap one scalar, to tell its absence from its default: their JSON is the scalar's.

extension Google_Protobuf_BoolValue {
  /// The scalar's JSON.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    self.init(value: try Bool(json: json, options: options))
  }
  /// The scalar's JSON.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    try value.writeJSON(to: &out)
  }
}

extension Google_Protobuf_BytesValue {
  /// The scalar's JSON.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    self.init(value: try [UInt8](json: json, options: options))
  }
  /// The scalar's JSON.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    try value.writeJSON(to: &out)
  }
}

extension Google_Protobuf_DoubleValue {
  /// The scalar's JSON.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    self.init(value: try Double(json: json, options: options))
  }
  /// The scalar's JSON.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    try value.writeJSON(to: &out)
  }
}

extension Google_Protobuf_FloatValue {
  /// The scalar's JSON.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    self.init(value: try Float(json: json, options: options))
  }
  /// The scalar's JSON.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    try value.writeJSON(to: &out)
  }
}

extension Google_Protobuf_Int32Value {
  /// The scalar's JSON.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    self.init(value: try Int32(json: json, options: options))
  }
  /// The scalar's JSON.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    try value.writeJSON(to: &out)
  }
}

extension Google_Protobuf_Int64Value {
  /// The scalar's JSON.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    self.init(value: try Int64(json: json, options: options))
  }
  /// The scalar's JSON.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    try value.writeJSON(to: &out)
  }
}

extension Google_Protobuf_StringValue {
  /// The scalar's JSON.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    self.init(value: try String(json: json, options: options))
  }
  /// The scalar's JSON.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    try value.writeJSON(to: &out)
  }
}

extension Google_Protobuf_UInt32Value {
  /// The scalar's JSON.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    self.init(value: try UInt32(json: json, options: options))
  }
  /// The scalar's JSON.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    try value.writeJSON(to: &out)
  }
}

extension Google_Protobuf_UInt64Value {
  /// The scalar's JSON.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    self.init(value: try UInt64(json: json, options: options))
  }
  /// The scalar's JSON.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    try value.writeJSON(to: &out)
  }
}
