import RPC
import Synchronization

/// Where others reach this node: complete once it listens.
final class OwnAddress: Sendable {
  private let address: Mutex<Address>

  /// Begins with what is configured.
  init(_ configured: Address) {
    address = Mutex(configured)
  }

  /// The address.
  var value: Address {
    get { address.withLock { $0 } }
    set { address.withLock { $0 = newValue } }
  }
}
