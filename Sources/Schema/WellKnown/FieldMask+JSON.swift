extension Google_Protobuf_FieldMask {
  /// Paths in lower camel case with commas between them.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    self.init()
    for path in try json.text().split(separator: ",") {
      var snake = ""
      for character in path {
        guard character != "_" else {
          throw JSONValue.failure("'\(path)' is no path in camel case")
        }
        snake += character.isUppercase ? "_" + character.lowercased() : String(character)
      }
      paths.append(snake)
    }
  }

  /// The paths in lower camel case; one that would not come back has no JSON.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    var camel: [String] = []
    for path in paths {
      var result = ""
      var isAfterLine = false
      for character in path {
        let fits = isAfterLine ? ("a"..."z").contains(character) : !character.isUppercase
        guard fits else { throw JSONValue.failure("the path '\(path)' has no form in JSON") }
        if character == "_" {
          isAfterLine = true
          continue
        }
        result += isAfterLine ? character.uppercased() : String(character)
        isAfterLine = false
      }
      guard !isAfterLine else { throw JSONValue.failure("the path '\(path)' has no form in JSON") }
      camel.append(result)
    }
    out.string(camel.joined(separator: ","))
  }
}
