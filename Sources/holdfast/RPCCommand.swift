import ArgumentParser
import RPC
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
      """,
    subcommands: [RPCListCommand.self, RPCDescribeCommand.self, RPCCallCommand.self])

  /// The services that are compiled in.
  static let services = [DirectoryMethods.service, NodeMethods.service]

  /// Everything that the services' schemas declare.
  ///
  /// - Throws: `CommandFailure` when a schema that is compiled in can't be read.
  static func schemas() throws -> SchemaIndex {
    do {
      return try SchemaIndex(
        FileSchema.closure(of: [.holdfastV1Directory, .holdfastV1Node]).map {
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
    commandName: "list", abstract: "List the services and methods that are compiled in.")

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  func run() async throws {
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

/// `holdfast rpc describe`.
struct RPCDescribeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "describe", abstract: "Show a service, method, message or enum.",
    discussion: """
      Names may be written in full or without what stands before their last part:

        holdfast rpc describe holdfast.v1.Directory
        holdfast rpc describe holdfast.v1.Node/PutChunk
        holdfast rpc describe Manifest
      """)

  @Argument(help: ArgumentHelp("The thing to show.", valueName: "name"))
  var name: String

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  func run() async throws {
    let found = try RPCCommand.schemas().find(name)
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
