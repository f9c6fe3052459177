// The tests' build and the fuzzers' alone can see inside a room; any other build leaves this out.
#if DEBUG || FUZZING
  import NIOCore

  @testable import RPC

  /// Feeds the frame decoder any bytes, at once and in pieces: both ways it says the same, keeps no more
  /// than a frame's parts, and what it takes comes back the same from its own encoding.
  ///
  /// The input's first byte says whether a good preface goes ahead (1) and whether the limits are the
  /// least ones (2); the second how many bytes follow that are the lengths of pieces, in turn. The rest
  /// is what the peer sends.
  ///
  /// - Parameter input: any bytes.
  public func decodeFrames(_ input: [UInt8]) {
    guard input.count > 2 else { return }
    var settings = PeerSettings()
    if input[0] & 2 != 0 {
      settings.maxFramePayload = 16_384
      settings.maxMeta = 1_024
    }
    let lengths = input.dropFirst(2).prefix(Int(input[1])).map(Int.init)
    var sent = input[0] & 1 != 0 ? settings.preface : ByteBuffer()
    sent.writeBytes(input.dropFirst(2 + lengths.count))
    let whole = Decoded(sent, settings, lengths: [sent.readableBytes])
    precondition(Decoded(sent, settings, lengths: lengths) == whole, "pieces change what came in")
    precondition(Decoded(sent, settings, lengths: [1]) == whole, "bytes change what came in")
    let again = Decoded(whole.encoded, settings, lengths: [whole.encoded.readableBytes])
    precondition(again.failure == nil && again.events == whole.events, "another encoding")
    for case .frame(let header, let meta, _) in whole.events { checkMeta(meta, of: header) }
  }

  /// What a decoder made of bytes.
  private struct Decoded: Equatable {
    /// With the pieces of a body put together.
    private(set) var events: [FrameDecoder.Event] = []
    private(set) var failure: ConnectionFailure?
    private let settings: PeerSettings
    /// What is left of the last frame's body.
    private var bodyLeft = 0

    init(_ bytes: ByteBuffer, _ settings: PeerSettings, lengths: [Int]) {
      self.settings = settings
      var decoder = FrameDecoder(settings: settings)
      var bytes = bytes
      var turn = 0
      while bytes.readableBytes > 0, failure == nil {
        let length = lengths.isEmpty ? bytes.readableBytes : max(lengths[turn % lengths.count], 1)
        turn += 1
        guard let piece = bytes.readSlice(length: min(length, bytes.readableBytes)) else { return }
        // A copy of its own, as pieces have that come from a socket.
        decoder.feed(ByteBuffer(bytes: piece.readableBytesView))
        do throws(ConnectionFailure) {
          while let event = try decoder.next() { add(event) }
          checkMemory(of: decoder)
        } catch {
          failure = error
        }
      }
    }

    private func checkMemory(of decoder: FrameDecoder) {
      guard let gathered = decoder.gathered else { return }
      let most = max(
        Preface.fixedLength + Preface.maxSettingsLength, Int(settings.maxFramePayload))
      precondition(gathered.readableBytes < most, "more is kept than a preface or a frame's parts")
      precondition(
        gathered.storageCapacity <= max(4 * gathered.readableBytes, 2_048),
        "memory is taken for what hasn't come")
    }

    private mutating func add(_ event: FrameDecoder.Event) {
      switch event {
      case .preface: precondition(events.isEmpty, "a preface comes once and first")
      case .frame(let header, let meta, let message):
        precondition(bodyLeft == 0, "a frame inside a body")
        precondition(header.violation == nil, "a frame that breaks a rule")
        precondition(header.payloadLength <= settings.maxFramePayload, "a frame over its limit")
        precondition(header.metaLength <= settings.maxMeta, "meta over its limit")
        precondition(
          meta.readableBytes == header.metaLength && message.readableBytes == header.messageLength,
          "parts that aren't whole")
        bodyLeft = header.bodyLength
      case .body(let bytes, let isLast):
        precondition(bytes.readableBytes > 0, "an empty piece of a body")
        bodyLeft -= bytes.readableBytes
        precondition(bodyLeft >= 0 && isLast == (bodyLeft == 0), "a body of another length")
        if case .body(var before, false)? = events.last {
          before.writeImmutableBuffer(bytes)
          events[events.count - 1] = .body(before, isLast: isLast)
          return
        }
      }
      events.append(event)
    }

    /// The bytes that say the same.
    var encoded: ByteBuffer {
      var buffer = ByteBuffer()
      for event in events {
        switch event {
        case .preface(let settings): buffer.writeImmutableBuffer(settings.preface)
        case .frame(let header, let meta, let message):
          header.write(into: &buffer)
          buffer.writeImmutableBuffer(meta)
          buffer.writeImmutableBuffer(message)
        case .body(let bytes, _): buffer.writeImmutableBuffer(bytes)
        }
      }
      return buffer
    }
  }

  /// What a frame's meta says comes back the same from its own encoding.
  private func checkMeta(_ meta: ByteBuffer, of header: FrameHeader) {
    var again = ByteBuffer()
    switch header.type {
    case .call:
      guard let opening = try? CallOpening(decoding: meta) else { return }
      opening.encode(into: &again)
      precondition((try? CallOpening(decoding: again)) == opening, "another opening")
    case .head:
      guard let metadata = try? Metadata(decodingHead: meta) else { return }
      metadata.encode(into: &again, field: 1)
      precondition((try? Metadata(decodingHead: again)) == metadata, "other metadata")
    default:
      guard let ending = try? CallEnding(decoding: meta) else { return }
      ending.encode(into: &again)
      precondition((try? CallEnding(decoding: again)) == ending, "another ending")
      _ = ErrorDetails.decode(ending.details)
    }
  }
#endif
