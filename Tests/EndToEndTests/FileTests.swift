import Foundation
import Testing

/// Files through the command, against servers in processes of their own.
@Suite(.serialized) struct FileTests {
  @Test("files of every size come back byte for byte")
  func sizes() async throws {
    try await TestCluster.with { cluster in
      let chunk = 8 << 20
      let sizes = [0, 1, 65_535, 65_536, 65_537, chunk - 1, chunk, chunk + 1, 100 << 20]
      for (place, size) in sizes.enumerated() {
        let bytes = noise(size, seed: UInt64(place + 1))
        try cluster.scratch.write("in", bytes)
        let put = try await cluster.run("put", "in", "sizes/\(size)", "--json")
        #expect(put.status == 0, "\(put.errors)")
        let receipt = try #require(try put.objects.first)
        #expect(receipt["size"] as? Int == size)
        #expect(receipt["copies"] as? Int == 3)
        #expect(receipt["target_copies"] as? Int == 3)
        #expect(receipt["fsynced"] as? Bool == true)
        let get = try await cluster.run("get", "sizes/\(size)", "out")
        #expect(get.status == 0, "\(get.errors)")
        #expect(cluster.scratch.read("out") == Data(bytes), "\(size) bytes")
      }
      let names = try await cluster.run("ls", "sizes/", "--json").objects
      #expect(names.count == sizes.count)
      #expect(names.compactMap { $0["size"] as? Int }.sorted() == sizes.sorted())
    }
  }

  @Test("ranges, standard input and standard output carry exactly their bytes")
  func streams() async throws {
    try await TestCluster.with { cluster in
      let bytes = noise((8 << 20) + 100_000, seed: 7)
      let path = try cluster.scratch.write("in", bytes)
      #expect(try await cluster.run("put", "-", "streamed", input: path).status == 0)
      #expect(try await cluster.run("get", "streamed", "-").output == bytes)
      let ranges: [(String, Range<Int>)] = [
        ("0-0", 0..<1), ("65530-65540", 65_530..<65_541),
        ("8388600-8388620", 8_388_600..<8_388_621), ("8488000-", 8_488_000..<bytes.count),
        ("8488000-99999999", 8_488_000..<bytes.count),
      ]
      for (text, range) in ranges {
        let outcome = try await cluster.run("get", "--range", text, "streamed", "-")
        #expect(outcome.output == Array(bytes[range]), "\(text): \(outcome.errors)")
      }
      #expect(try await cluster.run("get", "--range", "99999999-", "streamed", "-").status == 64)
      #expect(try await cluster.run("get", "--range", "9-3", "streamed", "-").status == 64)
      #expect(try await cluster.run("put", "-", input: path).status == 64)
    }
  }

  @Test("a tree comes back as it was, links are left out and keys never lead out of the directory")
  func trees() async throws {
    try await TestCluster.with { cluster in
      let scratch = cluster.scratch
      let files = ["a.txt": 10, "sub/b": 70_000, "sub/deep/ü c": 0, "z": 2_000_000]
      for (name, size) in files {
        try scratch.write("tree/" + name, noise(size, seed: UInt64(size + 1)))
      }
      try FileManager.default.createSymbolicLink(
        atPath: scratch.path("tree/link"), withDestinationPath: "/etc/passwd")
      let put = try await cluster.run("put", "-r", "tree", "trees/one", "--json")
      #expect(put.status == 0, "\(put.errors)")
      #expect(put.errors.contains("link"))
      #expect(try put.objects.count == files.count)
      let get = try await cluster.run("get", "-r", "trees/one", "back")
      #expect(get.status == 0, "\(get.errors)")
      for (name, _) in files {
        #expect(scratch.read("back/" + name) == scratch.read("tree/" + name))
      }
      #expect(scratch.read("back/link") == nil)

      for key in ["evil/../../escaped", "evil//etc", "evil/./x"] {
        #expect(try await cluster.run("put", "tree/a.txt", key).status == 0)
      }
      let evil = try await cluster.run("get", "-r", "evil", "back/inner")
      #expect(evil.status == 73, "\(evil.errors)")
      #expect(scratch.read("escaped") == nil && scratch.read("back/escaped") == nil)
      #expect(try await cluster.run("get", "-r", "nothing", "back").status == 66)
      #expect(try await cluster.run("get", "-r", "nothing/", "unmade").status == 66)
      #expect(!FileManager.default.fileExists(atPath: scratch.path("unmade")))
      #expect(try await cluster.run("put", "-r", "tree/a.txt").status == 64)
    }
  }

  @Test("names can be listed, looked at, moved, copied and removed")
  func names() async throws {
    try await TestCluster.with { cluster in
      try cluster.scratch.write("in", Array("hello".utf8))
      for name in ["a/1", "a/2", "b", "other:a/1"] {
        #expect(try await cluster.run("put", "in", name).status == 0)
      }
      let keys = try await cluster.run("ls", "a/", "--json").objects.map { $0["key"] as? String }
      #expect(keys == ["a/1", "a/2"])
      let folded = try await cluster.run("ls", "--delimiter", "/", "--json").objects
      #expect(folded.map { $0["prefix"] as? String ?? $0["key"] as? String } == ["a/", "b"])
      let stat = try #require(try await cluster.run("stat", "a/1", "--json").objects.first)
      #expect(stat["checksum"] as? String == "9a71bb4c")
      #expect(stat["bucket"] as? String == "default")

      #expect(try await cluster.run("mv", "a/1", "moved").status == 0)
      #expect(try await cluster.run("stat", "a/1").status == 66)
      #expect(try await cluster.run("cp", "moved", "copied").status == 0)
      #expect(try await cluster.run("get", "copied", "-").text == "hello")
      #expect(try await cluster.run("cp", "--if-absent", "moved", "b").status == 73)
      #expect(try await cluster.run("put", "--if-absent", "in", "b").status == 73)
      #expect(try await cluster.run("put", "--if-absent", "in", "c").status == 0)
      #expect(try await cluster.run("rm", "moved", "missing", "copied").status == 66)
      #expect(try await cluster.run("get", "copied", "-").status == 66)
      #expect(try await cluster.run("get", "missing").status == 66)
      let folder = try await cluster.run("get", "a")
      #expect(folder.status == 66 && folder.errors.contains("get -r"))
    }
  }

  @Test(
    "control characters of names are shown and not sent to the terminal; JSON has them as they are")
  func controlCharacters() async throws {
    try await TestCluster.with(nodes: 2) { cluster in
      try cluster.scratch.write("in", [1])
      let name = "evil\n\u{1B}[2Jx"
      let shown = #"evil\n\x1B[2Jx"#
      let said = [
        try await cluster.run("put", "in", name), try await cluster.run("ls"),
        try await cluster.run("ls", "--delimiter", "x"), try await cluster.run("stat", name),
        try await cluster.run("get", "-r", "", "back"), try await cluster.run("put", "-r", "back"),
      ]
      for outcome in said {
        #expect(outcome.status == 0 && outcome.text.contains(shown), "\(outcome.text)")
        #expect(!outcome.output.contains(0x1B), "\(outcome.text)")
      }
      let missing = try await cluster.run("get", name + "y")
      #expect(missing.status == 66 && missing.errors.contains(shown), "\(missing.errors)")
      #expect(missing.errors.filter { $0 == "\n" }.count == 1)
      let keys = try await cluster.run("ls", "evil", "--json").objects
      #expect(keys.map { $0["key"] as? String } == [name])
    }
  }
}
