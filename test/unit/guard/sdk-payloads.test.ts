import { expect, test } from 'vitest';
import { Guard } from '../../../proxy/guard/guard.js';
import { isRefusal } from '../../../proxy/protocol/errors.js';
import { lookup } from '../../../proxy/protocol/catalogue.js';

const guard = new Guard({ profile: 'tenant', open: {}, workingDirectory: '/srv/work' });
const caller = { user: 'alice', roles: new Set(['user']) };

function refusal(method: string, params: Record<string, unknown>): unknown {
  const spec = lookup(method);
  if (spec === undefined) return `no such method: ${method}`;
  const verdict = guard.method(caller, 'alice', spec) ?? guard.params(caller, 'alice', spec, Object.keys(params), () => params);
  return isRefusal(verdict) ? verdict.message : undefined;
}

/** Every key that the SDK's client can send in both session.create and session.resume. */
const COMMON = {
  traceparent: '00-1-2-01', tracestate: 'a=b', sessionId: 's', model: 'gpt-4.1', clientName: 'app', reasoningEffort: 'high', reasoningSummary: 'auto',
  isExperimentalMode: false, contextTier: 'standard', tools: [{ name: 't', description: 'd', parameters: { type: 'object' }, overridesBuiltInTool: false, skipPermission: true, defer: 'auto', metadata: {}, isTerminal: false }],
  toolSearch: { enabled: true }, canvases: [{ id: 'c' }], requestCanvasRenderer: true, requestExtensions: false, extensionInfo: { source: 's', name: 'n' },
  canvasProvider: { id: 'p' }, commands: [{ name: 'deploy', description: 'd' }], systemMessage: { mode: 'customize', sections: { environment_context: { action: 'remove' } } },
  availableTools: ['builtin:*'], excludedTools: ['bash'], toolFilterPrecedence: 'excluded', excludedBuiltinAgents: ['x'],
  provider: { type: 'openai', baseUrl: 'https://models.example/v1', apiKey: 'k', headers: { 'x-a': 'b' }, hasBearerTokenProvider: true }, capi: { enableWebSocketResponses: false },
  providers: [{ name: 'p', baseUrl: 'https://models.example' }], models: [{ id: 'm', provider: 'p' }], enableSessionTelemetry: false, enableCitations: true,
  enableFileChangeTracking: true, sessionLimits: { maxAiCredits: 5 }, modelCapabilities: { supports: { vision: true } },
  largeOutput: { enabled: true, maxSizeBytes: 1000, outputDir: '/srv/work/alice/out' }, requestPermission: true, requestUserInput: true, requestElicitation: true,
  askUserVariant: 'default', requestMcpApps: true, githubMcpToolConfig: { disableFormDeferral: true }, requestExitPlanMode: true, requestAutoModeSwitch: true, hooks: true,
  workingDirectory: '/srv/work/alice/app', additionalDirectories: ['/srv/work/alice/lib'], streaming: true, includeSubAgentStreamingEvents: true,
  mcpServers: { docs: { type: 'http', url: 'https://tools.example/mcp', headers: { authorization: 'Bearer x' }, tools: ['*'], timeout: 5000 } },
  mcpOAuthTokenStorage: 'in-memory', authClientIdMetadataUrl: 'https://app.example/client', envValueMode: 'direct',
  customAgents: [{ name: 'a', displayName: 'A', description: 'd', tools: null, prompt: 'p', infer: true, skills: ['s'], model: 'm', reasoningEffort: 'low', mcpServers: { x: { type: 'sse', url: 'https://tools.example' } } }],
  customAgentsLocalOnly: true, defaultAgent: { excludedTools: ['t'] }, agent: 'a', enableConfigDiscovery: false, skipEmbeddingRetrieval: true,
  embeddingCacheStorage: 'in-memory', organizationCustomInstructions: 'be kind', enableOnDemandInstructionDiscovery: false, enableFileHooks: false,
  enableHostGitOperations: false, enableSessionStore: false, enableSkills: false, skillDirectories: [], pluginDirectories: [], instructionDirectories: [],
  disabledSkills: ['x'], disabledMcpServers: ['y'], infiniteSessions: { enabled: true, backgroundCompactionThreshold: 0.8 }, memory: { enabled: false },
  gitHubToken: 'gho_own', gitHubTokenProviderRegistrationId: 'r', remoteSession: 'off', featureFlags: {}, enableManagedSettings: false, managedSettings: {},
};

test('everything harmless that the SDK can send in session.create passes', () => {
  expect(refusal('session.create', COMMON)).toBeUndefined();
});

test('everything harmless that the SDK can send in session.resume passes', () => {
  const more = { disableResume: true, continuePendingWork: false, openCanvases: [], factories: [{ name: 'f' }], requestedEnvironmentVariables: [] };
  expect(refusal('session.resume', { ...COMMON, ...more })).toBeUndefined();
});

test('what the SDK sends for a session without options passes', () => {
  const bare = {
    sessionId: 's', toolFilterPrecedence: 'excluded', requestPermission: true, requestUserInput: false, requestElicitation: false, requestExitPlanMode: false,
    requestAutoModeSwitch: false, hooks: false, includeSubAgentStreamingEvents: true, envValueMode: 'direct',
  };
  expect(refusal('session.create', bare)).toBeUndefined();
});

