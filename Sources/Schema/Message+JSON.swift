import FoundationEssentials

extension Message {
  /// The message in proto3's JSON mapping, without its default values; keys are sorted, so that
  /// equal messages have equal texts.
  public func jsonString() throws(SchemaError) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      return String(decoding: try encoder.encode(self), as: UTF8.self)
    } catch {
      throw SchemaError(.invalidJSON, message: Self.fullName, text: "\(error)")
    }
  }

  /// Reads a message in proto3's JSON mapping. Throws when the text isn't JSON or doesn't fit the
  /// message, and says where.
  public init(json: String) throws(SchemaError) {
    do {
      self = try JSONDecoder().decode(Self.self, from: Data(json.utf8))
    } catch let error as Swift.DecodingError {
      throw SchemaError(error, message: Self.fullName)
    } catch {
      throw SchemaError(.invalidJSON, message: Self.fullName, text: "\(error)")
    }
  }
}

extension SchemaError {
  /// What a JSON decoder found: `field` is the path to the value, such as `chunks.3.length`.
  fileprivate init(_ error: Swift.DecodingError, message: String) {
    let context: Swift.DecodingError.Context? =
      switch error {
      case .dataCorrupted(let context): context
      case .typeMismatch(_, let context): context
      case .valueNotFound(_, let context): context
      case .keyNotFound(_, let context): context
      @unknown default: nil
      }
    let path = (context?.codingPath ?? []).map { key in
      key.intValue.map { "\($0)" } ?? key.stringValue
    }
    self.init(
      .invalidJSON, message: message, field: path.isEmpty ? nil : path.joined(separator: "."),
      text: context?.debugDescription ?? "\(error)")
  }
}
