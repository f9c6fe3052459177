import StoreModel
import Testing

@testable import StoreClient

@Suite struct UploadLeaseTests {
  @Test("ids are handed out one by one until the lease is used up")
  func handsOut() {
    var lease = UploadLease(maxRefill: 8)
    #expect(lease.take(now: moment(0)) { _ in false } == nil)
    lease.refilled(
      firstUpload: 7, count: 2, chunkBytes: 64, groups: [route(1, 1)], goodUntil: moment(100))
    #expect(lease.take(now: moment(1)) { _ in false }?.upload == 7)
    #expect(lease.take(now: moment(2)) { _ in false }?.upload == 8)
    #expect(lease.take(now: moment(3)) { _ in false } == nil)
  }

  @Test("refills double up to the most")
  func doubling() {
    var lease = UploadLease(maxRefill: 4)
    var counts: [UInt32] = []
    for _ in 0..<4 {
      counts.append(lease.refillCount)
      lease.refilled(
        firstUpload: 1, count: 1, chunkBytes: 64, groups: [route(1, 1)], goodUntil: moment(100))
    }
    #expect(counts == [1, 2, 4, 4])
  }

  @Test("an old lease is not used")
  func old() {
    var lease = UploadLease(maxRefill: 4)
    lease.refilled(
      firstUpload: 1, count: 4, chunkBytes: 64, groups: [route(1, 1)], goodUntil: moment(100))
    #expect(lease.take(now: moment(100)) { _ in false } == nil)
  }

  @Test("groups with a node that failed are left out, and the lease is over when none is left")
  func shunned() {
    var lease = UploadLease(maxRefill: 4)
    lease.refilled(
      firstUpload: 1, count: 4, chunkBytes: 64, groups: [route(1, 1, 2), route(2, 2, 3)],
      goodUntil: moment(100))
    #expect(lease.take(now: moment(1)) { $0 == NodeID(1) }?.groups == [route(2, 2, 3)])
    #expect(lease.take(now: moment(2)) { $0 == NodeID(2) } == nil)
  }
}
