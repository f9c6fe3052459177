/// A channel's tokens for attempts beyond the first: see `RetryBudget`.
struct RetryThrottle: Sendable, Hashable {
  private let budget: RetryBudget
  private var tokens: Double

  /// A full bucket.
  init(_ budget: RetryBudget) {
    self.budget = budget
    tokens = budget.maxTokens
  }

  /// Whether an attempt beyond the first may be made.
  var allowsRetry: Bool { tokens > budget.maxTokens / 2 }

  /// An attempt succeeded, or failed in a way that says nothing of the server's health.
  mutating func succeeded() {
    tokens = min(tokens + budget.ratio, budget.maxTokens)
  }

  /// An attempt failed.
  mutating func failed() {
    tokens = max(tokens - 1, 0)
  }
}
