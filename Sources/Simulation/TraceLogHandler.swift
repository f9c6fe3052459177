package import Logging

/// Puts what a service logs into the trace.
package struct TraceLogHandler: LogHandler {
  /// What every line of this logger carries; not shown.
  package var metadata: Logger.Metadata = [:]
  /// Below this nothing is noted.
  package var logLevel: Logger.Level = .info

  private let source: String
  private let trace: Trace

  /// Notes lines as those of `source`.
  package init(source: String, trace: Trace) {
    self.source = source
    self.trace = trace
  }

  /// One piece of metadata.
  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  /// Notes a line: its message and its own metadata, by key.
  package func log(event: LogEvent) {
    let details = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map {
      " \($0.key)=\($0.value)"
    }
    trace.note(source, "\(event.level): \(event.message)\(details.joined())")
  }
}
