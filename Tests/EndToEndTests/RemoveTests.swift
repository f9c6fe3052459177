import Foundation
import Testing

/// What `rm` says of each of its names.
@Suite(.serialized) struct RemoveTests {
  @Test("each name's outcome is told, and the first failure's code is the command's")
  func outcomes() async throws {
    try await TestCluster.with(nodes: 2) { cluster in
      try cluster.scratch.write("in", [1])
      for key in ["a", "b", "c\nd", "e", "f"] {
        #expect(try await cluster.run("put", "in", key).status == 0)
      }
      let some = try await cluster.run("rm", "a", "missing", "b", "gone", "c\nd")
      #expect(some.status == 66)
      let lines = some.text.split(separator: "\n")
      #expect(lines.count == 3, "\(some.text)")
      for (line, key) in zip(lines, ["a", "b", #"c\nd"#]) {
        #expect(line.hasPrefix("\(key)  version ") && line.hasSuffix(" removed"), "\(line)")
      }
      let errors = some.errors.split(separator: "\n")
      #expect(errors.count == 2, "\(some.errors)")
      #expect(errors.first?.contains("missing") == true && errors.last?.contains("gone") == true)

      let json = try await cluster.run("rm", "--json", "missing", "e")
      #expect(json.status == 66 && json.errors.contains("missing"), "\(json.errors)")
      #expect(try json.objects.map { $0["key"] as? String } == ["e"])
      #expect(try json.objects.first?["version"] as? Int != nil)
      let all = try await cluster.run("rm", "f")
      #expect(all.status == 0 && all.text.hasPrefix("f  version "), "\(all.text)")
      #expect(try await cluster.run("ls").text.isEmpty)
    }
  }

  @Test("without a Directory the names that were not tried are named")
  func unreachable() async throws {
    let scratch = try Scratch()
    defer { scratch.remove() }
    let outcome = try await RunningProcess(
      ["rm", "a", "b", "c", "--directory", "127.0.0.1:1"], scratch: scratch
    ).outcome()
    #expect(outcome.status == 69 && outcome.text.isEmpty)
    let errors = outcome.errors.split(separator: "\n")
    #expect(errors.count == 3, "\(outcome.errors)")
    #expect(errors.first?.hasPrefix("holdfast: 'a'") == true, "\(outcome.errors)")
    for (line, key) in zip(errors.dropFirst(), ["b", "c"]) {
      #expect(line == "holdfast: '\(key)' was not tried")
    }
  }
}
