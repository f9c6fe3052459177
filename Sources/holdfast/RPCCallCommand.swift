import ArgumentParser
import NIOCore
import RPC
import RPCNIO
import Schema
import StoreClient

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// `holdfast rpc call`.
struct RPCCallCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "call", abstract: "Call any method of any server.",
    discussion: """
      Messages are written in proto3's JSON. A method that takes a stream takes several values, one a \
      line; each response is printed on a line of its own.

        holdfast rpc call 127.0.0.1:7400 holdfast.v1.Directory/GetStatus '{}'
        holdfast rpc call 127.0.0.1:7400 holdfast.v1.Directory/GetEntry \\
          '{"name": {"bucket": "default", "key": "report.pdf"}}'
        echo '{}' | holdfast rpc call 127.0.0.1:7400 holdfast.v1.Directory/ListNodes -
      """)

  @Argument(help: ArgumentHelp("The server.", valueName: "host:port"))
  var address: String

  @Argument(help: ArgumentHelp("The method: package.Service/Method.", valueName: "method"))
  var method: String

  @Argument(
    help: ArgumentHelp("The request, or - for standard input; {} by default.", valueName: "json"))
  var request = "{}"

  @Option(help: ArgumentHelp("Give up after so many seconds.", valueName: "seconds"))
  var timeout = 30

  /// The largest request that standard input may hold.
  private static let maxInputBytes = 64 << 20

  func validate() throws {
    guard timeout > 0 else { throw ValidationError("--timeout must be greater than 0") }
  }

  func run() async throws {
    let path = method.hasPrefix("/") ? method : "/" + method
    let known = RPCCommand.services.flatMap(\.methods)
    guard let description = known.first(where: { $0.path == path }) else {
      throw CommandFailure(.usage, "there is no method '\(method)'; see 'holdfast rpc list'")
    }
    _ = try Endpoint(Address(address))
    let input = request == "-" ? try await standardInput() : request
    try await withChannel(
      to: Address(address), transport: NIOTransport(), time: SystemTimeSource(),
      random: SystemRandomSource()
    ) { channel in
      try await call(
        description, description.request, description.response, input: input, channel: channel)
    }
  }

  /// The call with its messages' types, which the caller knows only when it runs.
  private func call<Request: Message, Response: Message>(
    _ description: MethodDescription, _: Request.Type, _: Response.Type, input: String,
    channel: any CallChannel
  ) async throws {
    let requests: [Request] = try Self.values(in: input, kind: description.kind).map { text in
      do {
        return try Request(json: text)
      } catch {
        throw CommandFailure(.usage, "the request is no \(Request.fullName): \(error)")
      }
    }
    let parts = description.path.dropFirst().split(separator: "/")
    let method = RPC.Method<Request, Response>(
      service: String(parts.first ?? ""), name: description.name, kind: description.kind,
      isIdempotent: description.isIdempotent)
    let options = CallOptions(timeout: .seconds(timeout))
    if description.kind == .unary {
      let response = try await channel.unary(
        method, requests.first ?? Request(), options: options)
      StandardOutput.shared.line(try response.message.jsonString())
      return
    }
    try await channel.stream(method, options: options) { writer, reader in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          for request in requests { try await writer.write(request) }
          try await writer.finish()
        }
        for try await response in reader {
          StandardOutput.shared.line(try response.jsonString())
        }
        try await group.waitForAll()
      }
    }
  }

  /// The values that the input holds: one a line for methods that take a stream, else all of it.
  static func values(in input: String, kind: CallKind) throws -> [String] {
    switch kind {
    case .unary, .serverStreaming:
      return [input]
    case .clientStreaming, .bidirectional:
      return input.split(whereSeparator: \.isNewline).map(String.init).filter {
        !$0.allSatisfy(\.isWhitespace)
      }
    }
  }

  private func standardInput() async throws -> String {
    var bytes = ByteBuffer()
    let source = FileSource(
      descriptor: STDIN_FILENO, expectedBytes: nil, label: "standard input")
    for try await buffer in source {
      bytes.writeImmutableBuffer(buffer)
      guard bytes.readableBytes <= Self.maxInputBytes else {
        throw CommandFailure(.usage, "standard input holds more than \(Self.maxInputBytes) bytes")
      }
    }
    guard let text = String(validating: bytes.readableBytesView, as: UTF8.self) else {
      throw CommandFailure(.usage, "standard input is not UTF-8")
    }
    return text
  }
}
