import Testing

@testable import StoreClient

@Suite struct ReadWindowTests {
  @Test("values are handed on in order, and no more is begun than the window holds")
  func order() {
    var window = ReadWindow<Int>(count: 5, width: 2)
    #expect([window.begin(), window.begin(), window.begin()] == [0, 1, nil])
    window.finished(1, 10)
    #expect(window.handOn() == nil)
    #expect(window.begin() == nil)
    window.finished(0, 0)
    #expect([window.handOn(), window.handOn(), window.handOn()] == [0, 10, nil])
    #expect([window.begin(), window.begin(), window.begin()] == [2, 3, nil])
    #expect(!window.isDone)
    for item in [3, 2] { window.finished(item, item * 10) }
    #expect([window.handOn(), window.handOn()] == [20, 30])
    #expect(window.begin() == 4)
    window.finished(4, 40)
    #expect(window.handOn() == 40)
    #expect(window.isDone && window.begin() == nil)
  }
}
