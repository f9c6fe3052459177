/// Why nothing was generated: the schema or a parameter is at fault, never the generator's caller.
///
/// protoc prints the description and fails.
struct GeneratorError: Error, CustomStringConvertible {
  /// What is wrong and where.
  let description: String

  /// Names the place, then what is wrong there.
  init(_ place: String, _ text: String) {
    description = place.isEmpty ? text : "\(place): \(text)"
  }
}
