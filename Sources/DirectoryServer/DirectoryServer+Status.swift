import MetadataStore
package import RPC
import StoreModel
package import StoreProtocol
import Synchronization

extension DirectoryServer {
  /// The cluster in a few figures: how safe the chunks are follows from which nodes report now.
  package func getStatus(
    _ request: GetStatusRequest, context: CallContext
  ) async throws -> GetStatusResponse {
    try await answer {
      let figures = try await store.figures()
      return map.withLock { map in
        let nodes = map.registry.nodes
        let health = ClusterHealth(groups: { map[$0] }, usage: figures.groups) { id in
          map.registry[id]?.state
        }
        return GetStatusResponse(
          cluster: store.cluster, entries: figures.entries, bytes: figures.bytes,
          nodesUp: UInt32(nodes.count { $0.state == .up }),
          nodesSuspect: UInt32(nodes.count { $0.state == .suspect }),
          nodesDead: UInt32(nodes.count { $0.state == .dead }),
          groups: UInt32(map.groups.count),
          groupsBelowTarget: UInt32(clamping: health.groupsBelowTarget),
          bytesBelowTarget: health.bytesBelowTarget, chunksAtOneCopy: health.chunksAtOneCopy,
          chunksUnavailable: health.chunksUnavailable)
      }
    }
  }
}
