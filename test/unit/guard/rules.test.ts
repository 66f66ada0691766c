import { describe, expect, test } from 'vitest';
import { Guard, type Caller, type GuardPolicy, type OwnServers } from '../../../proxy/guard/guard.js';
import { OPENABLE_RULES, RULES } from '../../../proxy/guard/rules.js';
import { isRefusal, type Refusal } from '../../../proxy/protocol/errors.js';
import { lookup, type RuleName } from '../../../proxy/protocol/catalogue.js';

const caller: Caller = { user: 'alice', roles: new Set(['user']) };
const tenant: GuardPolicy = { profile: 'tenant', open: {}, workingDirectory: '/srv/work' };

/** A call: method and parameters. */
type Call = readonly [method: string, params?: Record<string, unknown>];

function ask(policy: GuardPolicy, [method, params = {}]: Call, servers?: OwnServers, who = caller): Refusal | undefined {
  const spec = lookup(method);
  if (spec === undefined) throw new Error(`no such method: ${method}`);
  const guard = new Guard(policy, servers);
  const refusal = guard.method(who, 'alice', spec);
  if (refusal !== undefined) return refusal;
  const verdict = guard.params(who, 'alice', spec, Object.keys(params), () => params);
  return isRefusal(verdict) ? verdict : undefined;
}

const remote = { type: 'http', url: 'https://tools.example/mcp' };
const S = { sessionId: 's' };
const permission = (kind: string): Call => ['session.permissions.handlePendingPermissionRequest', { ...S, requestId: 'r', result: { kind } }];
const slash = (name: string, input?: string): Call => ['session.commands.invoke', { ...S, name, input }];

