import ArgumentParser
import Logging
import RPC
import RPCNIO
import StoreClient
import StoreModel

/// What every command that talks to the Directory takes.
struct ClientOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where the Directory listens. Also HOLDFAST_DIRECTORY; default: 127.0.0.1:7400.",
      valueName: "host:port"))
  var directory: String?

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  @Flag(help: "Say on standard error which nodes failed and what was tried instead.")
  var verbose = false

  @OptionGroup var tls: TLSOptions

  /// Where the Directory is.
  var address: Address {
    directoryAddress(directory)
  }

  /// Runs `body` with a client of the Directory.
  func withClient<Result: Sendable>(
    _ body: @Sendable (StoreClient) async throws -> Result
  ) async throws -> Result {
    let address = address
    _ = try Endpoint(address)
    var logger = Logger(label: "holdfast") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = verbose ? .debug : .error
    return try await withStoreClient(
      directory: address, transport: try tls.transport(.client), logger: logger, body)
  }

  /// Prints one object.
  func printJSON(_ object: JSON) {
    StandardOutput.shared.line(object.text)
  }
}

/// A name from the command line.
///
/// - Throws: `CommandFailure`: wrong usage.
func parseName(_ text: String) throws -> Name {
  do {
    return try Name(parsing: text)
  } catch {
    throw CommandFailure(.usage, "'\(shortened(text))' is no name: \(error.message)")
  }
}

/// A bucket and the beginning of its keys, from the command line; both may be left out.
struct NamePrefix: Sendable, Equatable {
  var bucket: String
  var prefix: String

  /// Reads `[BUCKET:]PREFIX`.
  ///
  /// - Throws: `CommandFailure`: wrong usage.
  init(parsing text: String) throws {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    bucket = parts.count == 2 && !parts[0].isEmpty ? String(parts[0]) : Name.defaultBucket
    prefix = parts.last.map(String.init) ?? ""
    do {
      try Name.check(bucket: bucket)
    } catch {
      throw CommandFailure(.usage, "'\(shortened(text))' is no prefix: \(error.message)")
    }
    guard prefix.utf8.count <= Name.maxKeyBytes else {
      throw CommandFailure(
        .usage, "the prefix has \(prefix.utf8.count) bytes; at most \(Name.maxKeyBytes) are allowed"
      )
    }
  }

  /// The prefix as a folder: it ends with a slash unless it is empty.
  var folder: String {
    prefix.isEmpty || prefix.hasSuffix("/") ? prefix : prefix + "/"
  }

  /// As it stands on a command line.
  var description: String {
    bucket == Name.defaultBucket ? prefix : "\(bucket):\(prefix)"
  }
}

/// The text, or its beginning when it is too long for a message.
func shortened(_ text: String) -> String {
  text.count <= 80 ? text : text.prefix(77) + "..."
}
