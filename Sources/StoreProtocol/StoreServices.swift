public import RPC
public import Schema

/// What is compiled in: for programs that look methods and messages up by name.
public enum StoreServices {
  /// Every service of the store.
  public static let all: [ServiceDescription] = [DirectoryMethods.service, NodeMethods.service]

  /// Every schema that the services are made of, each once, imported ones first.
  public static let files = FileSchema.closure(of: [.holdfastV1Directory, .holdfastV1Node])
}