/** For each rule: what it lets pass, and what it refuses. */
const EXAMPLES: Readonly<Record<RuleName, { allowed: readonly Call[]; refused: readonly Call[] }>> = {
  administrative: {
    allowed: [['commands.list'], ['session.mcp.reload', S]],
    refused: [['mcp.config.add', { name: 'x', config: {} }], ['user.settings.set', { settings: {} }], ['account.logout'], ['plugins.install', { source: 'x' }]],
  },
  config_directory: {
    allowed: [['session.create', { configDir: undefined }]],
    refused: [['session.create', { configDir: '/srv/work/alice' }], ['session.resume', { ...S, configDir: '/etc' }]],
  },
  config_discovery: {
    allowed: [['session.create', { enableConfigDiscovery: false, enableFileHooks: false }], ['session.options.update', { ...S, enableFileHooks: false }]],
    refused: [['session.create', { enableConfigDiscovery: true }], ['session.create', { enableFileHooks: true }], ['session.options.update', { ...S, enableFileHooks: null }], ['session.lsp.initialize', S], ['session.plugins.reload', S]],
  },
  debug_logs: { allowed: [['session.log', { ...S, message: 'm' }]], refused: [['session.debug.collectLogs', S]] },
  extensions: {
    allowed: [['session.create', { requestExtensions: false }], ['session.canvas.list', S]],
    refused: [['session.create', { requestExtensions: true }], ['session.resume', { ...S, extensionSdkPath: '/tmp/sdk' }], ['session.extensions.enable', { ...S, id: 'x' }]],
  },
  feature_flags: {
    allowed: [['session.create', { isExperimentalMode: false, featureFlags: {} }]],
    refused: [['session.create', { isExperimentalMode: true }], ['session.create', { featureFlags: { x: true } }], ['session.options.update', { ...S, sessionCapabilities: ['memory'] }], ['session.telemetry.setFeatureOverrides', S]],
  },
  github_credentials: {
    allowed: [['session.create', { gitHubToken: 'gho_own' }], ['models.list', { gitHubToken: 'gho_own' }], ['session.gitHubAuth.getStatus', S], ['auth.getStatus']],
    refused: [['account.getAllUsers'], ['models.list', { selectionId: 'x' }], ['session.gitHubAuth.getCurrentAuthInfo', S], ['session.provider.getEndpoint', S], ['session.options.update', { ...S, copilotUrl: 'https://evil.example' }]],
  },
  host_discovery: {
    allowed: [['tools.list', {}], ['session.skills.list', S], ['session.agent.list', S]],
    refused: [['hooks.discover'], ['skills.discover', { skillDirectories: ['/'] }], ['mcp.config.list'], ['user.settings.get'], ['managedSettings.read']],
  },
  host_environment: {
    allowed: [['session.create', { envValueMode: 'direct', mcpServers: { a: { ...remote, headers: { price: '5$', note: '$5' } } } }]],
    refused: [
      ['session.create', { mcpServers: { a: { ...remote, headers: { x: '${SECRET}' } } } }],
      ['session.create', { mcpServers: { a: { ...remote, url: 'https://evil.example/$SECRET' } } }],
      ['session.create', { mcpServers: { a: { ...remote, oidc: true } } }],
      ['session.create', { mcpServers: { a: { ...remote, disableSecretMasking: true } } }],
      ['session.create', { envValueMode: 'indirect' }],
      ['session.resume', { ...S, requestedEnvironmentVariables: ['HOME'] }],
      ['session.mcp.setEnvValueMode', { ...S, mode: 'indirect' }],
      ['session.mcp.startServer', { ...S, serverName: 'a', config: { ...remote, url: 'https://evil.example/${HOME}' } }],
    ],
  },
  host_paths: {
    allowed: [['sessions.delete', S], ['session.workspaces.readFile', { ...S, path: 'notes.md' }]],
    refused: [['sessions.getEventFilePath', S], ['sessions.delete', { ...S, sessionPath: '/etc' }], ['session.options.update', { ...S, trajectoryFile: '/tmp/t' }], ['session.options.update', { ...S, eventsLogDirectory: '/tmp' }]],
  },
  instruction_directories: {
    allowed: [['session.create', { instructionDirectories: [] }]],
    refused: [['session.create', { instructionDirectories: ['/srv/work/alice'] }]],
  },
  mcp_commands: {
    allowed: [
      ['session.create', { mcpServers: { a: remote, b: { type: 'sse', url: 'https://tools.example/sse', tools: ['*'] }, c: { url: 'https://tools.example' } } }],
      ['session.create', { customAgents: [{ name: 'a', prompt: 'p', mcpServers: { a: remote } }] }],
      ['session.mcp.startServer', { ...S, serverName: 'a' }],
    ],
    refused: [
      ['session.create', { mcpServers: { a: { command: 'sh' } } }],
      ['session.create', { mcpServers: { a: { type: 'local', url: 'https://x.example' } } }],
      // A server starts the command of an entry that has no type, whatever else it has.
      ['session.create', { mcpServers: { a: { url: 'https://x.example', command: 'sh' } } }],
      ['session.create', { mcpServers: { a: { ...remote, command: 'sh' } } }],
      ['session.create', { mcpServers: { a: { type: 'memory', serverInstance: {} } } }],
      ['session.create', { mcpServers: { a: { type: 'HTTP', url: 'https://x.example' } } }],
      ['session.create', { mcpServers: { a: {} } }],
      ['session.create', { customAgents: [{ name: 'a', prompt: 'p', mcpServers: { a: { command: 'sh' } } }] }],
      ['session.mcp.restartServer', { ...S, serverName: 'a', config: { command: 'sh' } }],
    ],
  },
  mcp_oauth_login: {
    allowed: [['session.mcp.oauth.handlePendingRequest', { ...S, requestId: 'r', result: { kind: 'cancelled' } }]],
    refused: [['session.mcp.oauth.login', { ...S, serverName: 'a' }]],
  },
  permissions_unrestricted: {
    allowed: [['session.permissions.setApproveAll', { ...S, enabled: true }], ['session.permissions.configure', { ...S, paths: { unrestricted: false } }]],
    refused: [['session.permissions.configure', { ...S, paths: { unrestricted: true } }], ['session.permissions.configure', { ...S, additionalContentExclusionPolicies: [{}] }]],
  },
  persisted_permissions: {
    allowed: [permission('approve-once'), permission('approve-for-session'), permission('reject'), ['session.permissions.modifyRules', { ...S, scope: 'session' }]],
    refused: [
      permission('approve-for-location'), permission('approved-for-location'), permission('approve-permanently'), permission('new-kind'),
      ['session.permissions.modifyRules', { ...S, scope: 'location' }], ['session.permissions.resetSessionApprovals', { ...S, includeLocation: true }],
      ['session.permissions.folderTrust.addTrusted', { ...S, path: '/' }], ['session.permissions.locations.addToolApproval', S],
    ],
  },
  plugin_directories: {
    allowed: [['session.options.update', { ...S, installedPlugins: [] }]],
    refused: [['session.create', { pluginDirectories: ['/p'] }], ['session.options.update', { ...S, installedPlugins: [{ name: 'p' }] }]],
  },
  providers: {
    allowed: [['session.create', { provider: { type: 'openai', baseUrl: 'https://models.example', apiKey: 'k' } }]],
    refused: [['sessionFs.setProvider', {}], ['llmInference.setProvider'], ['llmInference.httpResponseChunk'], ['registerExtensionLaunchProvider']],
  },
  remote_sessions: {
    allowed: [['session.create', { remoteSession: 'off' }]],
    refused: [['session.create', { remoteSession: 'on' }], ['session.create', { cloud: { repository: {} } }], ['session.remote.enable', S], ['session.visibility.set', S], slash('share'), slash('/remote')],
  },
  runtime_internal: {
    allowed: [['session.queue.pendingItems', S], ['session.schedule.list', S]],
    refused: [['session.queue.process', S], ['session.queue.enqueueResumePending', S], ['session.schedule.add', S], ['session.sendSystemNotification', S]],
  },
  sandbox: {
    allowed: [['session.sandbox.getEnforcementStatus', S], ['session.options.update', { ...S, enableScriptSafety: true }]],
    refused: [['session.sandbox.disableForSession', S], ['session.options.update', { ...S, sandboxConfig: { enabled: false } }], ['session.options.update', { ...S, enableScriptSafety: false }]],
  },
  shared_caches: {
    allowed: [['session.create', { memory: { enabled: false }, embeddingCacheStorage: 'in-memory' }]],
    refused: [['session.create', { memory: { enabled: true } }], ['session.create', { embeddingCacheStorage: 'persistent' }]],
  },
  shared_commands: {
    allowed: [slash('compact'), slash('deploy', 'production'), slash('every', '1h tell me the /time')],
    refused: [slash('session', 'delete-all --yes'), slash('chronicle', 'search'), slash('/SANDBOX', 'disable'), slash('every', '1h /session delete-all --yes'), ['session.commands.enqueue', { ...S, command: '/plugin install x' }], ['session.commands.execute', { ...S, commandName: ' mcp ', args: '' }]],
  },
  shared_settings: {
    allowed: [['session.model.switchTo', { ...S, modelId: 'm' }], ['session.mode.set', { ...S, mode: 'plan' }]],
    refused: [['session.model.switchTo', { ...S, modelId: 'm', pickerPersistence: { settingsContext: {} } }], ['session.model.switchTo', { ...S, repoScope: 'repo' }], ['session.mode.set', { ...S, mode: 'plan', persistPlanSelection: true }]],
  },
  shared_stores: {
    allowed: [['session.create', { enableSessionStore: false, mcpOAuthTokenStorage: 'in-memory' }]],
    refused: [['session.create', { enableSessionStore: true }], ['session.create', { mcpOAuthTokenStorage: 'persistent' }], ['session.options.update', { ...S, enableSessionStore: true }]],
  },
  shell_exec: {
    allowed: [['session.tools.handlePendingToolCall', { ...S, requestId: 'r', result: 'x' }]],
    refused: [['session.shell.exec', { ...S, command: 'id' }], ['session.shell.kill', S], ['session.shell.executeUserRequested', S]],
  },
  shell_options: {
    allowed: [['session.options.update', { ...S, logInteractiveShells: true }]],
    refused: [['session.options.update', { ...S, shell: { credentials: { gh: true } } }], ['session.options.update', { ...S, shellProcessFlags: ['-c'] }]],
  },
  single_user_server: {
    allowed: [['sessions.list'], ['sessions.bulkDelete', { sessionIds: [] }]],
    refused: [['runtime.shutdown'], ['sessions.pruneOld', { olderThanDays: 0 }], ['sessions.open', { kind: 'attach' }], ['sessions.getRemoteControlStatus'], ['agentRegistry.spawn'], ['sessions.releaseLock', S]],
  },
  skill_directories: {
    allowed: [['session.create', { skillDirectories: [], enableSkills: true }], ['session.options.update', { ...S, includedBuiltinSkills: [] }]],
    refused: [['session.create', { skillDirectories: ['/s'] }], ['session.options.update', { ...S, skillDirectories: ['/s'] }]],
  },
  slash_commands: {
    allowed: [slash('plan'), slash('model', 'gpt-4.1'), slash('my-own-command')],
    refused: [slash('add-dir', '/etc'), slash('CWD', '/etc'), slash('cd'), slash('cwd\u212a'), ['session.commands.enqueue', { ...S, command: '  /add-dir /etc' }]],
  },
  telemetry_forwarding: {
    allowed: [['session.create', { enableSessionTelemetry: true }]],
    refused: [['session.create', { enableGitHubTelemetryForwarding: true }]],
  },
  tool_execution: { allowed: [['session.tools.getCurrentMetadata', S]], refused: [['session.tools.execute', { ...S, name: 'bash' }]] },
  uncatalogued: {
    allowed: [['session.create', { model: 'm' }]],
    refused: [
      ['session.create', { managedMcpServers: {} }], ['session.send', { ...S, prompt: 'p', newOption: 1 }],
      ['session.create', { mcpServers: { a: { ...remote, sourcePath: '/x' } } }], ['session.create', { customAgents: [{ name: 'a', prompt: 'p', hooks: {} }] }],
      ['session.create', { largeOutput: { enabled: true, format: 'x' } }],
    ],
  },
  working_directory: {
    allowed: [
      ['session.create', { workingDirectory: '/srv/work/alice/app', additionalDirectories: ['/srv/work/alice/lib', '../lib'] }],
      ['session.send', { ...S, prompt: 'p', attachments: [{ type: 'file', path: '/srv/work/alice/a.txt' }, { type: 'blob', data: '' }, { type: 'github_url', url: 'https://x.example' }] }],
      ['session.create', { largeOutput: { outputDir: '/srv/work/alice/out' } }],
    ],
    refused: [
      ['session.create', { workingDirectory: '/etc' }], ['session.create', { workingDirectory: '/srv/work/alice/../bob' }], ['session.create', { workingDirectory: '/srv/work/alice2' }],
      ['session.create', { workingDirectory: '~/x' }], ['session.create', { workingDirectory: '/srv/work/alice/\0' }],
      ['session.create', { additionalDirectories: ['/srv/work'] }], ['session.create', { largeOutput: { outputDir: '/tmp' } }],
      ['session.options.update', { ...S, workingDirectory: '/' }], ['session.permissions.paths.add', { ...S, path: '/' }], ['session.permissions.paths.updatePrimary', { ...S, path: '/' }],
      ['session.permissions.configure', { ...S, paths: { additionalDirectories: ['/'] } }], ['session.metadata.setWorkingDirectory', { ...S, workingDirectory: '/' }],
      ['session.metadata.recordContextChange', { ...S, context: { cwd: '/' } }], ['session.workspaces.updateMetadata', { ...S, context: { cwd: '/' } }],
      ['session.send', { ...S, attachments: [{ type: 'file', path: '/etc/passwd' }] }], ['session.send', { ...S, attachments: [{ type: 'selection', filePath: '/etc/passwd' }] }],
      ['session.send', { ...S, attachments: [{ type: 'socket' }] }], ['session.sendMessages', { ...S, messages: [{ prompt: 'p', attachments: [{ type: 'directory', path: '/' }] }] }],
      ['session.queue.insertAt', { ...S, position: 0, message: { prompt: 'p', attachments: [{ type: 'file', path: '/x' }] } }], ['session.fleet.start', { ...S, attachments: [{ type: 'file', path: '/x' }] }],
    ],
  },
};

