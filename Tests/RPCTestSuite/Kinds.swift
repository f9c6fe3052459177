internal import NIOCore
internal import RPC
internal import Schema
internal import StoreProtocol

/// Calls of every kind with the echo messages, and what the server does with them. The request's
/// payload says what.
struct Kinds: Sendable {
  /// Where the calls go.
  let channel: any CallChannel

  static let unary = method("Unary", .unary)
  static let clientStreaming = method("ClientStreaming", .clientStreaming)
  static let serverStreaming = method("ServerStreaming", .serverStreaming)
  static let bidirectional = method("Bidirectional", .bidirectional)
  /// The unary method, as one that may be called more than once.
  static let idempotent = Method<EchoRequest, EchoResponse>(
    service: unary.service, name: unary.name, kind: .unary, isIdempotent: true)
  /// Nobody serves it.
  static let absent = method("Absent", .unary)

  private static func method(_ name: String, _ kind: CallKind) -> Method<EchoRequest, EchoResponse>
  {
    Method(service: "holdfast.test.Kinds", name: name, kind: kind)
  }

  /// A detail of a type that the caller doesn't know.
  static let stranger = Google_Protobuf_Any(typeURL: "x/test.Stranger", value: [8, 1])

  /// A failure that isn't a call's.
  struct Foreign: Error {}

  /// The methods; what happens in them is told by `signals`.
  static func router(_ signals: Signals) -> Router {
    var router = Router()
    router.unary(unary) { request, context in
      try await answer(request, context, signals)
    }
    router.clientStreaming(clientStreaming) { requests, _ in
      var count = 0
      var bytes = 0
      while let request = try await requests.next() {
        count += 1
        bytes += request.payload.count + request.data.count
        if request.payload == Array("enough".utf8) { break }
      }
      return EchoResponse(payload: Array("\(count) \(bytes)".utf8))
    }
    router.serverStreaming(serverStreaming) { request, responses, context in
      let text = String(decoding: request.payload, as: UTF8.self)
      if text == "flood" {
        try await flood(responses, request.data, signals)
        return
      }
      try context.setResponseMetadata(["kind": "stream"])
      for number in 0..<(Int(text) ?? 0) {
        try await responses.write(
          EchoResponse(payload: Array("\(number)".utf8), data: request.data))
      }
      try context.setTrailingMetadata(["done": "yes"])
    }
    router.bidirectional(bidirectional) { requests, responses, _ in
      for try await request in requests {
        if request.payload == Array("stop".utf8) { return }
        try await responses.write(EchoResponse(payload: request.payload, data: request.data))
      }
    }
    return router
  }

  private static func answer(
    _ request: EchoRequest, _ context: CallContext, _ signals: Signals
  ) async throws -> EchoResponse {
    // Only what is short can be a word: repairing megabytes that are no text would hold the loop for
    // seconds, as the test library looks at every error that is thrown on the way.
    switch request.payload.count <= 32 ? String(decoding: request.payload, as: UTF8.self) : "" {
    case "metadata":
      try context.setResponseMetadata(["got": context.metadata["ask"] ?? "nothing"])
      var trailing = Metadata()
      trailing.entries.append(Metadata.Entry(key: "raw-bin", value: [0, 255, 10]))
      try context.setTrailingMetadata(trailing)
      return EchoResponse()
    case "error":
      throw RPCError(.notFound, "no such thing", metadata: ["where": "here"], details: [stranger])
        .with(Google_Rpc_RetryInfo(retryDelay: Google_Protobuf_Duration(seconds: 3)))
        .with(EchoRequest(payload: [7]))
    case "verbose":
      // More than a frame's meta can hold, in every part.
      let text = String(repeating: "ä", count: 100_000)
      var error = RPCError(.aborted, text, metadata: ["x": String(repeating: "y", count: 60_000)])
      for _ in 0..<100 { error = error.with(Google_Rpc_DebugInfo(detail: "\(text.prefix(500))")) }
      throw error
    case "foreign": throw Foreign()
    case "flaky", "push", "busy", "no more":
      return try attempt(String(decoding: request.payload, as: UTF8.self), context)
    case "hang":
      guard context.metadata["previous-attempts"] == nil else {
        return EchoResponse(payload: Array("second".utf8))
      }
      await withTaskCancellationHandler {
        await signals.wait("first cancelled")
      } onCancel: {
        signals.send("first cancelled")
      }
      throw CancellationError()
    case "wait":
      signals.send("waits")
      await withTaskCancellationHandler {
        await signals.wait("cancelled")
      } onCancel: {
        signals.send("cancelled")
      }
      try Task.checkCancellation()
      return EchoResponse(payload: Array("waited".utf8))
    case "hold":
      signals.send("holds")
      await signals.wait("release")
      return EchoResponse(payload: Array("held".utf8))
    case "time":
      let left = context.timeLeft.map { "\($0 > .zero && $0 <= .seconds(60))" }
      return EchoResponse(payload: Array((left ?? "none").utf8))
    default: return EchoResponse(payload: request.payload, data: request.data)
    }
  }

