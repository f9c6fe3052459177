import StoreClient
import Synchronization

/// Does the same with many files: small ones several at a time, goes on after a failure, and fails with
/// the worst in the end.
struct TreeTransfer: Sendable {
  /// Files up to this size go several at a time.
  static let smallBytes: UInt64 = 1 << 20
  /// How many small files at a time.
  static let smallFilesAtOnce = 8

  /// What is done with the files, for the last line, such as `stored`.
  let verb: String

  /// Does `work` with every item; `work` says whether the item counts as a file.
  ///
  /// - Throws: `CommandFailure` of the worst failure's status, after each was told on standard error.
  func run<Item: Sendable>(
    _ items: [Item], bytes: (Item) -> UInt64,
    _ work: @escaping @Sendable (Item) async throws -> Bool
  ) async throws {
    let tally = Tally()
    await withTaskGroup(of: Void.self) { group in
      var running = 0
      for item in items {
        guard bytes(item) <= Self.smallBytes else {
          await tally.count { try await work(item) }
          continue
        }
        if running >= Self.smallFilesAtOnce {
          await group.next()
          running -= 1
        }
        running += 1
        group.addTask { await tally.count { try await work(item) } }
      }
      await group.waitForAll()
    }
    try tally.verdict(verb)
  }

  /// What went well and what didn't.
  private final class Tally: Sendable {
    private struct State {
      var done = 0
      var failed = 0
      var worst = ExitStatus.done
    }

    private let state = Mutex(State())

    func count(_ work: @Sendable () async throws -> Bool) async {
      do {
        let counts = try await work()
        if counts { state.withLock { $0.done += 1 } }
      } catch is FileSink.Closed {
        endQuietly()
      } catch {
        let failure = CommandFailure.describing(error)
        StandardError.line("holdfast: \(failure.message.visible)")
        state.withLock {
          $0.failed += 1
          $0.worst = ExitStatus.worse($0.worst, failure.status)
        }
      }
    }

    func verdict(_ verb: String) throws {
      let state = state.withLock { $0 }
      guard state.failed > 0 else { return }
      throw CommandFailure(
        state.worst,
        "\(state.failed) of \(state.failed + state.done) files were not \(verb); see above")
    }
  }
}
