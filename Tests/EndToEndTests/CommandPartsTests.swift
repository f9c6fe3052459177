import Foundation
import RPC
import RPCServices
import StoreModel
import Testing

@testable import holdfast

/// The command's own small parts, without processes.
@Suite struct CommandPartsTests {
  private func milliseconds(_ count: UInt64) -> Instant {
    Instant(nanoseconds: count * 1_000_000)
  }

  @Test("connections leave a process files for its own work")
  func mostConnections() {
    for files in [0, 1, 2, 64, 256, 1_024, 20_000, .max] {
      let connections = ConnectionConfiguration.mostConnections(files: files)
      #expect(connections >= 1)
      if files > 1 { #expect(files - connections >= min(files / 2, 512)) }
    }
    #expect(ConnectionConfiguration.mostConnections(files: 20_000) == 19_488)
  }

  @Test("a short transfer draws nothing, a long one bar, rate and time left")
  func progress() {
    var meter = ProgressMeter(label: "a", now: milliseconds(0))
    #expect(meter.report(done: 10 << 20, total: 100 << 20, now: milliseconds(100)) == nil)
    let line = meter.report(done: 50 << 20, total: 100 << 20, now: milliseconds(500))
    #expect(line?.contains("50%") == true)
    #expect(line?.contains("50.0 MiB of 100.0 MiB") == true)
    #expect(line?.contains("/s") == true && line?.contains("left") == true)
    #expect(meter.report(done: 51 << 20, total: 100 << 20, now: milliseconds(550)) == nil)
    #expect(meter.hasDrawn)
  }

  @Test("without a known size only what is done and the rate are drawn")
  func unknownSize() {
    var meter = ProgressMeter(label: "a", now: milliseconds(0))
    let line = meter.report(done: 3 << 20, total: nil, now: milliseconds(1_000))
    #expect(line == "a  3.0 MiB  3.0 MiB/s")
  }

  @Test("amounts and moments read well")
  func quantities() {
    #expect(Quantity.bytes(0) == "0 B")
    #expect(Quantity.bytes(1_023) == "1023 B")
    #expect(Quantity.bytes(1_536) == "1.5 KiB")
    #expect(Quantity.bytes((1 << 20) - 1) == "1.0 MiB")
    #expect(Quantity.bytes(.max) == "16.0 EiB")
    #expect(Quantity.duration(seconds: 3_725) == "1 h 2 min")
    #expect(Quantity.duration(seconds: 59) == "59 s")
    #expect(Quantity.moment(microsecondsSince1970: 0) == "1970-01-01T00:00:00.000Z")
    #expect(
      Quantity.moment(microsecondsSince1970: 951_782_400_123_456) == "2000-02-29T00:00:00.123Z")
    #expect(Quantity.moment(microsecondsSince1970: -1) == "1969-12-31T23:59:59.999Z")
  }

  @Test("JSON escapes what must be escaped and keeps the order of keys")
  func json() {
    let object = JSON.of([
      "b": .string("\"\\\n\u{1}é"), "a": .number(.max), "c": .array([.null, .bool(true)]),
    ])
    #expect(
      object.text
        == #"{"b": "\"\\\n\u0001é", "a": 18446744073709551615, "c": [null, true]}"#)
  }

  @Test(
    "keys that could lead out of a directory are refused",
    arguments: ["../a", "a/../b", "/a", "a//b", "a/", "", ".", "a/./b"])
  func unsafeKeys(key: String) {
    #expect(throws: CommandFailure.self) { try SafePath.parts(of: key[...], key: key) }
  }

  @Test("other keys are paths")
  func safeKeys() throws {
    #expect(try SafePath.parts(of: "a/b c/..d", key: "a/b c/..d") == ["a", "b c", "..d"])
  }

  @Test("byte ranges are FIRST-LAST or FIRST-")
  func ranges() {
    #expect(ByteRangeArgument(argument: "0-0")?.bytes == 0..<1)
    #expect(ByteRangeArgument(argument: "5-")?.bytes == 5..<UInt64.max)
    for text in ["", "-", "-5", "5", "9-3", "a-b", "0-18446744073709551615", "+1-2", " 1-2"] {
      #expect(ByteRangeArgument(argument: text) == nil, "\(text)")
    }
  }

