import NIOCore
import Schema
import Testing
import TestSchemas

@Suite("proto3's JSON mapping")
struct JSONTests {
  @Test("a message with every kind of field comes back as it was")
  func everything() throws {
    let text = try Samples.everything.jsonString()
    #expect(try Everything(json: text) == Samples.everything)
    let tree = Tree(left: Tree(label: "l"), children: [Tree()], everything: Samples.everything)
    #expect(try Tree(json: tree.jsonString()) == tree)
  }

  @Test("defaults are left out, and an empty object is a message of defaults")
  func defaults() throws {
    #expect(try Everything().jsonString() == "{}")
    #expect(try Everything(json: "{}") == Everything())
    #expect(try Nothing().jsonString() == "{}")
    #expect(try Everything(inner: Inner()).jsonString() == #"{"inner":{}}"#)
    #expect(try Everything(choice: .number(0)).jsonString() == #"{"number":"0"}"#)
  }

  /// Messages and the texts that the canonical mapping gives them.
  static let written: [(Everything, String)] = [
    (Everything(int32Value: -5), #"{"int32Value":-5}"#),
    (Everything(int64Value: .min), #"{"int64Value":"-9223372036854775808"}"#),
    (Everything(uint64Value: .max), #"{"uint64Value":"18446744073709551615"}"#),
    (Everything(fixed32Value: .max), #"{"fixed32Value":4294967295}"#),
    (Everything(floatValue: 1.5), #"{"floatValue":1.5}"#),
    (Everything(floatValue: 0.1), #"{"floatValue":0.1}"#),
    (Everything(doubleValue: -.infinity), #"{"doubleValue":"-Infinity"}"#),
    (Everything(floatValue: .infinity), #"{"floatValue":"Infinity"}"#),
    (Everything(boolValue: true), #"{"boolValue":true}"#),
    (Everything(stringValue: "a/\"ü"), #"{"stringValue":"a/\"ü"}"#),
    (Everything(bytesValue: [0xfb, 0xff]), #"{"bytesValue":"+/8="}"#),
    (Everything(data: Body([0xfb, 0xff])), #"{"data":"+/8="}"#),
    (Everything(color: .green), #"{"color":"COLOR_GREEN"}"#),
    (Everything(color: .UNRECOGNIZED(9)), #"{"color":9}"#),
    (Everything(chunks: [[], [1]]), #"{"chunks":["","AQ=="]}"#),
    (Everything(colors: [.red, .UNRECOGNIZED(-1)]), #"{"colors":["COLOR_RED",-1]}"#),
    (Everything(counts: ["b": 0, "a": 1]), #"{"counts":{"a":1,"b":0}}"#),
    (Everything(byNumber: [7: Inner()]), #"{"byNumber":{"7":{}}}"#),
    (Everything(byFlag: [true: .red]), #"{"byFlag":{"true":"COLOR_RED"}}"#),
    (Everything(choice: .raw([])), #"{"raw":""}"#),
  ]

  @Test("values are written in their canonical form")
  func canonical() throws {
    for (message, text) in Self.written {
      #expect(try message.jsonString() == text)
      #expect(try Everything(json: text) == message)
    }
    #expect(try Everything(doubleValue: .nan).jsonString() == #"{"doubleValue":"NaN"}"#)
    #expect(try Everything(json: #"{"doubleValue":"NaN"}"#).doubleValue.isNaN)
  }

  /// Texts in other forms than the canonical one.
  static let accepted: [(String, Everything)] = [
    (#"{"int32_value": 5}"#, Everything(int32Value: 5)),
    (#"{"by_number": {"1": {"number": 2}}}"#, Everything(byNumber: [1: Inner(number: 2)])),
    (#"{"int32Value": "5", "uint32Value": 5.0}"#, Everything(int32Value: 5, uint32Value: 5)),
    (#"{"int64Value": -12, "uint64Value": 1e3}"#, Everything(int64Value: -12, uint64Value: 1000)),
    (#"{"int64Value": 9007199254740993}"#, Everything(int64Value: 9_007_199_254_740_993)),
    (#"{"floatValue": "1.5", "doubleValue": 2}"#, Everything(floatValue: 1.5, doubleValue: 2)),
    (#"{"bytesValue": "-_8"}"#, Everything(bytesValue: [0xfb, 0xff])),
    (#"{"bytesValue": "+/8"}"#, Everything(bytesValue: [0xfb, 0xff])),
    (#"{"data": "-_8="}"#, Everything(data: Body([0xfb, 0xff]))),
    (#"{"color": 2}"#, Everything(color: .green)),
    (#"{"int32Value": null, "inner": null, "numbers": null, "name": null}"#, Everything()),
    (#"{"name": null, "number": "3"}"#, Everything(choice: .number(3))),
  ]

  @Test("other forms are accepted: both names, numbers and strings, URL-safe base64, null")
  func lenient() throws {
    for (text, message) in Self.accepted { #expect(try Everything(json: text) == message) }
  }

  /// Texts that don't fit, with the path to what is wrong.
  static let refused: [(String, String?)] = [
    (#"{"int32Value": 5"#, nil),
    (#"[]"#, nil),
    (#"{"nobody": 1}"#, "nobody"),
    (#"{"int32Value": 1, "int32_value": 2}"#, "int32_value"),
    (#"{"name": "a", "number": 1}"#, "number"),
    (#"{"int32Value": 1.5}"#, "int32Value"),
    (#"{"int32Value": 2147483648}"#, "int32Value"),
    (#"{"uint32Value": -1}"#, "uint32Value"),
    (#"{"uint64Value": "18446744073709551616"}"#, "uint64Value"),
    (#"{"int64Value": " 1"}"#, "int64Value"),
    (#"{"int64Value": "+1"}"#, "int64Value"),
    (#"{"int64Value": "0x10"}"#, "int64Value"),
    (#"{"doubleValue": "0x10"}"#, "doubleValue"),
    (#"{"boolValue": "true"}"#, "boolValue"),
    (#"{"stringValue": 1}"#, "stringValue"),
    (#"{"bytesValue": "*"}"#, "bytesValue"),
    (#"{"doubleValue": "nan"}"#, "doubleValue"),
    (#"{"floatValue": 1e39}"#, "floatValue"),
    (#"{"color": "COLOR_BLACK"}"#, "color"),
    (#"{"numbers": [1, null]}"#, "numbers.1"),
    (#"{"inners": [{}, {"text": 1}]}"#, "inners.1.text"),
    (#"{"counts": {"a": null}}"#, "counts.a"),
    (#"{"byNumber": {"x": {}}}"#, "byNumber"),
    (#"{"byFlag": {"1": 0}}"#, "byFlag"),
    (#"{"numbers": 1}"#, "numbers"),
  ]

  @Test("what doesn't fit is refused, and the error says where", arguments: refused)
  func refusal(text: String, path: String?) throws {
    let error = #expect(throws: SchemaError.self) { try Everything(json: text) }
    #expect(error?.code == .invalidJSON)
    #expect(error?.message == "holdfast.testing.v1.Everything")
    #expect(error?.field == path)
  }

  @Test("a hundred objects inside one another pass, a hundred and one are refused")
  func depth() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: #"{"left":"#, count: depth - 1) + "{}"
        + String(repeating: "}", count: depth - 1)
    }
    #expect(try Tree(json: nested(100)).encodedBytes().count > 100)
    #expect(throws: SchemaError.self) { try Tree(json: nested(101)) }
    #expect(throws: SchemaError.self) { try Tree(json: nested(100_000)) }
  }
}
