/// Work that is begun ahead, finishes in any order and is handed on in order, so much of it at once.
struct ReadWindow<Value> {
  private let count: Int
  private let width: Int
  private var nextToBegin = 0
  private var nextToHandOn = 0
  private var finished: [Int: Value] = [:]

  /// Items 0 to `count` - 1, at most `width` of them begun and not yet handed on.
  init(count: Int, width: Int) {
    self.count = count
    self.width = max(1, width)
  }

  /// Whether every item was handed on.
  var isDone: Bool { nextToHandOn == count }

  /// The next item to begin; nil while the window is full, or when all are begun.
  mutating func begin() -> Int? {
    guard nextToBegin < min(count, nextToHandOn + width) else { return nil }
    defer { nextToBegin += 1 }
    return nextToBegin
  }

  /// An item that was begun has its value.
  mutating func finished(_ item: Int, _ value: Value) {
    precondition(item >= nextToHandOn && item < nextToBegin, "only what was begun is finished")
    finished[item] = value
  }

  /// The next value in order; nil while it isn't there.
  mutating func handOn() -> Value? {
    guard let value = finished.removeValue(forKey: nextToHandOn) else { return nil }
    nextToHandOn += 1
    return value
  }
}