const named = Object.entries(EXAMPLES) as [RuleName, { allowed: readonly Call[]; refused: readonly Call[] }][];
const calls = (pick: 'allowed' | 'refused') =>
  named.flatMap(([rule, examples]) => examples[pick].map((call, index) => [rule, `${call[0]} (${index})`, call] as const));

describe('under profile tenant', () => {
  test.each(calls('allowed'))('%s lets %s pass', (_rule, _name, call) => {
    expect(ask(tenant, call)).toBeUndefined();
  });

  test.each(calls('refused'))('%s refuses %s', (rule, _name, call) => {
    expect(ask(tenant, call)?.rule).toBe(rule);
  });
});

describe('under profile trusted', () => {
  const protectsOthers = (rule: RuleName) => RULES[rule].protects === 'users';

  test.each(calls('refused').filter(([rule]) => protectsOthers(rule)))('%s still refuses %s', (rule, _name, call) => {
    expect(ask({ profile: 'trusted', open: {} }, call)?.rule).toBe(rule);
  });

  test.each(calls('refused').filter(([rule]) => !protectsOthers(rule)))('%s does not refuse %s', (rule, _name, call) => {
    expect(ask({ profile: 'trusted', open: {} }, call)?.rule).not.toBe(rule);
  });

  test('exactly the rules that protect other users are in force', () => {
    expect(Object.values(RULES).filter((rule) => rule.profiles.trusted).map((rule) => rule.name)).toEqual(
      Object.values(RULES).filter((rule) => rule.protects === 'users').map((rule) => rule.name),
    );
  });
});

