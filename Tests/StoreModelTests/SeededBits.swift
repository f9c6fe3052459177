/// Pseudo-random bits for tests: the same for the same seed.
struct SeededBits {
  private var state: UInt64

  init(_ seed: UInt64) {
    state = seed
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var bits = state
    bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
    return bits ^ (bits >> 31)
  }

  mutating func next(below bound: Int) -> Int {
    Int(next().multipliedFullWidth(by: UInt64(bound)).high)
  }
}

/// Calls `body` with every way to choose `count` times out of `choices`.
func withEvery<Choice>(_ choices: [Choice], count: Int, _ body: ([Choice]) -> Void) {
  if count == 0 {
    body([])
    return
  }
  for choice in choices {
    withEvery(choices, count: count - 1) { body([choice] + $0) }
  }
}
