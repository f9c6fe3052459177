/// A `.proto` file that is compiled in: what a program knows of its own schemas.
///
/// The generator adds a static property for each file, such as `FileSchema.holdfastV1Node`.
public struct FileSchema: Sendable {
  /// Its path as schemas import it, such as `holdfast/v1/node.proto`.
  public let name: String
  /// The files that it imports.
  public let dependencies: [FileSchema]
  private let base64: StaticString

  /// Describes a file; generated code does. `base64` is its `FileDescriptorProto` without source
  /// info.
  public init(name: String, dependencies: [FileSchema], base64: StaticString) {
    self.name = name
    self.dependencies = dependencies
    self.base64 = base64
  }

  /// Its `FileDescriptorProto` without source info, serialized. Decoded at each call.
  public var descriptor: [UInt8] {
    base64.withUTF8Buffer { Self.decode($0) }
  }

  /// These files and all that they import, each once, imported ones first.
  public static func closure(of files: [FileSchema]) -> [FileSchema] {
    var names: Set<String> = []
    var closure: [FileSchema] = []
    func add(_ file: FileSchema) {
      guard names.insert(file.name).inserted else { return }
      file.dependencies.forEach(add)
      closure.append(file)
    }
    files.forEach(add)
    return closure
  }

  /// The bytes of standard base64.
  private static func decode(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 4 * 3)
    var bits: UInt32 = 0
    var count = 0
    for character in text {
      guard let digit = digit(character) else { break }
      bits = bits << 6 | digit
      count += 6
      guard count >= 8 else { continue }
      count -= 8
      bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
    }
    return bytes
  }

  /// A base64 character's six bits; nil for padding.
  private static func digit(_ character: UInt8) -> UInt32? {
    switch character {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a")) + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0")) + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }
}