  /// Fails unless two attempts came before; tells by the failure's message how many did.
  private static func attempt(_ text: String, _ context: CallContext) throws -> EchoResponse {
    let previous = context.metadata["previous-attempts"] ?? "0"
    if previous == "2" { return EchoResponse(payload: Array("third".utf8)) }
    let failure = RPCError(.unavailable, previous)
    let second = Google_Protobuf_Duration(nanos: 1_000)
    switch text {
    case "push": throw failure.with(Google_Rpc_RetryInfo(retryDelay: second))
    case "busy":
      throw failure.with(Google_Rpc_RetryInfo(retryDelay: Google_Protobuf_Duration(seconds: 60)))
    case "no more":
      throw failure.with(Google_Rpc_RetryInfo(retryDelay: Google_Protobuf_Duration(seconds: -1)))
    default: throw failure
    }
  }

  /// Writes the same body until nobody takes it.
  private static func flood(
    _ responses: MessageWriter<EchoResponse>, _ data: Body, _ signals: Signals
  ) async throws {
    var count = 0
    while count < 10_000 {
      if count == 3 { signals.send("floods") }
      do {
        try await responses.write(EchoResponse(data: data))
      } catch {
        signals.send("flood over")
        throw error
      }
      count += 1
    }
    signals.send("flooded")
  }

  /// A unary call's whole answer.
  func call(
    _ text: String, _ data: Body = Body(), options: CallOptions = CallOptions(),
    method: Method<EchoRequest, EchoResponse> = Kinds.unary
  ) async throws -> UnaryResponse<EchoResponse> {
    try await channel.unary(
      method, EchoRequest(payload: Array(text.utf8), data: data), options: options)
  }
}

extension UnaryResponse where Response == EchoResponse {
  /// The payload as text.
  var text: String { String(decoding: message.payload, as: UTF8.self) }
}

extension Body {
  /// `count` bytes that differ from place to place.
  static func pattern(_ count: Int) -> Body {
    var body = Body()
    while body.count < count {
      let length = min(count - body.count, Body.tile.readableBytes)
      body.append(Body.tile.getSlice(at: 0, length: length) ?? Body.tile)
    }
    return body
  }

  /// Whether the bytes are the same; fast also where the compiler doesn't optimize.
  func isSame(as other: Body) -> Bool {
    count == other.count && contiguous == other.contiguous
  }

  /// Some bytes; a prime number of them, so that they repeat out of step with everything.
  private static let tile: ByteBuffer = {
    var buffer = ByteBuffer()
    var word: UInt64 = 1
    while buffer.readableBytes < 65_537 {
      word = word &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      buffer.writeInteger(word)
    }
    return buffer.getSlice(at: 0, length: 65_537) ?? buffer
  }()
}
