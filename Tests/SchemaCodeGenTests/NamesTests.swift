import Testing

@testable import SchemaCodeGen

@Suite("Names")
struct NamesTests {
  @Test(
    "fields are in lower camel case",
    arguments: [
      ("chunk_id", "chunkID"), ("id", "id"), ("id_list", "idList"), ("image_url", "imageURL"),
      ("https_url_http", "httpsURLHTTP"), ("int32_value", "int32Value"), ("camelCase", "camelCase"),
      ("CamelCase", "camelCase"), ("_private", "private"), ("a__b", "a_B"), ("end_", "end_"),
      ("last_heartbeat_us", "lastHeartbeatUs"), ("description", "description_p"),
      ("self", "self_p"),
    ])
  func properties(schema: String, swift: String) {
    #expect(SwiftNames.property(schema) == swift)
  }

  @Test("packages give prefixes")
  func prefixes() {
    #expect(SwiftNames.prefix(ofPackage: "foo_bar.baz") == "FooBar_Baz_")
    #expect(SwiftNames.prefix(ofPackage: "") == "")
    #expect(SwiftNames.fileSchema("holdfast/v1/node.proto") == "holdfastV1Node")
  }

  @Test("keywords stand in backticks, types that Swift has get a suffix")
  func reserved() {
    #expect(SwiftNames.identifier("default") == "`default`")
    #expect(SwiftNames.identifier("name") == "name")
    #expect(SwiftNames.label("`class`") == "class")
    #expect(SwiftNames.label("`var`") == "`var`")
    #expect(SwiftNames.type("String", kind: "Message") == "StringMessage")
    #expect(SwiftNames.type("Chunk", kind: "Message") == "Chunk")
  }

  @Test("cases lose their enum's name unless what remains is no name or not the only one")
  func cases() {
    func cases(_ name: String, _ values: [String]) -> [String] {
      SwiftNames.cases(
        of: SchemaEnum(
          name: name, fullName: name,
          values: values.enumerated().map {
            SchemaEnum.Value(name: $1, number: Int32($0), comments: Comments())
          }, comments: Comments()))
    }
    #expect(
      cases(
        "NodeState", ["NODE_STATE_UP", "NODESTATE_DOWN", "NODE_STATE_2", "NODE_STATE", "OTHER"])
        == ["up", "down", "nodeState2", "nodeState", "other"])
    #expect(cases("A", ["A_X", "X", "A_Y"]) == ["aX", "x", "y"])
    #expect(cases("E", ["E_SELF", "E_NAMES"]) == ["self_", "names_"])
  }

  @Test("C names are protoc-c's")
  func cNames() {
    #expect(CNames.type("holdfast.v1.ChunkId") == "Holdfast__V1__ChunkId")
    #expect(CNames.type("k.sub_msg.HTTPThing") == "K__SubMsg__HTTPThing")
    #expect(CNames.functions("holdfast.v1.ChunkId") == "holdfast__v1__chunk_id")
    #expect(CNames.member("Mixed_Case") == "mixed_case")
    #expect(CNames.member("default") == "default_")
    #expect(CNames.oneofCase("CamelOneof_x") == "camel_oneof_x_case")
  }

  @Test("comments lose their marks' space and the empty lines at their ends")
  func comments() {
    let comments = Comments(leading: "\n One.\n\n   Two.\n\n", trailing: " Behind.\n")
    #expect(comments.documentation == ["One.", "", "  Two.", "", "Behind."])
    #expect(Comments().documentation.isEmpty)
  }

  @Test("base64 is padded and broken into lines")
  func base64() {
    #expect(Base64.lines(of: [], width: 8) == [])
    #expect(Base64.lines(of: [0xfb], width: 8) == ["+w=="])
    #expect(Base64.lines(of: Array("Man Ma".utf8), width: 4) == ["TWFu", "IE1h"])
  }
}
