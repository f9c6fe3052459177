import StoreClient
import StoreModel

extension Entry {
  /// As `ls --json` prints it.
  var json: JSON {
    .of([
      "bucket": .string(name.bucket), "key": .string(name.key), "version": .number(version),
      "size": .number(size), "checksum": .string(hexadecimal(checksum)),
      "class": .string(storageClass.rawValue),
      "modified": .string(Quantity.moment(microsecondsSince1970: modifiedMicroseconds)),
    ])
  }

  /// Another object's keys after the entry's own.
  func json(and more: KeyValuePairs<String, JSON>) -> JSON {
    guard case .object(let own) = json, case .object(let others) = JSON.of(more) else {
      return json
    }
    return .object(own + others)
  }
}

extension Receipt {
  /// As `put --json` prints it.
  var json: JSON {
    entry.json(and: [
      "copies": .number(UInt64(copies)), "target_copies": .number(UInt64(targetCopies)),
      "fsynced": .bool(fsynced), "nodes": .array(nodes.map { .string($0.description) }),
    ])
  }

  /// For people: what was stored and how safe it is.
  var summary: String {
    let few =
      copies < targetCopies
      ? " (\(targetCopies) wanted: other nodes were down, full or too slow)" : ""
    return
      "\(entry.name.description.visible)  \(Quantity.bytes(entry.size))  version \(entry.version)  "
      + "\(copies) \(copies == 1 ? "copy" : "copies")\(few)\(fsynced ? ", on disk" : "")"
  }
}

extension FileStatus {
  /// As `stat --json` prints it.
  var json: JSON {
    entry.json(and: [
      "copies": .number(UInt64(copies)), "target_copies": .number(UInt64(targetCopies)),
      "chunks": .number(UInt64(chunks)),
    ])
  }
}

extension NodeSummary {
  /// As `nodes --json` prints it.
  var json: JSON {
    .of([
      "id": .string(record.id.description), "address": .string(record.address),
      "zone": .string(record.zone), "state": .string(state?.rawValue ?? "unknown"),
      "bytes": .number(statistics.usedBytes), "chunks": .number(statistics.chunks),
      "capacity_bytes": .number(statistics.capacityBytes),
      "free_bytes": .number(statistics.freeBytes),
      "last_heartbeat": .string(
        Quantity.moment(microsecondsSince1970: lastHeartbeatMicroseconds)),
    ])
  }
}

extension ClusterStatus {
  /// As `status --json` prints it.
  var json: JSON {
    .of([
      "cluster": .string(cluster), "entries": .number(entries), "bytes": .number(bytes),
      "nodes_up": .number(UInt64(nodesUp)), "nodes_suspect": .number(UInt64(nodesSuspect)),
      "nodes_dead": .number(UInt64(nodesDead)), "groups": .number(UInt64(groups)),
      "groups_below_target": .number(UInt64(groupsBelowTarget)),
      "bytes_below_target": .number(bytesBelowTarget),
      "chunks_at_one_copy": .number(chunksAtOneCopy),
      "chunks_unavailable": .number(chunksUnavailable),
    ])
  }
}

/// A checksum as eight hexadecimal digits.
func hexadecimal(_ checksum: UInt32) -> String {
  let digits = String(checksum, radix: 16)
  return String(repeating: "0", count: 8 - digits.count) + digits
}

/// Lines whose cells stand under each other; the cells of `rightAligned` columns end there.
func table(_ rows: [[String]], rightAligned: Set<Int> = []) -> [String] {
  let columns = rows.map(\.count).max() ?? 0
  let widths = (0..<columns).map { column in
    rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
  }
  return rows.map { row in
    let cells = row.enumerated().map { column, cell in
      let space = String(repeating: " ", count: widths[column] - cell.count)
      if rightAligned.contains(column) { return space + cell }
      return column == row.count - 1 ? cell : cell + space
    }
    return cells.joined(separator: "  ")
  }
}
