/** Which parameters are looked at, and by which rule. What is not named here passes if catalogued. */
import { refuse } from '../protocol/errors.js';
import type { MethodSpec, RuleName } from '../protocol/method.js';
import {
  idle, invalid, isFields, list, off, only, place, record, refuseParameter, workingPlace, type Ask, type Check, type Fields, type Verdict,
} from './check.js';
import { mcpServer, mcpServers } from './mcp-servers.js';
import { COMMAND_RULES, commandRule } from './slash-commands.js';

const context = record({ cwd: place, gitRoot: place });

/** A file or directory is read on the server's host; the other kinds bring their content along. */
const attachment: Check = {
  rules: ['working_directory'],
  judge(value, ask, path): Verdict {
    if (!isFields(value)) return invalid(ask, path, 'an object');
    const { type } = value;
    if (type === 'file' || type === 'directory') return record({ path: place }).judge(value, ask, path);
    if (type === 'selection') return record({ filePath: place }).judge(value, ask, path);
    if (type === 'blob' || type === 'extension_context') return undefined;
    if (typeof type === 'string' && /^github_[a-z_]+$/.test(type)) return undefined;
    return refuseParameter(ask, path, 'working_directory', 'is of an unknown type');
  },
};
const attachments = list(attachment);

const customAgent = record(
  { mcpServers },
  'name displayName description tools prompt infer skills model reasoningEffort',
);

/** Decisions on a permission prompt that end with the session at the latest. */
const DECISIONS = new Set([
  'approve-once', 'approve-for-session', 'approved', 'approved-for-session', 'reject', 'user-not-available', 'cancelled',
  'denied-by-rules', 'denied-no-approval-rule-and-could-not-request-from-user', 'denied-interactively-by-user',
  'denied-by-content-exclusion-policy', 'denied-by-permission-request-hook',
]);

const decision: Check = {
  rules: ['persisted_permissions'],
  judge(value, ask, path): Verdict {
    if (!isFields(value)) return invalid(ask, path, 'an object');
    const { kind } = value;
    if (typeof kind !== 'string') return invalid(ask, `${path}.kind`, 'a string');
    // The very object that was judged is sent: a second `kind` in it would be a second decision.
    return DECISIONS.has(kind) ? { value } : refuseParameter(ask, `${path}.kind`, 'persisted_permissions', 'would outlive the session');
  },
};

/** A slash command by its name, or by its whole line. `input` is read along with it where it has one. */
const command: Check = {
  rules: COMMAND_RULES,
  judge(value, ask, path): Verdict {
    if (typeof value !== 'string') return invalid(ask, path, 'a string');
    return judgeCommand(commandRule(value), ask);
  },
};

const commandInput: Check = {
  rules: COMMAND_RULES,
  judge(value, ask, path): Verdict {
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'string') return invalid(ask, path, 'a string');
    // Only a scheduling command reads commands in its input; judged so, whatever the name is.
    return judgeCommand(commandRule('every', value), ask);
  },
};

function judgeCommand(rule: RuleName | undefined, ask: Ask): Verdict {
  if (rule === undefined || !ask.closed(rule)) return undefined;
  return refuse('SKYPORT_PARAMETER_REFUSED', `This slash command is refused by ${ask.method} (rule ${rule})`, rule);
}

/** What session.create, session.resume and session.options.update have in common. */
const SETUP = {
  workingDirectory: workingPlace,
  envValueMode: only('host_environment', 'direct'),
  skillDirectories: idle('skill_directories'),
  featureFlags: idle('feature_flags'),
  isExperimentalMode: idle('feature_flags'),
  enableFileHooks: off('config_discovery'),
  enableSessionStore: idle('shared_stores'),
} as const;

const ATTACH = {
  ...SETUP,
  additionalDirectories: list(place),
  largeOutput: record({ outputDir: place }, 'enabled maxSizeBytes'),
  configDir: idle('config_directory'),
  enableConfigDiscovery: idle('config_discovery'),
  pluginDirectories: idle('plugin_directories'),
  instructionDirectories: idle('instruction_directories'),
  mcpServers,
  customAgents: list(customAgent),
  requestExtensions: idle('extensions'),
  extensionSdkPath: idle('extensions'),
  expAssignments: idle('feature_flags'),
  mcpOAuthTokenStorage: only('shared_stores', 'in-memory'),
  embeddingCacheStorage: only('shared_caches', 'in-memory'),
  memory: record({ enabled: idle('shared_caches') }),
  enableGitHubTelemetryForwarding: idle('telemetry_forwarding'),
  remoteSession: only('remote_sessions', 'off'),
} as const;

