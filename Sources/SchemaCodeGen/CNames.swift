/// The names that protoc-c 1.4 gives to what it makes of a schema.
enum CNames {
  /// A message's struct or an enum: `holdfast.v1.ChunkId` is `Holdfast__V1__ChunkId`.
  static func type(_ fullName: String) -> String {
    fullName.split(separator: ".").map { camel(String($0)) }.joined(separator: "__")
  }

  /// What a message's functions begin with: `holdfast.v1.ChunkId` gives `holdfast__v1__chunk_id`.
  static func functions(_ fullName: String) -> String {
    fullName.split(separator: ".").map { lower(String($0)) }.joined(separator: "__")
  }

  /// A field's member: its name in lower case, with `_` after C's and C++'s keywords, and after the
  /// names that protoc-c is not told (see `CRequest`).
  static func member(_ name: String) -> String {
    let name = name.lowercased()
    return keywords.contains(name) || isImpossible(member: name) ? name + "_" : name
  }

  /// The member that says which field of a oneof is set.
  static func oneofCase(_ name: String) -> String {
    lower(name) + "_case"
  }

  /// Whether a field of this name makes C that doesn't compile: the struct's own first member, a
  /// macro of the compiler's, or a keyword that protoc-c forgot.
  static func isImpossible(member: String) -> Bool {
    ["base", "linux", "unix", "restrict", "typeof"].contains(member)
  }

  /// `chunk_id` becomes `ChunkId`; letters that are capitals stay so.
  private static func camel(_ name: String) -> String {
    var result = ""
    var upperNext = true
    for character in name {
      if character == "_" {
        upperNext = true
      } else if upperNext {
        result += character.uppercased()
        upperNext = false
      } else {
        result.append(character)
      }
    }
    return result
  }

  /// `ChunkId` becomes `chunk_id`: a `_` before a capital that follows none.
  private static func lower(_ name: String) -> String {
    var result = ""
    var lastWasUpper = true
    for character in name {
      let isUpper = ("A"..."Z").contains(character)
      if isUpper && !lastWasUpper { result += "_" }
      result += isUpper ? character.lowercased() : String(character)
      lastWasUpper = isUpper
    }
    return result
  }

  private static let keywords: Set<String> = [
    "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break", "case", "catch", "char",
    "class", "compl", "const", "const_cast", "continue", "default", "delete", "do", "double",
    "dynamic_cast", "else", "enum", "explicit", "extern", "false", "float", "for", "friend", "goto",
    "if", "inline", "int", "long", "mutable", "namespace", "new", "not", "not_eq", "operator", "or",
    "or_eq", "private", "protected", "public", "register", "reinterpret_cast", "return", "short",
    "signed", "sizeof", "static", "static_cast", "struct", "switch", "template", "this", "throw",
    "true", "try", "typedef", "typeid", "typename", "union", "unsigned", "using", "virtual", "void",
    "volatile", "wchar_t", "while", "xor", "xor_eq",
  ]
}
