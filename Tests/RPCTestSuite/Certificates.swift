internal import Foundation

/// Certificates for tests, made by the `openssl` command in a directory of their own.
package struct Certificates: Sendable {
  /// A certificate and its key.
  package struct Pair: Sendable {
    /// The path of the certificate.
    package let certificate: String
    /// The path of its key.
    package let key: String
  }

  /// `openssl` couldn't do it.
  package struct Failure: Error {
    /// What it was asked for.
    package let arguments: [String]
  }

  private let root: String
  private let authorityPair: Pair

  /// The authority's certificate.
  package var authority: String { authorityPair.certificate }

  /// Makes a directory and an authority in it.
  package init() throws {
    root =
      FileManager.default.temporaryDirectory
      .appendingPathComponent("holdfast-certificates-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    authorityPair = Pair(certificate: root + "/ca.pem", key: root + "/ca.key")
    try openssl(
      ["req", "-x509"] + Self.newKey
        + [
          "-keyout", authorityPair.key, "-out", authority, "-days", "2", "-subj", "/CN=authority",
        ])
  }

  /// Makes a certificate of the authority for these names, such as `DNS:localhost`; one that is valid for
  /// less than no days has expired.
  package func issue(
    _ name: String, for subject: String = "DNS:localhost,IP:127.0.0.1", days: Int = 2
  ) throws -> Pair {
    let stem = root + "/" + name
    let pair = Pair(certificate: stem + ".pem", key: stem + ".key")
    try Data("subjectAltName=\(subject)\n".utf8).write(to: URL(fileURLWithPath: stem + ".ext"))
    try openssl(
      ["req"] + Self.newKey + ["-keyout", pair.key, "-out", stem + ".csr", "-subj", "/CN=\(name)"])
    try openssl([
      "x509", "-req", "-in", stem + ".csr", "-CA", authority, "-CAkey", authorityPair.key,
      "-CAcreateserial", "-days", "\(days)", "-out", pair.certificate, "-extfile", stem + ".ext",
    ])
    return pair
  }

  /// Removes the directory.
  package func remove() {
    try? FileManager.default.removeItem(atPath: root)
  }

  private static let newKey = [
    "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
  ]

  private func openssl(_ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["openssl"] + arguments
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Failure(arguments: arguments) }
  }
}