const PARAMETERS: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  'session.create': { ...ATTACH, cloud: idle('remote_sessions') },
  'session.resume': { ...ATTACH, requestedEnvironmentVariables: idle('host_environment') },
  'session.options.update': {
    ...SETUP,
    sessionCapabilities: idle('feature_flags'),
    copilotUrl: idle('github_credentials'),
    shell: idle('shell_options'),
    shellInitProfile: idle('shell_options'),
    shellProcessFlags: idle('shell_options'),
    enableScriptSafety: only('sandbox', true),
    sandboxConfig: idle('sandbox'),
    sandboxConfigSource: idle('sandbox'),
    installedPlugins: idle('plugin_directories'),
    trajectoryFile: idle('host_paths'),
    eventsLogDirectory: idle('host_paths'),
  },
  'session.send': { attachments },
  'session.sendMessages': { messages: list(record({ attachments })) },
  'session.fleet.start': { attachments },
  'session.queue.insertAt': { message: record({ attachments }) },
  'session.extensions.sendAttachmentsToMessage': { attachments },
  'session.commands.invoke': { name: command, input: commandInput },
  'session.commands.execute': { commandName: command, args: commandInput },
  'session.commands.enqueue': { command },
  'session.mcp.startServer': { config: mcpServer },
  'session.mcp.restartServer': { config: mcpServer },
  'session.mcp.reloadWithConfig': { config: idle('mcp_commands') },
  'session.mcp.registerExternalClient': { config: idle('mcp_commands') },
  'session.model.switchTo': {
    pickerPersistence: idle('shared_settings'),
    repoScope: idle('shared_settings'),
    modelChangeScope: idle('shared_settings'),
  },
  'session.mode.set': {
    persistPlanSelection: idle('shared_settings'),
    pickerSettingsContext: idle('shared_settings'),
  },
  'session.permissions.configure': {
    paths: record(
      { unrestricted: idle('permissions_unrestricted'), additionalDirectories: list(place), workspacePath: place },
      'includeTempDirectory',
    ),
    additionalContentExclusionPolicies: idle('permissions_unrestricted'),
  },
  'session.permissions.handlePendingPermissionRequest': { result: decision },
  'session.permissions.modifyRules': { scope: only('persisted_permissions', 'session') },
  'session.permissions.resetSessionApprovals': { includeLocation: idle('persisted_permissions') },
  'session.permissions.paths.add': { path: place },
  'session.permissions.paths.updatePrimary': { path: place },
  'session.metadata.setWorkingDirectory': { workingDirectory: workingPlace },
  'session.metadata.recordContextChange': { context },
  'session.workspaces.ensure': { context },
  'session.workspaces.updateMetadata': { context },
  'sessions.delete': { sessionPath: idle('host_paths') },
  'models.list': { selectionId: idle('github_credentials') },
};

/**
 * Values that are sent where a client names none, because what the server then does is what a rule refuses.
 * Measured on 1.0.85: without `enableFileHooks` it runs the commands in `.github/hooks/` of the working
 * directory, unasked; without `workingDirectory` a new session works in the server's own directory.
 * Not on resume: a session remembers its directory, live and cold, and one given there moves it.
 */
export function impliedBy(spec: MethodSpec, ask: Ask): Fields {
  const implied: Fields = {};
  if (spec.life !== 'create' && spec.life !== 'resume') return implied;
  if (ask.closed('config_discovery')) implied['enableFileHooks'] = false;
  if (spec.life === 'create' && ask.home !== undefined) implied['workingDirectory'] = ask.home;
  return implied;
}

const BY_METHOD: ReadonlyMap<string, Readonly<Record<string, Check>>> = new Map(Object.entries(PARAMETERS));

/** The checks of a method by parameter; undefined when none of its parameters is looked at. */
export function checksOf(method: string): Readonly<Record<string, Check>> | undefined {
  return BY_METHOD.get(method);
}

/** Every method with checks, for the documentation. */
export const CHECKED_METHODS: readonly string[] = Object.keys(PARAMETERS);

