// The tests' build and the fuzzers' alone can see inside a room; any other build leaves this out.
#if DEBUG || FUZZING
  import NIOCore

  @testable import RPC

  extension ConnectionRun {
    /// Zeros, for the parts of frames.
    private static let zeros = ByteBuffer(repeating: 0, count: 16_384)
    private static let lengths = [0, 1, 64, 1_000, 4_000, 8_000, 15_000, 16_000]

    /// A frame comes from the peer, or more of its last one's body.
    mutating func receive() throws(ConnectionFailure) {
      guard bodyLeft == 0 else {
        let count = min(bodyLeft, 1 << input.below(16))
        bodyLeft -= count
        guard let bytes = Self.zeros.getSlice(at: 0, length: count) else { return }
        perform(try machine.received(.body(bytes, isLast: bodyLeft == 0), now: now))
        return
      }
      let (header, meta, message) = frame()
      guard header.violation == nil, header.payloadLength <= machine.local.maxFramePayload else {
        return  // The decoder, which has a fuzzer of its own, lets none of these through.
      }
      bodyLeft = header.bodyLength
      perform(try machine.received(.frame(header, meta: meta, message: message), now: now))
    }

    private mutating func frame() -> (FrameHeader, meta: ByteBuffer, message: ByteBuffer) {
      let type = FrameType.allCases[input.below(FrameType.allCases.count)]
      let flags = FrameFlags(rawValue: input.byte()).intersection(type.allowedFlags)
      var header = FrameHeader(type: type, flags: flags, stream: stream(of: type))
      var message = ByteBuffer()
      switch type {
      case .window: message.writeInteger(window(of: header.stream), endianness: .little)
      case .ping: message.writeInteger(ping(), endianness: .little)
      case .goAway: message.writeInteger(lastServed(), endianness: .little)
      case .call, .message, .end, .body:
        let length = Self.lengths[input.below(Self.lengths.count)]
        let isMessage = type != .body && flags.contains(.message)
        message = Self.zeros.getSlice(at: 0, length: isMessage ? length : 0) ?? message
        let canHaveBody = type == .body || isMessage && !flags.contains(.moreMessage)
        header.bodyLength = canHaveBody ? Self.lengths[input.below(Self.lengths.count)] : 0
      default: break
      }
      header.messageLength = message.readableBytes
      let meta = meta(of: type)
      header.metaLength = meta.readableBytes
      return (header, meta, message)
    }

    private mutating func stream(of type: FrameType) -> UInt32 {
      switch type {
      case .ping, .goAway, .settings, .error: return 0
      default: break
      }
      let choice = input.byte()
      switch choice {
      case 255: return UInt32(truncatingIfNeeded: input.number())
      case 254: return 0
      case 128..<254 where machine.lastID < .max - 2:
        return machine.lastID + (machine.lastID == 0 ? 1 : 2)
      default: return 1 + 2 * UInt32(choice % 16)
      }
    }

    private mutating func window(of stream: UInt32) -> UInt64 {
      let choice = input.byte()
      guard choice != 255 else { return input.number() }
      let limit = stream == 0 ? machine.outgoing.limit : machine.calls[stream]?.outgoing.limit
      return (limit ?? 0).addingReportingOverflow(UInt64(choice) << 8).partialValue
    }

    private mutating func ping() -> UInt64 {
      switch input.below(3) {
      case 0: ConnectionMachine.drainPing
      case 1: now.nanoseconds | 1 << 63
      default: input.number()
      }
    }

    private mutating func lastServed() -> UInt32 {
      switch input.below(3) {
      case 0: ConnectionMachine.drainAnnouncement
      case 1: machine.lastID
      default: UInt32(1 + 2 * input.below(16))
      }
    }

    private mutating func meta(of type: FrameType) -> ByteBuffer {
      var meta = ByteBuffer()
      switch type {
      case .call, .head, .end, .cancel, .goAway, .error, .refuse: break
      default: return meta
      }
      switch input.below(4) {
      case 0: meta.writeBytes(input.bytes(input.below(24)))
      case 1 where type == .call:
        CallOpening(method: "/a.B/none").encode(into: &meta)
      case 2 where type == .call:
        CallOpening(methodID: UInt32(input.byte())).encode(into: &meta)
      default:
        if type == .call {
          CallOpening(method: "/a.B/C", methodID: UInt32(input.below(4))).encode(into: &meta)
        } else if type != .head {
          CallEnding(code: input.flag() ? .ok : .aborted, message: "so").encode(into: &meta)
        }
      }
      return meta
    }
  }
#endif
