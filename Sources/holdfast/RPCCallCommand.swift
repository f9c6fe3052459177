import ArgumentParser
import NIOCore
import RPC
import RPCNIO
import RPCServices
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
      A method that isn't compiled in is looked up at the server. Messages are written in proto3's JSON. A method that takes a stream takes several values, one a \
      line; each response is printed on a line of its own.

        holdfast rpc call 127.0.0.1:7400 holdfast.v1.Directory/GetStatus '{}'
        holdfast rpc call 127.0.0.1:7400 holdfast.v1.Directory/GetEntry \\
          '{"name": {"bucket": "default", "key": "report.pdf"}}'
        holdfast rpc call 127.0.0.1:7400 grpc.health.v1.Health/Check '{}'
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

  @OptionGroup var tls: TLSOptions

  /// The largest request that standard input may hold.
  private static let maxInputBytes = 64 << 20

  func validate() throws {
    guard timeout > 0 else { throw ValidationError("--timeout must be greater than 0") }
  }

  func run() async throws {
    let path = method.hasPrefix("/") ? method : "/" + method
    let known = RPCCommand.services.flatMap(\.methods)
    _ = try Endpoint(Address(address))
    let input = request == "-" ? try await standardInput() : request
    try await RPCCommand.withServer(address, tls) { channel in
      if let description = known.first(where: { $0.path == path }) {
        try await call(
          description, description.request, description.response, input: input, channel: channel)
      } else {
        try await callUnknown(path, input: input, channel: channel)
      }
    }
  }

  /// A call of a method of which only the server knows the schema.
  private func callUnknown(_ path: String, input: String, channel: any CallChannel) async throws {
    let schemas = try await ServerSchemas.fetch(
      from: channel, options: CallOptions(timeout: .seconds(timeout)))
    let schema = DynamicSchema(schemas.files)
    guard let known = schema.method(path) else {
      throw CommandFailure(
        .usage, "there is no method '\(method)'; see 'holdfast rpc list \(address)'")
    }
    let kind = CallKind(
      isClientStreaming: known.isClientStreaming, isServerStreaming: known.isServerStreaming)
    let requests = try Self.values(in: input, kind: kind).map { text in
      do {
        return RawMessage(bytes: try schema.encode(json: text, as: known.request))
      } catch {
        throw CommandFailure(.usage, "the request is no \(known.request): \(error)")
      }
    }
    let parts = path.dropFirst().split(separator: "/")
    let method = RPC.Method<RawMessage, RawMessage>(
      service: String(parts.first ?? ""), name: String(parts.last ?? ""), kind: kind)
    try await run(method, requests, channel) { response in
      do {
        return try schema.json(response.bytes, as: known.response)
      } catch {
        throw CommandFailure(.dataCorrupt, "the response is no \(known.response): \(error)")
      }
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
    try await run(method, requests, channel) { try $0.jsonString() }
  }

  /// Sends the requests and prints each response.
  private func run<Request: Message, Response: Message>(
    _ method: RPC.Method<Request, Response>, _ requests: [Request], _ channel: any CallChannel,
    text: @Sendable (Response) throws -> String
  ) async throws {
    let options = CallOptions(timeout: .seconds(timeout))
    if method.kind == .unary {
      let response = try await channel.unary(
        method, requests.first ?? Request(), options: options)
      StandardOutput.shared.line(try text(response.message))
      return
    }
    try await channel.stream(method, options: options) { writer, reader in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          for request in requests { try await writer.write(request) }
          try await writer.finish()
        }
        for try await response in reader {
          StandardOutput.shared.line(try text(response))
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
