// A protoc plugin: a CodeGeneratorRequest comes in on standard input, the response goes out on
// standard output. What is wrong with the schemas is said in the response; only an input or output
// that can't be read or written fails the process.
//
// With the parameter `output=c` it hands the request on to protoc-gen-c, adapted to what that takes.

import Foundation
import SchemaCodeGen

/// Runs protoc-gen-c.
func generateC(_ request: [UInt8]) throws -> [UInt8] {
  let process = Process()
  process.executableURL = URL(filePath: "/usr/bin/env")
  process.arguments = ["protoc-gen-c"]
  let input = Pipe()
  let output = Pipe()
  process.standardInput = input
  process.standardOutput = output
  try process.run()
  // It reads all of its input before it writes.
  try input.fileHandleForWriting.write(contentsOf: Data(try CRequest.adapted(request)))
  try input.fileHandleForWriting.close()
  let response = try output.fileHandleForReading.readToEnd() ?? Data()
  process.waitUntilExit()
  guard process.terminationStatus == 0 else {
    throw GeneratorFailure(
      description: "protoc-gen-c failed: is protobuf-c-compiler installed? (see above)")
  }
  return try CRequest.answer([UInt8](response))
}

/// Why nothing was generated.
struct GeneratorFailure: Error, CustomStringConvertible {
  let description: String
}

do {
  let request = [UInt8](try FileHandle.standardInput.readToEnd() ?? Data())
  let isForC = (try? CRequest.isFor(request)) ?? false
  let response = isForC ? try generateC(request) : try CodeGenerator.respond(to: request)
  try FileHandle.standardOutput.write(contentsOf: Data(response))
} catch {
  try? FileHandle.standardError.write(contentsOf: Data("protoc-gen-holdfast: \(error)\n".utf8))
  exit(1)
}
