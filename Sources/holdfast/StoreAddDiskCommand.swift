import ArgumentParser
import ChunkStore
import RPC
import StoreModel

/// `holdfast store add-disk`.
struct StoreAddDiskCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add-disk", abstract: "Make an empty directory a new disk of a node.",
    discussion: """
      A node that has disks already refuses an empty directory: it may be the place of one that isn't \
      mounted. This says that it is a new one, or takes the place of one that is gone for good. The node \
      may run; it uses the disk once it is started again with '--data' for it as well.

        holdfast store add-disk /disk3/holdfast --data /disk1/holdfast

      Exit codes: 66 no node's data is there, 73 the directory is not empty, in use, or a disk already.
      """)

  @Argument(help: ArgumentHelp("The empty directory; made where it isn't there.", valueName: "dir"))
  var directory: String

  @Option(
    help: ArgumentHelp(
      "A data directory that the node has. May be given several times.", valueName: "dir"))
  var data: [String] = []

  func validate() throws {
    guard !data.isEmpty else {
      throw ValidationError("Give a data directory that the node has: '--data <dir>'.")
    }
  }

  func run() async throws {
    let random = SystemRandomSource()
    let members = try data.map {
      DiskSet.Member(path: $0, disk: try FileDisk(existing: $0))
    }
    try await DiskSet.add(
      DiskSet.Member(path: directory, disk: try FileDisk(root: directory)), to: members,
      random: { random.next() })
    StandardOutput.shared.line(
      "'\(directory)' is a disk of the node now: start it with '--data \(directory)' as well")
  }
}
