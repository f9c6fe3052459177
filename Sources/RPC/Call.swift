/// One call on one side of a connection.
final class Call: Sendable {
}
