import Foundation
import NIOCore
import NIOPosix
import RPC
import RPCNIO
import Schema
import StoreProtocol
import Testing

/// The exchanges of `Protos/vectors`, which the harness in C plays, too.
@Suite("A server on a socket answers the vectors")
struct VectorTests {
  @Test("byte by byte as they say", .timeLimit(.minutes(2)), arguments: ["calls", "errors"])
  func vectors(_ file: String) async throws {
    let exchanges = try Exchange.all(in: file)
    #expect(exchanges.count > 20)
    var router = Router()
    router.bidirectional(NodeMethods.echo) { requests, responses, _ in
      for try await request in requests {
        try await responses.write(EchoResponse(payload: request.payload, data: request.data))
      }
    }
    router.unary(NodeMethods.statChunk) { _, _ in StatChunkResponse() }
    let server = RPCServer(
      router: router, transport: NIOTransport(), address: Address("127.0.0.1:0"),
      time: SystemTimeSource())
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      let port = try #require(Endpoint(try await server.listeningAddress).port)
      for exchange in exchanges {
        do {
          try await exchange.play(port: port)
        } catch {
          Issue.record("\(exchange.name): \(error)")
        }
      }
      server.shutdown(grace: .zero)
      try await group.waitForAll()
    }
  }
}

/// What is sent to a server, and what must come.
private struct Exchange {
  enum Step {
    case send([UInt8])
    case expect([UInt8])
    case expectError
    case expectClosed
  }

  var name: String
  var steps: [Step] = []

  private static let preface: [UInt8] =
    [0x89, 0x48, 0x46, 0x52, 0x50, 0x43, 0x0d, 0x0a, 1, 1, 0, 0, 0, 0, 0, 0]

  /// Reads a file of `Protos/vectors`.
  static func all(in file: String) throws -> [Exchange] {
    let root = URL(filePath: #filePath).appending(path: "../../..").standardized
    let text = try String(
      contentsOf: root.appending(path: "Protos/vectors/\(file).txt"), encoding: .utf8)
    var exchanges: [Exchange] = []
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      if line.hasPrefix("= ") {
        exchanges.append(Exchange(name: String(line.dropFirst(2))))
      } else if !exchanges.isEmpty {
        exchanges[exchanges.count - 1].add(line)
      }
    }
    return exchanges
  }

  /// Adds a line's step; lines of bytes in a row are one.
  private mutating func add(_ line: Substring) {
    let words = line.prefix { $0 != "#" }.split(separator: " ")
    let bytes = words.dropFirst().flatMap(Exchange.bytes(of:))
    switch (words.first, steps.last) {
    case (">", .send(let before)?): steps[steps.count - 1] = .send(before + bytes)
    case (">", _): steps.append(.send(bytes))
    case ("<", .expect(let before)?): steps[steps.count - 1] = .expect(before + bytes)
    case ("<", _): steps.append(.expect(bytes))
    case ("!", _): steps.append(.expectError)
    default: steps.append(.expectClosed)
    }
  }

  /// The bytes that a word stands for.
  private static func bytes(of word: Substring) -> [UInt8] {
    if word == "preface" { return preface }
    let parts = word.split(separator: "*")
    guard let byte = parts.first.flatMap({ UInt8($0, radix: 16) }) else { return [] }
    return Array(repeating: byte, count: parts.count > 1 ? Int(parts[1]) ?? 0 : 1)
  }

  /// Plays it on a connection of its own; one that isn't closed at the end must still be of use.
  func play(port: Int) async throws {
    let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .connect(host: "127.0.0.1", port: port) { channel in
        channel.eventLoop.makeCompletedFuture {
          try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
        }
      }
    try await channel.executeThenClose { inbound, outbound in
      var peer = Peer(bytes: inbound.makeAsyncIterator())
      let question = Array("are you?".utf8)
      let header: [UInt8] = [8, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0]
      var answer = header
      answer[9] = 0x10
      var steps = steps
      if case .expectError? = steps.last {
        steps.append(.expectClosed)
      } else if case .expectClosed? = steps.last {
        // It is of no more use.
      } else {
        steps += [.send(header + question), .expect(answer + question)]
      }
      for step in steps {
        switch step {
        // The server may have closed before all of it was sent.
        case .send(let bytes): try? await outbound.write(ByteBuffer(bytes: bytes))
        case .expect(let bytes): try await peer.expect(bytes)
        case .expectError: try await peer.expectError()
        case .expectClosed: while try await peer.more() {}
        }
      }
    }
  }
}

/// What comes from the server.
private struct Peer {
  /// A frame, whole.
  struct Frame: Equatable {
    var type: UInt8
    var flags: UInt8
    var stream: UInt32
    /// The status of an END or ERROR.
    var code: UInt32?
    var message: [UInt8]
    var body: [UInt8]
  }

  struct Mismatch: Error, CustomStringConvertible {
    var description: String
  }

  var bytes: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
  private var received = ByteBuffer()
  private var hasPreface = false

  init(bytes: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator) {
    self.bytes = bytes
  }

  /// The next frames must be these.
  mutating func expect(_ bytes: [UInt8]) async throws {
    var expected = ByteBuffer(bytes: bytes)
    while let frame = try Peer.frame(in: &expected) {
      let found = try await next()
      guard found == frame else {
        throw Mismatch(description: "\(found.map { "\($0)" } ?? "its end") instead of \(frame)")
      }
    }
  }

  /// An ERROR must come, and nothing after it.
  mutating func expectError() async throws {
    var last: Frame?
    while let frame = try await next() { last = frame }
    guard last?.type == 11, let code = last?.code, code != 0 else {
      throw Mismatch(description: "\(last.map { "\($0)" } ?? "nothing") instead of an ERROR")
    }
  }

  /// Takes in more bytes; false when there are none because the connection was closed.
  mutating func more() async throws -> Bool {
    guard let piece = try? await bytes.next(isolation: #isolation) else { return false }
    received.writeImmutableBuffer(piece)
    return true
  }

  /// The next frame, past those that may come at any time; nil at the end.
  private mutating func next() async throws -> Frame? {
    while true {
      let start = received.readerIndex
      if !hasPreface,
        let length: UInt32 = received.getInteger(at: start + 12, endianness: .little)
      {
        hasPreface = received.readSlice(length: 16 + Int(length)) != nil
      }
      if hasPreface, let frame = try Peer.frame(in: &received) {
        let isItsOwn = frame.type == 7 || frame.type == 2 || (frame.type == 8 && frame.flags == 0)
        if !isItsOwn { return frame }
        continue
      }
      guard try await more() else { return nil }
    }
  }

  /// Takes a frame off the bytes, when it is whole.
  private static func frame(in bytes: inout ByteBuffer) throws -> Frame? {
    var text = bytes
    guard
      let (payload, stream, type, flags) = text.readMultipleIntegers(
        endianness: .little, as: (UInt32, UInt32, UInt8, UInt8).self),
      let (metaLength, messageLength) = text.readMultipleIntegers(
        endianness: .little, as: (UInt16, UInt32).self),
      var parts = text.readSlice(length: Int(payload)),
      let meta = parts.readBytes(length: Int(metaLength)),
      let message = parts.readBytes(length: Int(messageLength))
    else { return nil }
    bytes = text
    let isEnding = type == 5 || type == 11
    return Frame(
      type: type, flags: flags, stream: stream,
      code: isEnding ? try EndMeta(encodedBytes: meta).code : nil, message: message,
      body: Array(parts.readableBytesView))
  }
}
