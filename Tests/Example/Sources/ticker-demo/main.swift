// Serves the exchange on a free port of this machine and calls every method of it.

import RPC
import RPCNIO
import Ticker

let transport = NIOTransport()
let time = SystemTimeSource()
let server = RPCServer(
  router: Router([Exchange()]), transport: transport, address: Address("127.0.0.1:0"), time: time)

try await withThrowingTaskGroup(of: Void.self) { group in
  group.addTask { try await server.run() }
  try await withChannel(
    to: try await server.listeningAddress, transport: transport, time: time,
    random: SystemRandomSource()
  ) { channel in
    try await callEverything(TickerClient(channel))
  }
  server.shutdown()
}

@Sendable
func callEverything(_ ticker: TickerClient) async throws {
  let recorded = try await ticker.recordTrades { trades in
    for cents in [1000, 1100, 900] as [UInt64] {
      try await trades.write(RecordTradesRequest(trade: Quote(symbol: "ACME", cents: cents)))
    }
  }
  print("recorded \(recorded.count) trades")

  let quote = try await ticker.getQuote(GetQuoteRequest(symbol: "ACME")).quote
  print("ACME is at \(quote?.cents ?? 0) cents")

  let bought = try await ticker.trade { orders, trades in
    try await orders.write(TradeRequest(symbol: "ACME", offer: .bid(1200)))
    let first = try await trades.next()?.trade?.cents
    try await orders.finish()
    return first
  }
  print("bought at \(bought ?? 0)")

  let history = try await ticker.watchQuotes(WatchQuotesRequest(symbol: "ACME")) { quotes in
    var cents: [UInt64] = []
    while let next = try await quotes.next() { cents.append(next.quote?.cents ?? 0) }
    return cents
  }
  print("its prices were \(history)")

  let chart = try await ticker.getChart(GetChartRequest(symbol: "ACME"))
  print("a chart of \(chart.width) x \(chart.height) pixels came in \(chart.pixels.count) bytes")

  do {
    _ = try await ticker.getQuote(GetQuoteRequest(symbol: "NONE"))
  } catch let error as RPCError where error.code == .notFound {
    print("refused: \(error.message)")
  }
}
