import Foundation
import RPC
import RPCNIO
import StoreProtocol

/// Calls the server in C with the generated stubs: `interop-client ADDRESS` prints a line a check,
/// `pass NAME` or `FAIL NAME: why`, and exits with 1 when one failed. `interop-client --node ADDRESS` calls a
/// storage node, which doesn't misbehave on demand.
@main
struct InteropClient {
  /// Runs every check, each over a connection of its own.
  static func main() async {
    let arguments = CommandLine.arguments.dropFirst()
    let isNode = arguments.first == "--node"
    guard let address = arguments.last, arguments.count == (isNode ? 2 : 1) else {
      FileHandle.standardError.write(Data("usage: interop-client [--node] ADDRESS\n".utf8))
      exit(64)
    }
    let sound = EchoChecks.all + ChunkChecks.all
    var failed = false
    for check in isNode ? sound : sound + EchoChecks.mirroring + FaultChecks.all {
      do {
        try await withChannel(
          to: Address(address), transport: NIOTransport(), time: SystemTimeSource(),
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
