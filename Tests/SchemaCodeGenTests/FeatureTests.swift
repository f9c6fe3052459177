import RPC
import Schema
import StoreProtocol
import TestSchemas
import Testing

/// The code that is generated for every feature does what it says.
@Suite("Generated code")
struct FeatureTests {
  private func expectRoundTrips<Value: Message>(_ value: Value) throws {
    #expect(try Value(encodedBytes: value.encodedBytes()) == value)
    #expect(try Value(json: value.jsonString()) == value)
  }

  @Test("maps of every kind of key and value come back")
  func maps() throws {
    try expectRoundTrips(
      Maps(
        int32S: [-1: "a", 2: ""], int64S: [.min: [1]], uint32S: [7: true], uint64S: [.max: -0.0],
        sint32S: [-5: 1.5], sint64S: [-6: .max], fixed32S: [8: 9],
        fixed64S: [1: .high, 2: .UNRECOGNIZED(99)],
        sfixed32S: [-1: Holdfast_TestingOther_Distant(text: "t", mood: .good)], sfixed64S: [-2: 3],
        bools: [true: Maps(strings: ["deep": 1]), false: Maps()], strings: ["x": -1]))
  }

  @Test("lists come back, packed or not")
  func lists() throws {
    let lists = Lists(
      spread: [1, -1, 0], levels: [.below, .small, .UNRECOGNIZED(50)], zigzag: [-1, .min],
      fixed: [.max], floats: [0, -0.0], counts: [0, .max])
    try expectRoundTrips(lists)
    let packedLength = try Lists(counts: [1, 1, 1]).encodedBytes().count
    let spreadLength = try Lists(spread: [1, 1, 1]).encodedBytes().count
    #expect(packedLength == 5)
    #expect(spreadLength == 6)
  }

  @Test("messages that hold each other come back")
  func recursion() throws {
    let egg = Egg(content: .chicken(Chicken(egg: Egg(content: .twin(Egg(clutch: [Egg()]))))))
    try expectRoundTrips(egg)
    try expectRoundTrips(
      Outer(
        middle: .init(innermost: .init(back: .init(), mood: .mood2Nd)),
        near: Holdfast_TestingOther_Near(distant: .init(text: "far"))))
  }

  @Test("fields with names that mean something else come back")
  func words() throws {
    try expectRoundTrips(
      Words(
        class: 1, default: 2, self_p: 3, init_p: 4, in: 5, func: 6, description_p: 7, c: 9,
        arena: 10, fields: 11, decoder: 12, value: 14, operator: [1, 2], switch: ["a": 1],
        renamed: 8, string: .init(text: "s"), error: .fatal, case: .nil(true), old: 5))
    let json = try Words(renamed: 8).jsonString()
    #expect(json == #"{"@odd name":8}"#)
    #expect(
      try OptionalMessage(encodedBytes: OptionalMessage(presence: .number(0)).encodedBytes())
        .presence == .number(0))
  }

  @Test("enums keep aliases, negative numbers and numbers that the schema doesn't know")
  func enums() {
    #expect(Level.small == .low)
    #expect(Level(rawValue: -1) == .below)
    #expect(Level(rawValue: 1234).rawValue == 1234)
    #expect(Level(name: "LEVEL_SMALL") == .low)
    #expect(Level.below.name == "LEVEL_BELOW")
  }

  @Test("a service says what its methods are, and its schema can be read")
  func service() throws {
    let service = TalkMethods.service
    #expect(service.name == "holdfast.testing.v1.Talk")
    #expect(
      service.methods.map(\.kind) == [
        .unary, .clientStreaming, .serverStreaming, .bidirectional, .unary,
      ])
    #expect(service.methods.map(\.isIdempotent) == [true, false, false, false, false])
    #expect(TalkMethods.ask.path == "/holdfast.testing.v1.Talk/Ask")
    let file = try Google_Protobuf_FileDescriptorProto(encodedBytes: service.fileDescriptor)
    #expect(file.name == "features.proto")
    #expect(file.service.first?.method.first?.options?.unknownFields.bool(50_700) == true)
  }

  @Test("every schema that is compiled in can be read, imported ones first")
  func schemas() throws {
    #expect(
      StoreServices.files.map(\.name) == [
        "google/protobuf/descriptor.proto", "holdfast/rpc/options.proto", "holdfast/v1/types.proto",
        "holdfast/v1/directory.proto", "holdfast/v1/node.proto",
      ])
    for schema in StoreServices.files {
      let file = try Google_Protobuf_FileDescriptorProto(encodedBytes: schema.descriptor)
      #expect(file.name == schema.name)
      #expect(file.sourceCodeInfo == nil)
      #expect(file.dependency == schema.dependencies.map(\.name))
    }
    #expect(StoreServices.all.map(\.name) == ["holdfast.v1.Directory", "holdfast.v1.Node"])
  }

  @Test("proto2's absent values and their defaults are told apart")
  func proto2() throws {
    let options = Google_Protobuf_FileOptions(javaMultipleFiles: false)
    let back = try Google_Protobuf_FileOptions(encodedBytes: options.encodedBytes())
    #expect(back.javaMultipleFiles == false)
    #expect(back.deprecated == nil)
    #expect(Google_Protobuf_FileOptions.defaultCcEnableArenas)
    #expect(Google_Protobuf_FileOptions.defaultOptimizeFor == .speed)
  }
}