describe('a rule that is opened', () => {
  test.each(calls('refused').filter(([rule]) => RULES[rule].openable))('%s for a role of the caller does not refuse %s', (rule, _name, call) => {
    expect(ask({ ...tenant, open: { user: [rule] } }, call)?.rule).not.toBe(rule);
  });

  test.each(OPENABLE_RULES)('%s for another role stays closed', (rule) => {
    const call = EXAMPLES[rule].refused[0] as Call;
    expect(ask({ ...tenant, open: { admin: [rule] } }, call)?.rule).toBe(rule);
  });

  test.each(OPENABLE_RULES)('%s for everybody is open', (rule) => {
    const call = EXAMPLES[rule].refused[0] as Call;
    expect(ask({ ...tenant, open: { '*': [rule] } }, call)?.rule).not.toBe(rule);
  });

  test.each(calls('refused').filter(([rule]) => !RULES[rule].openable))('%s cannot be opened for %s', (rule, _name, call) => {
    expect(ask({ ...tenant, open: { '*': [rule], user: [rule] } }, call)?.rule).toBe(rule);
  });
});

describe('for a user with a server of one\'s own', () => {
  const own = (user: string): OwnServers => ({ ownServer: (one) => one === user, confined: () => false });
  const confined = (user: string): OwnServers => ({ ownServer: (one) => one === user, confined: (one) => one === user });
  const refused = calls('refused');
  const effect = (rule: RuleName) => RULES[rule].own.effect;

  test.each(refused.filter(([rule]) => effect(rule) === 'opens'))('%s does not refuse %s', (rule, _name, call) => {
    expect(ask(tenant, call, own('alice'))?.rule).not.toBe(rule);
  });

  test.each(refused.filter(([rule]) => effect(rule) === 'confined'))('%s refuses %s only without a uid', (rule, _name, call) => {
    expect([ask(tenant, call, own('alice'))?.rule, ask(tenant, call, confined('alice'))?.rule === rule]).toEqual([rule, false]);
  });

  test.each(refused.filter(([rule]) => effect(rule) === 'holds'))('%s still refuses %s', (rule, _name, call) => {
    expect(ask(tenant, call, confined('alice'))?.rule).toBe(rule);
  });

  test.each(refused)('%s refuses %s to somebody with whom the session is shared', (rule, _name, call) => {
    const bob = { user: 'bob', roles: new Set(['user']) };
    expect(ask(tenant, call, confined('alice'), bob)?.rule).toBe(rule);
    expect(ask(tenant, call, confined('bob'), bob)?.rule).toBe(rule);
  });

  test.each(refused)('%s refuses %s to a service of that name', (rule, _name, call) => {
    expect(ask(tenant, call, confined('alice'), { user: 'alice', roles: new Set(['service']) })?.rule).toBe(rule);
  });

  test.each(refused)('%s refuses %s where a uid is named, and the server is shared', (rule, _name, call) => {
    expect(ask(tenant, call, { ownServer: () => false, confined: () => true })?.rule).toBe(rule);
  });

  test('what protects other users is open under profile trusted, too', () => {
    expect(ask({ profile: 'trusted', open: {} }, ['mcp.config.add', { name: 'x', config: {} }], confined('alice'))).toBeUndefined();
  });

  test('nothing opens that would reach Skyport or other users\' sessions', () => {
    const never = ['providers', 'single_user_server', 'runtime_internal', 'remote_sessions', 'working_directory', 'uncatalogued', 'host_environment', 'github_credentials'] as const;
    expect(never.map(effect)).toEqual(never.map(() => 'holds'));
  });

  test('file hooks stay as they are', () => {
    const guard = new Guard(tenant, confined('alice'));
    expect(guard.params(caller, 'alice', lookup('session.resume')!, ['sessionId'], () => S)).toEqual({});
  });

  test('a new session still gets the directory of its owner', () => {
    const guard = new Guard(tenant, confined('alice'));
    expect(guard.params(caller, 'alice', lookup('session.create')!, [], () => ({}))).toEqual({ replace: { workingDirectory: '/srv/work/alice' } });
  });
});
