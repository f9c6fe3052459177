// A protoc plugin: a CodeGeneratorRequest comes in on standard input, the response goes out on
// standard output. What is wrong with the schemas is said in the response; only an input or output
// that can't be read or written fails the process.

import Foundation
import SchemaCodeGen

do {
  let request = try FileHandle.standardInput.readToEnd() ?? Data()
  let response = try CodeGenerator.respond(to: [UInt8](request))
  try FileHandle.standardOutput.write(contentsOf: Data(response))
} catch {
  try? FileHandle.standardError.write(contentsOf: Data("protoc-gen-holdfast: \(error)\n".utf8))
  exit(1)
}
