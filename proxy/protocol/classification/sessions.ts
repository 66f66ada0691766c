/** Methods that make, find, list and end sessions. */
import { fanout, local, never, onAny, onSession, type MethodSpec } from '../method.js';

/** What both session.create and session.resume take; one line a purpose. */
const CREATE = [
  'traceparent tracestate clientName model reasoningEffort reasoningSummary contextTier modelCapabilities capi',
  'provider providers models streaming includeSubAgentStreamingEvents sessionLimits infiniteSessions largeOutput',
  'systemMessage organizationCustomInstructions skipEmbeddingRetrieval embeddingCacheStorage memory toolSearch',
  'tools availableTools excludedTools toolFilterPrecedence excludedBuiltinAgents commands canvases',
  'requestCanvasRenderer canvasProvider requestExtensions extensionInfo extensionSdkPath',
  'requestPermission requestUserInput requestElicitation requestMcpApps requestExitPlanMode requestAutoModeSwitch',
  'askUserVariant hooks mcpServers disabledMcpServers mcpOAuthTokenStorage authClientIdMetadataUrl envValueMode',
  'githubMcpToolConfig customAgents customAgentsLocalOnly defaultAgent agent enableSkills skillDirectories',
  'disabledSkills pluginDirectories instructionDirectories enableOnDemandInstructionDiscovery configDir',
  'enableConfigDiscovery enableFileHooks enableHostGitOperations enableSessionStore enableSessionTelemetry',
  'enableCitations enableFileChangeTracking enableGitHubTelemetryForwarding workingDirectory additionalDirectories',
  'gitHubToken gitHubTokenProviderRegistrationId remoteSession isExperimentalMode featureFlags expAssignments',
  'enableManagedSettings managedSettings',
].join(' ');

const RESUME = ' factories disableResume continuePendingWork openCanvases requestedEnvironmentVariables';

export const SESSIONS: readonly MethodSpec[] = [
  // On the wire but not in the schema. Parameters: what the SDKs send (1.0.14 and 0.3.0).
  onSession('session.create', CREATE + ' cloud', { order: 'write', life: 'create', registers: 'sessionId' }),
  onSession('session.resume', CREATE + RESUME, { order: 'write', life: 'resume' }),
  fanout('session.list', 'filter', { resultIds: ['sessions[].sessionId'] }),
  onSession('session.delete', '', { order: 'write', life: 'delete' }),
  onSession('session.destroy', '', { order: 'write', life: 'destroy', unknownSession: 'destroyed' }),
  onSession('session.detach', '', { order: 'write', life: 'detach', unknownSession: 'detached' }),
  fanout('session.getLastId', '', { resultIds: ['sessionId'] }),
  onSession('session.getMetadata', '', { unknownSession: 'empty', resultIds: ['session.sessionId'] }),
  onSession('session.getMessages'),
  // A headless server answers {} and {"success":false,"error":"Not running in TUI+server mode -
  // cannot set foreground session X"}.
  local('session.getForeground'),
  local('session.setForeground', 'sessionId'),
  // {"version","protocolVersion"} of the backend, which its link knows.
  local('status.get'),
  onAny('auth.getStatus'),
  never('sessions.open', 'single_user_server'),
  onSession('sessions.fork', 'name toEventId', { order: 'write', registers: 'sessionId', resultIds: ['sessionId'] }),
  never('sessions.connect', 'single_user_server'),
  fanout('sessions.list',
    'filter includeDetached metadataLimit source throwOnError',
    { resultIds: ['sessions[].remoteSessionIds[]', 'sessions[].sessionId'] },
  ),
  onSession('sessions.getMetadata', '', { unknownSession: 'empty', resultIds: ['session.sessionId'] }),
  fanout('sessions.getClientMetadata', 'keys sessionIds', { ids: ['sessionIds[]'], resultIds: ['[].sessionId'] }),
  onSession('sessions.readPersistedEvents', 'cursor direction max'),
  fanout('sessions.listNonEmptySessionIds', 'limit', { resultIds: ['sessionIds[]'] }),
  fanout('sessions.findByTaskId', 'taskId', { resultIds: ['sessionId'] }),
  fanout('sessions.findByPrefix', 'prefix', { resultIds: ['sessionId'] }),
  fanout('sessions.getLastForContext', 'context', { resultIds: ['sessionId'] }),
  onSession('sessions.getEventFilePath', '', { rules: ['host_paths'] }),
  fanout('sessions.getSizes', '', { resultIds: ['sizes{}'] }),
  fanout('sessions.checkInUse', 'sessionIds', { ids: ['sessionIds[]'], resultIds: ['inUse[]'] }),
  onSession('sessions.getPersistedRemoteSteerable'),
  onSession('sessions.close', '', { order: 'write', life: 'close' }),
  fanout('sessions.bulkDelete', 'sessionIds', { ids: ['sessionIds[]'], resultIds: ['freedBytes{}'] }),
  onSession('sessions.delete', 'sessionPath', { order: 'write', life: 'delete' }),
  never('sessions.pruneOld', 'single_user_server'),
  onSession('sessions.save'),
  never('sessions.releaseLock', 'single_user_server'),
  fanout('sessions.enrichMetadata', 'sessions', { ids: ['sessions[].sessionId'], resultIds: ['sessions[].sessionId'] }),
  onSession('sessions.reloadPluginHooks', 'deferRepoHooks', { rules: ['config_discovery'] }),
  onSession('sessions.loadDeferredRepoHooks', '', { rules: ['config_discovery'] }),
  never('sessions.setAdditionalPlugins', 'single_user_server'),
  onSession('sessions.getBoardEntryCount'),
  never('sessions.startRemoteControl', 'single_user_server'),
  never('sessions.transferRemoteControl', 'single_user_server'),
  never('sessions.setRemoteControlSteering', 'single_user_server'),
  never('sessions.stopRemoteControl', 'single_user_server'),
  never('sessions.getRemoteControlStatus', 'single_user_server'),
  never('sessions.configureSessionExtensions', 'single_user_server'),
];
