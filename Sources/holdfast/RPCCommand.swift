import ArgumentParser
import RPC
import RPCNIO
import RPCServices
import Schema
import StoreProtocol

/// `holdfast rpc`.
struct RPCCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rpc", abstract: "Look at the services' schemas and call any method.",
    discussion: """
      holdfast rpc list
      holdfast rpc describe holdfast.v1.Directory
      holdfast rpc call 127.0.0.1:7400 holdfast.v1.Directory/GetStatus '{}'
      holdfast rpc top 127.0.0.1:7400
      """,
    subcommands: [
      RPCListCommand.self, RPCDescribeCommand.self, RPCCallCommand.self, RPCTopCommand.self,
    ])

  /// The services that are compiled in.
  static let services =
    StoreServices.all + [
      HealthMethods.service, ServerReflectionMethods.service, DebugMethods.service,
    ]

  /// How long a server may take to say something of itself.
  static let patience = Duration.seconds(30)

  /// Runs `body` with a channel to a server.
  static func withServer<Result: Sendable>(
    _ address: String, _ tls: TLSOptions,
    _ body: @Sendable (any CallChannel) async throws -> Result
  ) async throws -> Result {
    let address = Address(address)
    _ = try Endpoint(address)
    return try await withChannel(
      to: address, transport: try tls.transport(.client), time: SystemTimeSource(),
      random: SystemRandomSource(), body)
  }

  /// What a server says of itself.
  static func schemas(
    of address: String, _ tls: TLSOptions
  ) async throws -> ServerSchemas {
    try await withServer(address, tls) { channel in
      try await ServerSchemas.fetch(from: channel, options: CallOptions(timeout: patience))
    }
  }

  /// Everything that the services' schemas declare.
  ///
  /// - Throws: `CommandFailure` when a schema that is compiled in can't be read.
  static func schemas() throws -> SchemaIndex {
    do {
      return try SchemaIndex(
        FileSchema.closure(
          of: StoreServices.files + [
            .grpcHealthV1Health, .grpcReflectionV1Reflection, .holdfastRpcDebug,
          ]
        ).map {
          try Google_Protobuf_FileDescriptorProto(encodedBytes: $0.descriptor)
        })
    } catch {
      throw CommandFailure(.other, "the schemas that are compiled in can't be read: \(error)")
    }
  }
}

/// `holdfast rpc list`.
struct RPCListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List the services and methods of a server, or those that are compiled in.")

  @Argument(
    help: ArgumentHelp("A server that is asked what it offers.", valueName: "host:port"))
  var address: String?

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  @OptionGroup var tls: TLSOptions

  func run() async throws {
    if let address {
      let schemas = try await RPCCommand.schemas(of: address, tls)
      let index = SchemaIndex(schemas.files)
      for service in schemas.services.flatMap({ index.find($0) }) where service.kind == "service" {
        if !json { StandardOutput.shared.line(service.name) }
        for method in service.members { list(method, of: service.name) }
      }
      return
    }
    for service in RPCCommand.services {
      if !json { StandardOutput.shared.line(service.name) }
      for method in service.methods {
        let line =
          json
          ? JSON.of([
            "service": .string(service.name), "method": .string(method.name),
            "path": .string(String(method.path.dropFirst())), "kind": .string(method.kind.words),
            "request": .string(method.request.fullName),
            "response": .string(method.response.fullName), "idempotent": .bool(method.isIdempotent),
          ]).text
          : "  \(method.path.dropFirst())  (\(method.kind.words))"
        StandardOutput.shared.line(line)
      }
    }
  }
}

extension RPCListCommand {
  /// Prints a method that a server told of.
  private func list(_ method: SchemaIndex.Member, of service: String) {
    let kind = CallKind(
      isClientStreaming: method.json["client_streaming"] == .bool(true),
      isServerStreaming: method.json["server_streaming"] == .bool(true))
    let line =
      json
      ? JSON.of([
        "service": .string(service), "method": .string(method.name),
        "path": .string("\(service)/\(method.name)"), "kind": .string(kind.words),
        "request": method.json["request"] ?? .null, "response": method.json["response"] ?? .null,
      ]).text
      : "  \(service)/\(method.name)  (\(kind.words))"
    StandardOutput.shared.line(line)
  }
}

/// `holdfast rpc describe`.
struct RPCDescribeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "describe", abstract: "Show a service, method, message or enum.",
    discussion: """
      Names may be written in full or without what stands before their last part:

        holdfast rpc describe holdfast.v1.Directory
        holdfast rpc describe holdfast.v1.Node/PutChunk
        holdfast rpc describe Manifest

      With a server's address before the name, the server is asked:

        holdfast rpc describe 127.0.0.1:7400 holdfast.v1.Directory
      """)

  @Argument(
    help: ArgumentHelp(
      "The thing to show, after the address of a server that is to be asked.",
      valueName: "name"))
  var name: [String]

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  @OptionGroup var tls: TLSOptions

  func validate() throws {
    guard (1...2).contains(name.count) else {
      throw ValidationError("one name is shown: describe [HOST:PORT] NAME")
    }
  }

  func run() async throws {
    let index =
      name.count == 2
      ? SchemaIndex(try await RPCCommand.schemas(of: name[0], tls).files)
      : try RPCCommand.schemas()
    let name = name[name.count - 1]
    let found = index.find(name)
    guard !found.isEmpty else {
      throw CommandFailure(
        .noInput, "there is no service, method, message or enum '\(name)'; see 'holdfast rpc list'")
    }
    for (place, declaration) in found.enumerated() {
      if json {
        StandardOutput.shared.line(declaration.json.text)
        continue
      }
      if place > 0 { StandardOutput.shared.line("") }
      for line in declaration.lines { StandardOutput.shared.line(line) }
    }
  }
}

extension CallKind {
  /// The kind that a descriptor's marks make.
  init(isClientStreaming: Bool, isServerStreaming: Bool) {
    self =
      switch (isClientStreaming, isServerStreaming) {
      case (false, false): .unary
      case (true, false): .clientStreaming
      case (false, true): .serverStreaming
      case (true, true): .bidirectional
      }
  }

  /// For people.
  var words: String {
    switch self {
    case .unary: "unary"
    case .clientStreaming: "client streaming"
    case .serverStreaming: "server streaming"
    case .bidirectional: "bidirectional"
    }
  }
}
