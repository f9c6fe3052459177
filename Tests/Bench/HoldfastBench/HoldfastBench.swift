import Foundation

/// `make bench`: measures what a user feels, beside what the machine gives to a C program in the same
/// run, and prints both.
///
/// `ONLY=rpc` runs the figures whose names begin so; `JSON=FILE` writes a JSON object a line;
/// `HOLDFAST=PATH` is the command whose servers the file figures use; `DATA=DIR` holds their data;
/// `SCALE=10000000` is how many chunks `store.scale` goes up to; `SOAK=10000000` how many calls `rpc.soak`
/// makes, which else isn't run.
@main
struct HoldfastBench {
  static func main() async {
    let environment = ProcessInfo.processInfo.environment
    do {
      var report = try Report(only: environment["ONLY"] ?? "", jsonPath: environment["JSON"])
      try await AdapterBench.run(&report)
      try await RPCBench.run(&report)
      try await HostileBench.run(&report)
      try await SoakBench.run(report, calls: environment["SOAK"].flatMap { Int($0) } ?? 0)
      try await StoreBench.run(
        &report,
        below: environment["DATA"].map { URL(filePath: $0) }
          ?? FileManager.default.temporaryDirectory,
        scale: environment["SCALE"].flatMap { Int($0) } ?? 100_000)
      try await FileBench.run(
        &report, command: environment["HOLDFAST"] ?? ".build/release/holdfast",
        below: environment["DATA"].map { URL(filePath: $0) }
          ?? FileManager.default.temporaryDirectory)
    } catch {
      FileHandle.standardError.write(Data("bench: \(error)\n".utf8))
      exit(1)
    }
  }
}
