package import RPC
import Schema
import Synchronization

/// The ticker's server: shares are traded in memory, each order at the price it names.
package final class Exchange: TickerService {
  /// Prices of each share in the order in which they were paid.
  private let prices = Mutex<[String: [UInt64]]>([:])

  /// An exchange where nothing was traded yet.
  package init() {}

  package func getQuote(
    _ request: GetQuoteRequest, context: CallContext
  ) async throws -> GetQuoteResponse {
    GetQuoteResponse(
      quote: Quote(symbol: request.symbol, cents: try prices(of: request.symbol).last ?? 0))
  }

  package func watchQuotes(
    _ request: WatchQuotesRequest, responses: MessageWriter<WatchQuotesResponse>,
    context: CallContext
  ) async throws {
    for cents in try prices(of: request.symbol) {
      try await responses.write(
        WatchQuotesResponse(quote: Quote(symbol: request.symbol, cents: cents)))
    }
  }

  package func recordTrades(
    _ requests: MessageReader<RecordTradesRequest>, context: CallContext
  ) async throws -> RecordTradesResponse {
    var count: UInt64 = 0
    for try await request in requests {
      try record(request.trade)
      count += 1
    }
    return RecordTradesResponse(count: count)
  }

  package func trade(
    _ requests: MessageReader<TradeRequest>, responses: MessageWriter<TradeResponse>,
    context: CallContext
  ) async throws {
    for try await request in requests {
      let cents: UInt64
      switch request.offer {
      case .bid(let most): cents = most
      case .ask(let least): cents = least
      case nil: throw RPCError(.invalidArgument, "an order has a bid or an ask")
      }
      let quote = Quote(symbol: request.symbol, cents: cents)
      try record(quote)
      try await responses.write(TradeResponse(trade: quote))
    }
  }

  package func getChart(
    _ request: GetChartRequest, context: CallContext
  ) async throws -> GetChartResponse {
    let prices = try prices(of: request.symbol)
    let highest = max(prices.max() ?? 1, 1)
    // A row for each price: as many bright pixels as it has percent of the highest.
    let pixels = prices.flatMap { price in
      (0..<100).map { UInt8($0 < Int(price * 100 / highest) ? 255 : 0) }
    }
    return GetChartResponse(width: 100, height: UInt32(prices.count), pixels: Body(pixels))
  }

  private func record(_ trade: Quote?) throws {
    guard let trade, !trade.symbol.isEmpty else {
      throw RPCError(.invalidArgument, "a trade has a symbol")
    }
    prices.withLock { $0[trade.symbol, default: []].append(trade.cents) }
  }

  private func prices(of symbol: String) throws -> [UInt64] {
    let prices = prices.withLock { $0[symbol] }
    guard let prices else { throw RPCError(.notFound, "'\(symbol)' was never traded") }
    return prices
  }
}
