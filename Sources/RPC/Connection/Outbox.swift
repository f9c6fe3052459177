internal import DequeModule
internal import NIOCore
internal import Schema

/// What a connection is going to write: frames that are ready, and messages that wait for their turn.
///
/// Small things gather in one buffer; bodies stand between them as they are, uncopied. Messages that
/// are large, or find no credit, wait here and leave piece by piece, the calls in turn, while there is
/// credit and room: so a large body neither fills the memory nor delays its neighbours.
struct Outbox {
  /// A message on its way.
  private struct Pending {
    /// What is left of the message part.
    var message: ByteBuffer
    var isMessagePartSent = false
    /// What is left of the body, last piece first.
    var pieces: [ByteBuffer]
    var bodyLeft: Int
    let endsStream: Bool

    /// What is left of both.
    var bytesLeft: Int { message.readableBytes + bodyLeft }
  }

  /// Buffers before the tail, in order.
  private var sealed: [ByteBuffer] = []
  private var sealedBytes = 0
  /// Where frames are written.
  var tail = ByteBuffer()
  /// Frames and messages that are ready to be written.
  private(set) var frameCount = 0
  /// Calls with a message here, in turn.
  private var turns: Deque<UInt32> = []
  private var pending: [UInt32: Pending] = [:]
  /// Bytes of messages that wait.
  private(set) var pendingBytes = 0

  /// The largest piece of a message while others wait, and while none does.
  static let pieceBytes = (shared: 256 << 10, alone: 1 << 20)
  /// Below this much credit a larger rest waits for more.
  static let leastPieceBytes = 16 << 10
  /// Bodies up to this size are copied behind their message.
  static let copiedBytes = 4 << 10

  /// Buffers up to this size are used again.
  static let reusedBytes = 8 << 10

  /// Bytes that are ready to be written.
  var byteCount: Int { sealedBytes + tail.readableBytes }
  /// Whether a message waits.
  var hasPending: Bool { !turns.isEmpty }

  /// Everything that is ready, in order.
  mutating func take() -> [ByteBuffer] {
    seal()
    defer {
      sealed = []
      sealedBytes = 0
      frameCount = 0
    }
    return sealed
  }

  /// Takes back what the transport was given: where it copied the last buffer, frames are written there again.
  mutating func reuse(_ output: consuming [ByteBuffer]) {
    guard tail.capacity == 0, var last = output.popLast(),
      last.storageCapacity <= Self.reusedBytes
    else { return }
    last.clear()
    tail = last
  }

  /// Adds body bytes behind what is there.
  mutating func append(_ body: ByteBuffer) {
    guard body.readableBytes > Self.copiedBytes else {
      tail.writeImmutableBuffer(body)
      return
    }
    seal()
    sealed.append(body)
    sealedBytes += body.readableBytes
  }

  /// Adds a frame without a body.
  mutating func append(
    _ type: FrameType, stream: UInt32, flags: FrameFlags = [], message: UInt64? = nil,
    messageLength: Int = 0, meta: (inout ByteBuffer) -> Void = { _ in }
  ) {
    frameCount += 1
    let start = tail.writerIndex
    tail.writeRepeatingByte(0, count: FrameHeader.byteCount)
    meta(&tail)
    let metaLength = tail.writerIndex - start - FrameHeader.byteCount
    if let message {
      if messageLength == 8 {
        tail.writeInteger(message, endianness: .little)
      } else {
        tail.writeInteger(UInt32(message), endianness: .little)
      }
    }
    FrameHeader(
      type: type, flags: flags, stream: stream, metaLength: metaLength,
      messageLength: messageLength
    ).write(into: &tail, at: start)
  }

  /// Lets a call's message wait for its turn; one at a time.
  mutating func wait(_ id: UInt32, message: ByteBuffer, body: Body, endsStream: Bool) {
    precondition(pending[id] == nil, "a call writes one message at a time")
    let message = Pending(
      message: message, pieces: body.pieces.reversed(), bodyLeft: body.count,
      endsStream: endsStream)
    pendingBytes += message.bytesLeft
    pending[id] = message
    turns.append(id)
  }

  /// Forgets a call's message: what has left stays begun.
  mutating func drop(_ id: UInt32) {
    guard let message = pending.removeValue(forKey: id) else { return }
    pendingBytes -= message.bytesLeft
    turns.removeAll { $0 == id }
  }

  /// Writes pieces of waiting messages, the calls in turn, until `budget` bytes are ready or nothing
  /// can go.
  ///
  /// - Returns: the calls whose message has gone.
  mutating func fill(_ machine: inout ConnectionMachine, budget: Int) -> [UInt32] {
    var done: [UInt32] = []
    var stuck = 0
    while byteCount < budget, stuck < turns.count, let id = turns.popFirst() {
      guard var message = pending[id], let credit = machine.credit(id) else {
        drop(id)
        continue
      }
      pending[id] = nil
      guard writePiece(of: &message, call: id, credit: credit, &machine) else {
        pending[id] = message
        turns.append(id)
        stuck += 1
        continue
      }
      stuck = 0
      if message.isMessagePartSent && message.bodyLeft == 0 {
        done.append(id)
      } else {
        pending[id] = message
        turns.append(id)
      }
    }
    return done
  }