  @Test("each kind of failure has its exit code, and the worst of several counts")
  func exitCodes() {
    let codes: [StoreError.Code: Int32] = [
      .invalidArgument: 64, .notFound: 66, .deleted: 66, .alreadyExists: 73,
      .preconditionFailed: 73, .dataLoss: 65, .resourceExhausted: 69, .unavailable: 69,
      .aborted: 75, .internal: 1,
    ]
    for code in StoreError.Code.allCases {
      #expect(ExitStatus(code).rawValue == codes[code])
    }
    #expect(ExitStatus(StatusCode.permissionDenied) == .notAllowed)
    #expect(ExitStatus(StatusCode.resourceExhausted) == .unavailable)
    #expect(CommandFailure.system(ENOSPC, "'a'").status == .unavailable)
    #expect(ExitStatus.worse(.noInput, .dataCorrupt) == .dataCorrupt)
    #expect(ExitStatus.worse(.unavailable, .done) == .unavailable)
  }

  @Test("prefixes name a bucket or the default one")
  func prefixes() throws {
    #expect(try NamePrefix(parsing: "").folder == "")
    #expect(try NamePrefix(parsing: "a/b").folder == "a/b/")
    #expect(try NamePrefix(parsing: "x:a/").bucket == "x")
    #expect(try NamePrefix(parsing: ":a:b").prefix == "a:b")
    #expect(throws: CommandFailure.self) { try NamePrefix(parsing: "BAD:a") }
  }

  @Test("the table of connections has rates once an earlier one is known")
  func top() {
    func report(_ received: UInt64) -> GetConnectionsResponse {
      GetConnectionsResponse(
        ageUs: 90_000_000,
        connections: [
          ConnectionReport(
            number: 3, peer: "10.0.0.1:5", identity: ["node-1"], bytesReceived: received,
            calls: [CallReport(stream: 7, method: "/a.B/C", isWriteBlocked: true)], callCount: 1)
        ])
    }
    let first = RPCTopCommand.lines(report(0), since: nil, seconds: 0)
    #expect(first[0] == "up 1 min 30 s, 1 connections, 1 calls")
    #expect(first[3].contains("10.0.0.1:5 (node-1)") && !first[3].contains("/s"))
    #expect(first.last?.contains("a.B/C") == true && first.last?.contains("blocked") == true)
    let second = RPCTopCommand.lines(report(4 << 20), since: report(0), seconds: 2)
    #expect(second[3].contains("2.0 MiB/s"))
  }

  @Test("requests for a stream are one a line, others the whole input")
  func requests() throws {
    #expect(try RPCCallCommand.values(in: "{}\n\n{ }\n", kind: .clientStreaming) == ["{}", "{ }"])
    #expect(try RPCCallCommand.values(in: "{\n}", kind: .unary) == ["{\n}"])
  }

  @Test("the Directory is where the option says, else the variable unless it is empty")
  func directoryAddresses() {
    #expect(directoryAddress("a:1", environment: "b:2") == Address("a:1"))
    #expect(directoryAddress(nil, environment: "b:2") == Address("b:2"))
    for nothing in [nil, ""] {
      #expect(directoryAddress(nil, environment: nothing) == Address("127.0.0.1:7400"))
    }
  }

  @Test("what would move a terminal's cursor or turn its text round is shown instead")
  func visible() {
    #expect("a b/ü日本.txt".visible == "a b/ü日本.txt")
    #expect("a\nb\tc\rd".visible == #"a\nb\tc\rd"#)
    #expect("\u{1B}[2J\u{7}\u{7F}\u{9B}".visible == #"\x1B[2J\x07\x7F\x9B"#)
    #expect("\r\n".visible == #"\r\n"#)
    #expect("a\u{202E}b\u{2066}\u{2028}".visible == #"a\u{202E}b\u{2066}\u{2028}"#)
  }
}
