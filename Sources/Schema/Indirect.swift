/// The storage of an optional sub-message in a message that holds itself: a value kept on the heap.
@propertyWrapper
public struct Indirect<Value> {
  @usableFromInline
  enum Storage {
    case none
    indirect case some(Value)
  }

  @usableFromInline
  var storage: Storage

  /// The message; nil when absent.
  @inlinable
  public var wrappedValue: Value? {
    get {
      switch storage {
      case .none: nil
      case .some(let value): value
      }
    }
    set { storage = newValue.map { .some($0) } ?? .none }
  }

  /// Stores a message, or nil.
  @inlinable
  public init(wrappedValue: Value?) {
    storage = wrappedValue.map { .some($0) } ?? .none
  }
}

extension Indirect.Storage: Sendable where Value: Sendable {}
extension Indirect.Storage: Equatable where Value: Equatable {}
extension Indirect.Storage: Hashable where Value: Hashable {}
extension Indirect: Sendable where Value: Sendable {}
extension Indirect: Equatable where Value: Equatable {}
extension Indirect: Hashable where Value: Hashable {}