test('what the SDK patches in its mode "empty" passes', () => {
  const patch = {
    sessionId: 's', skipCustomInstructions: true, customAgentsLocalOnly: true, coauthorEnabled: false, manageScheduleEnabled: false, installedPlugins: [], includedBuiltinSkills: [],
  };
  expect(refusal('session.options.update', patch)).toBeUndefined();
});

test('what the SDK patches on the program\'s wish passes', () => {
  const patch = { sessionId: 's', skipCustomInstructions: false, customAgentsLocalOnly: false, coauthorEnabled: true, manageScheduleEnabled: true, includedBuiltinSkills: ['review'] };
  expect(refusal('session.options.update', patch)).toBeUndefined();
});

const S = { sessionId: 's' };

test.each<[string, Record<string, unknown>]>([
  ['session.send', { ...S, traceparent: 't', tracestate: 't', prompt: 'p', source: 'user', displayPrompt: 'p', attachments: [{ type: 'blob', data: 'AA==', mimeType: 'image/png' }], mode: 'enqueue', agentMode: 'plan', requestHeaders: {}, responseFormat: { type: 'json_schema' } }],
  ['session.abort', { ...S, reason: 'user_initiated' }], ['session.getMessages', S], ['session.detach', S], ['session.destroy', S], ['session.delete', S], ['session.list', { filter: { repository: 'a/b' } }], ['session.getLastId', {}],
  ['session.getMetadata', S], ['session.getForeground', {}], ['session.setForeground', S], ['status.get', {}], ['auth.getStatus', {}], ['models.list', {}], ['ping', { message: 'm' }],
  ['session.tools.handlePendingToolCall', { ...S, requestId: 'r', result: { textResultForLlm: 'x' } }], ['session.tools.getCurrentMetadata', S], ['session.tools.set', { ...S, tools: [] }],
  ['session.permissions.handlePendingPermissionRequest', { ...S, requestId: 'r', result: { kind: 'approve-once' }, decisionContext: { outcome: 'prompted_user' } }],
  ['session.permissions.setApproveAll', { ...S, enabled: true }], ['session.permissions.setMode', { ...S, mode: 'allow-all' }], ['session.ui.elicitation', { ...S, message: 'm', requestedSchema: {} }],
  ['session.ui.handlePendingElicitation', { ...S, requestId: 'r', result: { action: 'accept' } }], ['session.ui.handlePendingUserInput', { ...S, requestId: 'r', response: {} }],
  ['session.mcp.oauth.handlePendingRequest', { ...S, requestId: 'r', result: { kind: 'token' } }], ['session.commands.handlePendingCommand', { ...S, requestId: 'r' }], ['session.commands.invoke', { ...S, name: 'compact' }],
  ['session.commands.respondToQueuedCommand', { ...S, requestId: 'r', result: { handled: true } }], ['session.eventLog.registerInterest', { ...S, eventType: 'mcp.oauth_required' }], ['session.eventLog.read', { ...S, waitMs: 10 }],
  ['session.history.compact', S], ['session.history.truncate', { ...S, eventId: 'e' }], ['session.history.rewind', { ...S, eventId: 'e', mode: 'conversation' }], ['session.model.switchTo', { ...S, modelId: 'm', reasoningEffort: 'low' }],
  ['session.model.switchAutoTier', { ...S, autoTier: null }], ['session.mode.set', { ...S, mode: 'plan' }], ['session.name.set', { ...S, name: 'n' }], ['session.plan.update', { ...S, content: 'c' }], ['session.plan.readSqlTodos', S],
  ['session.agent.select', { ...S, name: 'a' }], ['session.agent.list', S], ['session.workspaces.createFile', { ...S, path: 'a.md', content: 'c' }], ['session.workspaces.diff', { ...S, mode: 'session' }], ['session.workspaces.ensure', S],
  ['session.usage.getMetrics', S], ['session.queue.clear', S], ['session.queue.insertAt', { ...S, position: 0, message: { prompt: 'p' } }], ['session.metadata.snapshot', S], ['session.metadata.updateClientMetadata', { ...S, set: { a: 'b' } }],
  ['session.fleet.start', { ...S, prompt: 'p' }], ['session.tasks.startAgent', { ...S, agentType: 'task', prompt: 'p', name: 'n' }], ['session.provider.add', { ...S, providers: [], models: [] }], ['session.log', { ...S, message: 'm', level: 'info' }],
  ['session.factory.run', { ...S, name: 'f', args: {}, options: {} }], ['session.factory.pauseAtCheckpoint', { ...S, runId: 'r', executionToken: 'x', key: 'k' }], ['session.canvas.open', { ...S, extensionId: 'e', canvasId: 'c', instanceId: 'i' }],
  ['session.mcp.list', S], ['session.mcp.apps.callTool', { ...S, serverName: 'a', toolName: 't', arguments: {} }], ['session.skills.list', S], ['session.shutdown', S], ['session.suspend', S], ['sessions.fork', { ...S, name: 'n' }],
])('%s as SDK programs use it passes', (method, params) => {
  expect(refusal(method, params)).toBeUndefined();
});
