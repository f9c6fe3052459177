import PackagePlugin
@main struct GenerateSchemas: CommandPlugin {
  func performCommand(context: PluginContext, arguments: [String]) async throws {}
}
