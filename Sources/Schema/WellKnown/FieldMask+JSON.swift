// Letters with two cases are those of fields' names, which are ASCII; any other passes as it is. Scalars are
// looked at, not characters: a comma before a combining mark is a comma.

extension Google_Protobuf_FieldMask {
  /// Paths in lower camel case with commas between them.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    self.init()
    for path in try json.text().unicodeScalars.split(separator: ",") {
      var snake = String.UnicodeScalarView()
      for scalar in path {
        guard scalar != "_" else {
          throw JSONValue.failure("'\(path)' is no path in camel case")
        }
        if ("A"..."Z").contains(scalar) { snake.append("_") }
        snake.append(("A"..."Z").contains(scalar) ? scalar.withCase(bit: 0x20) : scalar)
      }
      paths.append(String(snake))
    }
  }

  /// The paths in lower camel case; one that would not come back has no JSON.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    var camel: [String] = []
    for path in paths {
      var result = String.UnicodeScalarView()
      var isAfterLine = false
      for scalar in path.unicodeScalars {
        let fits =
          isAfterLine
          ? ("a"..."z").contains(scalar) : scalar != "," && !("A"..."Z").contains(scalar)
        guard fits else { throw JSONValue.failure("the path '\(path)' has no form in JSON") }
        if scalar == "_" {
          isAfterLine = true
          continue
        }
        result.append(isAfterLine ? scalar.withCase(bit: 0) : scalar)
        isAfterLine = false
      }
      guard !isAfterLine, !path.isEmpty else {
        throw JSONValue.failure("the path '\(path)' has no form in JSON")
      }
      camel.append(String(result))
    }
    out.string(camel.joined(separator: ","))
  }
}

extension Unicode.Scalar {
  /// An ASCII letter in upper (0) or lower case (0x20).
  fileprivate func withCase(bit: UInt8) -> Unicode.Scalar {
    Unicode.Scalar(UInt8(truncatingIfNeeded: value) & ~0x20 | bit)
  }
}
