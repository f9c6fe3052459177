/// A connection's open calls by id, each at one place for as long as it is open.
///
/// Unlike a dictionary's, a state is looked at and changed where it lies: it is large, and every frame
/// touches it several times.
struct CallTable: Sendable {
  private var places: [UInt32: Int] = [:]
  private var states: [ConnectionMachine.CallState] = []
  private var freePlaces: [Int] = []

  /// How many calls are open.
  var count: Int { places.count }
  /// Whether none is.
  var isEmpty: Bool { places.isEmpty }
  /// The open calls' ids, in no order.
  var ids: some Sequence<UInt32> { places.keys }

  /// Where the call `id` lies; nil when it isn't open.
  func place(of id: UInt32) -> Int? { places[id] }

  /// The state of a call, by its place.
  subscript(at place: Int) -> ConnectionMachine.CallState {
    get { states[place] }
    _modify { yield &states[place] }
  }

  /// The state of the call `id`; nil when it isn't open.
  subscript(id: UInt32) -> ConnectionMachine.CallState? {
    places[id].map { states[$0] }
  }

  /// Adds a call.
  ///
  /// - Precondition: it isn't open.
  mutating func open(_ id: UInt32, _ state: ConnectionMachine.CallState) {
    let place: Int
    if let free = freePlaces.popLast() {
      place = free
      states[free] = state
    } else {
      place = states.count
      states.append(state)
    }
    let earlier = places.updateValue(place, forKey: id)
    precondition(earlier == nil, "a call is opened once")
  }

  /// Removes a call, and what it holds of a message.
  mutating func close(_ id: UInt32) {
    guard let place = places.removeValue(forKey: id) else { return }
    states[place].assembly = MessageAssembly()
    freePlaces.append(place)
  }
}

extension ConnectionMachine {
  /// One open call.
  struct CallState: Sendable, Hashable {
    var incoming: IncomingCredit
    var outgoing: OutgoingCredit
    var assembly = MessageAssembly()
    /// Server: the client has sent its last message.
    var isRemoteEnded = false
    /// Client: this side has sent its last message.
    var isLocalEnded = false
    /// Client: a HEAD or a response has come.
    var hasAnswer = false
    /// Its credit stands in `windowsDue`.
    var isWindowDue = false
  }
}
