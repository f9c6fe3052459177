import Foundation
import GRDB
import StoreModel

/// Columns of a row, whatever they hold: what isn't of the wanted type or range is an error.
///
/// GRDB's own subscripts with a type stop the process there, and one flipped bit of the file is enough
/// for a number to read as NULL. So nothing else in this module decodes a column.
extension Row {
  /// What times are believed, in microseconds: differences of two of them don't overflow.
  static let times: ClosedRange<Int64> = -(1 << 61)...(1 << 61)
  /// What counts of chunks, bytes, names and versions are believed: a few of them can be added up.
  static let counts: ClosedRange<Int64> = 0...(1 << 61)
  /// What upload ids are believed: blocks of them can be reserved behind each.
  static let uploads: ClosedRange<Int64> = 1...(1 << 61)

  /// A whole number.
  ///
  /// - Parameters:
  ///   - column: which, from 0.
  ///   - range: the numbers that make sense.
  ///   - subject: what the row is, for people.
  /// - Returns: the number, which is in the range.
  /// - Throws: `StoreError.dataLoss` that names row and column.
  func integer(
    _ column: Int, in range: ClosedRange<Int64> = Int64.min...Int64.max,
    of subject: @autoclosure () -> String
  ) throws(StoreError) -> Int64 {
    guard case .int64(let number) = stored(column), range.contains(number) else {
      throw damaged(column, of: subject())
    }
    return number
  }

  /// A whole number, or nil where there is NULL.
  func optionalInteger(
    _ column: Int, in range: ClosedRange<Int64> = Int64.min...Int64.max,
    of subject: @autoclosure () -> String
  ) throws(StoreError) -> Int64? {
    if case .null = stored(column) { return nil }
    return try integer(column, in: range, of: subject())
  }

  /// A text.
  func text(_ column: Int, of subject: @autoclosure () -> String) throws(StoreError) -> String {
    guard case .string(let text) = stored(column) else { throw damaged(column, of: subject()) }
    return text
  }

  /// Bytes.
  func bytes(_ column: Int, of subject: @autoclosure () -> String) throws(StoreError) -> [UInt8] {
    guard case .blob(let bytes) = stored(column) else { throw damaged(column, of: subject()) }
    return Array(bytes)
  }

  /// Bytes, or nil where there is NULL.
  func optionalBytes(
    _ column: Int, of subject: @autoclosure () -> String
  ) throws(StoreError) -> [UInt8]? {
    if case .null = stored(column) { return nil }
    return try bytes(column, of: subject())
  }

  /// The value as it stands there: the only decoding that takes every type.
  private func stored(_ column: Int) -> DatabaseValue.Storage {
    (self[column] as DatabaseValue).storage
  }

  private func damaged(_ column: Int, of subject: String) -> StoreError {
    let found =
      switch stored(column) {
      case .null: "NULL"
      case .int64(let number): "\(number)"
      case .double(let number): "\(number)"
      case .string: "a text"
      case .blob(let bytes): "\(bytes.count) bytes"
      }
    let name = columnNames.dropFirst(column).first ?? "\(column)"
    return .damaged("\(subject) has \(found) as its \(name)")
  }
}

extension StoreError {
  /// What was read from the database can't be what was written there.
  ///
  /// - Parameter what: where the damage is and what it looks like, as a clause.
  /// - Returns: the error, which says what to do.
  static func damaged(_ what: String) -> StoreError {
    StoreError(
      .dataLoss,
      "the Directory's database is damaged: \(what); restore the database from a backup")
  }

  /// The same error; damage is told with what was asked for.
  ///
  /// - Parameter action: what was to be done to which name, such as "read 'a'".
  /// - Returns: the error for the caller.
  func whileTrying(to action: @autoclosure () -> String) -> StoreError {
    code == .dataLoss ? StoreError(code, "can't \(action()): \(message)") : self
  }
}
