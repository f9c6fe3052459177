import ArgumentParser
import RPC
import RPCServices
import Schema

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// `holdfast rpc top`.
struct RPCTopCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "top", abstract: "Watch a server's connections and calls.",
    discussion: """
      On a terminal it shows a table that is drawn anew every second until Ctrl-C; with --json, or when \
      the output goes elsewhere, it says once how things stand.

        holdfast rpc top 127.0.0.1:7400
        holdfast rpc top 127.0.0.1:7400 --json
      """)

  /// How long a table stands.
  private static let interval = Duration.seconds(1)

  @Argument(help: ArgumentHelp("The server.", valueName: "host:port"))
  var address: String

  @Flag(help: "Print JSON: one object.")
  var json = false

  @OptionGroup var tls: TLSOptions

  func run() async throws {
    let isLive = !json && isatty(STDOUT_FILENO) == 1
    let time = SystemTimeSource()
    try await RPCCommand.withServer(address, tls) { channel in
      let debug = DebugClient(channel)
      var before: (at: Instant, report: GetConnectionsResponse)?
      repeat {
        let report = try await debug.getConnections(
          GetConnectionsRequest(), options: CallOptions(timeout: RPCCommand.patience))
        let now = time.now
        if json {
          StandardOutput.shared.line(try report.jsonString())
          return
        }
        let seconds = before.map { $0.at.duration(to: now) / .seconds(1) }
        let lines = Self.lines(report, since: before?.report, seconds: seconds ?? 0)
        // Home, and what stood there before goes.
        StandardOutput.shared.line(
          (isLive ? "\u{1B}[H\u{1B}[J" : "") + lines.joined(separator: "\n"))
        before = (now, report)
        if isLive { try await time.sleep(until: now.advanced(by: Self.interval)) }
      } while isLive
    }
  }

  /// The table; rates where an earlier report is known.
  static func lines(
    _ report: GetConnectionsResponse, since before: GetConnectionsResponse?, seconds: Double
  ) -> [String] {
    let old = Dictionary(
      (before?.connections ?? []).map { ($0.number, $0) }, uniquingKeysWith: { first, _ in first })
    func rate(_ now: UInt64, _ then: UInt64?) -> String {
      guard let then, seconds > 0, now >= then else { return "-" }
      return Quantity.bytes(UInt64(Double(now - then) / seconds)) + "/s"
    }
    var rows = [
      ["#", "peer", "age", "idle", "in", "out", "in/s", "out/s", "calls", "now", "held", "window"]
    ]
    for connection in report.connections {
      let then = old[connection.number]
      let identity = connection.identity.first.map { " (\($0))" } ?? ""
      rows.append([
        "\(connection.number)", connection.peer + identity, Self.duration(connection.ageUs),
        Self.duration(connection.idleUs), Quantity.bytes(connection.bytesReceived),
        Quantity.bytes(connection.bytesSent), rate(connection.bytesReceived, then?.bytesReceived),
        rate(connection.bytesSent, then?.bytesSent), "\(connection.callsBegun)",
        "\(connection.callCount)", Quantity.bytes(connection.bytesHeld),
        Quantity.bytes(connection.sendWindow),
      ])
    }
    var calls = [["#", "stream", "method", "age", "left", "waiting", "writing", "window"]]
    for connection in report.connections {
      for call in connection.calls {
        calls.append([
          "\(connection.number)", "\(call.stream)", String(call.method.drop { $0 == "/" }),
          Self.duration(call.ageUs), call.timeLeftUs == 0 ? "-" : Self.duration(call.timeLeftUs),
          "\(call.messagesWaiting)",
          call.isWriteBlocked ? "blocked" : "-", Quantity.bytes(call.sendWindow),
        ])
      }
    }
    let state = report.draining ? ", stopping" : ""
    // A server with very many tells some of them, and how many there are.
    let connectionCount = max(Int(report.connectionCount), report.connections.count)
    let callCount = report.connections.reduce(0) { $0 + Int($1.callCount) }
    return [
      "up \(Self.duration(report.ageUs)), \(connectionCount) connections, "
        + "\(callCount) calls\(state)", "",
    ] + table(rows, rightAligned: [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
      + (calls.count > 1 ? [""] + table(calls, rightAligned: [0, 1, 3, 4, 5, 7]) : [])
  }

  private static func duration(_ microseconds: UInt64) -> String {
    microseconds < 1_000_000
      ? "\(microseconds / 1_000) ms" : Quantity.duration(seconds: microseconds / 1_000_000)
  }
}
