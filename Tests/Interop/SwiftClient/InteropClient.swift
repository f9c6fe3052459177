import Foundation
import RPC
import RPCNIO
import StoreProtocol

/// Calls the server in C with the generated stubs: `interop-client ADDRESS` prints a line a check,
/// `pass NAME` or `FAIL NAME: why`, and exits with 1 when one failed.
@main
struct InteropClient {
  /// Runs every check, each over a connection of its own.
  static func main() async {
    guard CommandLine.arguments.count == 2 else {
      FileHandle.standardError.write(Data("usage: interop-client ADDRESS\n".utf8))
      exit(64)
    }
    let address = Address(CommandLine.arguments[1])
    var failed = false
    for check in EchoChecks.all + ChunkChecks.all + FaultChecks.all {
      do {
        try await withChannel(
          to: address, transport: NIOTransport(), time: SystemTimeSource(),
          random: SystemRandomSource()
        ) { channel in
          try await check.run(NodeClient(channel))
        }
        print("pass \(check.name)")
      } catch {
        print("FAIL \(check.name): \(error)")
        failed = true
      }
    }
    exit(failed ? 1 : 0)
  }
}