  /// Writes one frame of a message; false when there is too little credit.
  private mutating func writePiece(
    of pending: inout Pending, call id: UInt32, credit: UInt64, _ machine: inout ConnectionMachine
  ) -> Bool {
    guard credit >= FrameHeader.fixedCost, let remote = machine.remote else { return false }
    let largest = min(
      turns.isEmpty ? Self.pieceBytes.alone : Self.pieceBytes.shared, Int(remote.maxFramePayload))
    let wanted = min(largest, pending.message.readableBytes + pending.bodyLeft)
    let room = Int(min(credit - FrameHeader.fixedCost, UInt64(Int.max)))
    guard room >= min(wanted, Self.leastPieceBytes) else { return false }
    let count = min(wanted, room)

    var header = FrameHeader(type: pending.isMessagePartSent ? .body : .message, stream: id)
    if !pending.isMessagePartSent {
      header.flags = .message
      header.messageLength = min(count, pending.message.readableBytes)
      pending.isMessagePartSent = header.messageLength == pending.message.readableBytes
      if !pending.isMessagePartSent { header.flags.insert(.moreMessage) }
    }
    if pending.isMessagePartSent {
      header.bodyLength = min(count - header.messageLength, pending.bodyLeft)
      pending.bodyLeft -= header.bodyLength
      if pending.bodyLeft > 0 {
        header.flags.insert(.moreBody)
      } else if pending.endsStream {
        header.flags.insert(.endStream)
      }
    }
    header.write(into: &tail)
    if let part = pending.message.readSlice(length: header.messageLength) { append(part) }
    append(header.bodyLength, from: &pending.pieces)
    pendingBytes -= header.payloadLength
    machine.sent(header)
    return true
  }

  /// Moves `count` bytes from the pieces' front (which is the array's end).
  private mutating func append(_ count: Int, from pieces: inout [ByteBuffer]) {
    var left = count
    while left > 0, var piece = pieces.popLast() {
      if let slice = piece.readSlice(length: min(left, piece.readableBytes)) {
        left -= slice.readableBytes
        append(slice)
      }
      if piece.readableBytes > 0 { pieces.append(piece) }
    }
    assert(left == 0, "a body has as many bytes as it says")
  }

  private mutating func seal() {
    guard tail.readableBytes > 0 else { return }
    sealed.append(tail)
    sealedBytes += tail.readableBytes
    tail = ByteBuffer()
  }
}

extension Outbox {
  /// How a message went.
  enum Sending: Hashable {
    /// It is ready to be written.
    case sent
    /// It waits for its turn; `fill` will say when it has gone.
    case waits
    /// It is larger than the peer takes.
    case tooLarge(String)
  }

  /// What a new message is for.
  struct Purpose {
    var type: FrameType
    var call: UInt32
    var endsStream = false
    /// Whether large messages may be written now.
    var hasRoom: Bool
  }

  /// Encodes a message behind its frame's header, in place. When it can't leave whole now, it is left
  /// waiting; a CALL leaves without it, so that ids rise, and an END is left to be sent by the caller.
  ///
  /// - Throws: `SchemaError`: nothing was written.
  mutating func send<Content: Message>(
    _ content: Content, _ purpose: Purpose, _ machine: inout ConnectionMachine,
    meta: (inout ByteBuffer) -> Void
  ) throws(SchemaError) -> Sending {
    let start = tail.writerIndex
    tail.writeRepeatingByte(0, count: FrameHeader.byteCount)
    meta(&tail)
    let metaEnd = tail.writerIndex
    let body: Body
    do throws(SchemaError) {
      body = try content.encode(into: &tail)
    } catch {
      tail.moveWriterIndex(to: start)
      throw error
    }
    return place(purpose, start: start, metaEnd: metaEnd, body: body, &machine)
  }

  private mutating func place(
    _ purpose: Purpose, start: Int, metaEnd: Int, body: Body, _ machine: inout ConnectionMachine
  ) -> Sending {
    let id = purpose.call
    guard let remote = machine.remote, let credit = machine.credit(id) else {
      preconditionFailure("messages are sent in open calls")
    }
    var header = FrameHeader(
      type: purpose.type, flags: .message, stream: id,
      metaLength: metaEnd - start - FrameHeader.byteCount,
      messageLength: tail.writerIndex - metaEnd, bodyLength: body.count)
    if purpose.endsStream { header.flags.insert(.endStream) }
    if header.messageLength > remote.maxMessage || body.count > remote.maxBody {
      let size = header.messageLength > remote.maxMessage ? header.messageLength : body.count
      tail.moveWriterIndex(to: start)
      return .tooLarge("a message of \(size) bytes is more than the other side takes")
    }
    let isSmall = purpose.type != .message && header.payloadLength <= Self.leastPieceBytes
    if header.cost <= credit, header.payloadLength <= remote.maxFramePayload,
      isSmall || purpose.hasRoom && header.payloadLength <= Self.pieceBytes.alone && turns.isEmpty
    {
      header.write(into: &tail, at: start)
      for piece in body.pieces { append(piece) }
      frameCount += 1
      machine.sent(header)
      return .sent
    }
    var rest = ByteBuffer()
    if let bytes = tail.getSlice(at: metaEnd, length: header.messageLength) {
      rest.writeImmutableBuffer(bytes)
    }
    if purpose.type == .call {
      tail.moveWriterIndex(to: metaEnd)
      let opening = FrameHeader(type: .call, stream: id, metaLength: header.metaLength)
      opening.write(into: &tail, at: start)
      machine.sent(opening)
    } else {
      tail.moveWriterIndex(to: start)
    }
    wait(id, message: rest, body: body, endsStream: purpose.endsStream)
    return .waits
  }
}
