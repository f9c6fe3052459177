internal import Foundation
package import RPC
internal import Synchronization

/// Loopback addresses of this process's own. A port that a test gave up, to see what becomes of those who
/// call it, isn't taken by another test meanwhile.
package enum Loopback {
  #if os(Linux)
    private static let hosts = (1...100).map {
      "127.\(1 + ProcessInfo.processInfo.processIdentifier % 250).\($0).1"
    }
  #else
    // Elsewhere there is one.
    private static let hosts = ["127.0.0.1"]
  #endif
  private static let count = Atomic(0)

  /// The next one, with any port.
  package static var next: Address {
    let (number, _) = count.wrappingAdd(1, ordering: .relaxed)
    return Address("\(hosts[number % hosts.count]):0")
  }

  /// All of them, for a certificate.
  package static var subjects: String { hosts.map { "IP:\($0)" }.joined(separator: ",") }
}
