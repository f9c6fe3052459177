import Foundation
import Testing

/// Commands that are started with standard input, output or error closed, or with an output that takes
/// nothing: what can't be read or delivered is told, and never done with something else in its place.
@Suite(.serialized) struct ClosedDescriptorTests {
  /// Runs `holdfast` with what a shell makes of `line`, such as `get key - >&-`.
  private func shell(_ line: String, in cluster: TestCluster) async throws
    -> RunningProcess.Outcome
  {
    try await RunningProcess(
      program: "/bin/sh", ["-c", "exec \"$0\" \(line)", RunningProcess.holdfast],
      environment: ["HOLDFAST_DIRECTORY": cluster.address], scratch: cluster.scratch
    ).outcome()
  }

  private func withStored(_ body: (TestCluster) async throws -> Void) async throws {
    try await TestCluster.with(nodes: 2) { cluster in
      try cluster.scratch.write("in", Array("stored".utf8))
      try cluster.scratch.write("nothing", [])
      #expect(try await cluster.run("put", "in", "key").status == 0)
      #expect(try await cluster.run("put", "nothing", "empty").status == 0)
      try await body(cluster)
    }
  }

  @Test(
    "a closed standard input is an error and no empty file: what is stored stays",
    arguments: ["put - key <&-", "put /dev/stdin key <&-", "put /dev/fd/0 key <&- >&- 2>&-"])
  func input(line: String) async throws {
    try await withStored { cluster in
      let put = try await shell(line, in: cluster)
      #expect(put.status == 1, "\(put.text)")
      if !line.contains("2>&-") {
        #expect(put.errors.contains("Bad file descriptor"), "\(put.errors)")
      }
      #expect(try await cluster.run("get", "key", "-").text == "stored")
    }
  }

  @Test("a closed standard output is an error of every command that has something to say")
  func output() async throws {
    try await withStored { cluster in
      for command in [
        "get key -", "get empty -", "get key /dev/stdout", "get --json key out", "ls", "ls --json",
        "stat key", "stat --json key", "put in other", "put --json in other",
        "put -r --json . tree", "get -r tree back", "rm --json other", "mv --json key moved",
        "cp --json moved key",
        "status", "nodes --json", "rpc list", "--help", "--version",
        "--generate-completion-script bash",
        "rpc call \"$HOLDFAST_DIRECTORY\" holdfast.v1.Directory/GetStatus '{}'",
      ] {
        for closed in [">&-", "<&- >&-"] {
          let outcome = try await shell("\(command) \(closed)", in: cluster)
          let what: Comment = "\(command): \(outcome.status) \(outcome.errors)"
          // The second time there is nothing left to remove or to move.
          guard outcome.status != 66 else { continue }
          #expect(outcome.status == 1, what)
          #expect(outcome.errors.contains("Bad file descriptor"), what)
        }
      }
      let silent = try await shell("get key out <&- >&- 2>&-", in: cluster)
      #expect(silent.status == 0, "it has nothing to say")
      #expect(cluster.scratch.read("out") == Data("stored".utf8))
      #expect(try await shell("stat missing 2>&-", in: cluster).status == 66)
    }
  }

  @Test("lines that were gathered and don't get out at the end are an error")
  func full() async throws {
    try await withStored { cluster in
      for command in ["ls", "stat --json key", "put --json in other", "--help"] {
        let outcome = try await shell("\(command) > /dev/full", in: cluster)
        #expect(outcome.status == 1, "\(command)")
        #expect(outcome.errors.contains("No space left"), "\(command): \(outcome.errors)")
      }
      #expect(try await shell("get key - > /dev/full", in: cluster).status == 69)
    }
  }

  @Test("a server serves with all three closed, as nobody waits for its line")
  func server() async throws {
    let scratch = try Scratch()
    defer { scratch.remove() }
    let place = "unix:\(scratch.path("socket"))"
    let server = try RunningProcess(
      program: "/bin/sh",
      [
        "-c", "exec \"$0\" directory --data data --listen \(place) <&- >&- 2>&-",
        RunningProcess.holdfast,
      ], scratch: scratch)
    let status = try await RunningProcess(
      ["status", "--directory", place], scratch: scratch
    ).outcome()
    #expect(status.status == 0, "\(status.errors)")
    #expect(await server.end(with: SIGTERM) == 0)
  }
}
