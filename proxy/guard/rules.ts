/** The guard's rules. docs/security-rules.md is made from this table and the catalogue. */
import { RULE_NAMES, type RuleName } from '../protocol/method.js';

export type Profile = 'tenant' | 'trusted';

export interface Rule {
  readonly name: RuleName;
  /** What is refused. */
  readonly title: string;
  /** What could happen otherwise. */
  readonly why: string;
  /** Whom it protects: the server and its host, or the other users' sessions. */
  readonly protects: 'server' | 'users';
  /** Under which profile it refuses. */
  readonly profiles: Readonly<Record<Profile, boolean>>;
  /** False where no role can be let through: it could not work behind a proxy. */
  readonly openable: boolean;
}

type Text = Pick<Rule, 'title' | 'why'>;

/** Refused to tenants: endangers the server or its host. */
const server = (title: string, why: string) =>
  ({ title, why, protects: 'server', profiles: { tenant: true, trusted: false }, openable: true }) as const;

/** Refused under both profiles: reaches other users' sessions. */
const users = (title: string, why: string) =>
  ({ title, why, protects: 'users', profiles: { tenant: true, trusted: true }, openable: true }) as const;

const TABLE = {
  administrative: users(
    'Changing what all sessions of a server share: accounts, settings, plugins, skills and MCP servers of the host',
    'An MCP server that one user adds runs its command inside the sessions of the others; a logout or a changed setting hits everybody.',
  ),
  config_directory: server(
    'Another configuration directory (`configDir`)',
    'The server would read settings, credentials and MCP servers from a place that the client chose, and write its state there.',
  ),
  config_discovery: server(
    'Reading configuration that starts processes out of the working directory: config discovery, file hooks, repository hooks, language servers, a reload of the plugins',
    'Whoever can write a file there would have commands run as the server\'s user without any permission prompt. File hooks are on by default in the runtime, so Skyport sends `enableFileHooks: false` where the rule is in force.',
  ),
  debug_logs: server(
    'Collecting debug logs',
    'Writes archives to any path of the host; the logs are those of the whole process, other users\' sessions included.',
  ),
  extensions: server(
    'Extension processes and the path of their SDK',
    'Extensions are processes on the host.',
  ),
  feature_flags: server(
    'Feature flags, experiments, experimental mode and session capabilities',
    'They turn on behaviour that nobody has judged for a shared server.',
  ),
  github_credentials: server(
    'The GitHub accounts and tokens of the host, and another Copilot API address',
    'The answers hold tokens of the server\'s own account, and a changed address would be sent them. A `gitHubToken` of the session\'s own stays allowed.',
  ),
  host_discovery: server(
    'Listing what is installed and configured on the host: hooks, MCP servers, plugins, skills, agents, instructions, settings',
    'Shows paths, commands and configured secrets of the host to everybody, and reads directories of the client\'s choice.',
  ),
  host_environment: server(
    'The server\'s environment variables and identity: `$NAME` or `${NAME}` in a remote MCP server, indirect values, OIDC tokens, unmasked secrets',
    'The runtime replaces `$NAME` in the url and headers of a remote MCP server by variables of its own environment and sends them there (measured on 1.0.85, also with `envValueMode: direct`; the runtime holds back only its own tokens).',
  ),
  host_paths: server(
    'Paths of the host for session files, event logs and trajectories',
    'Files would be written, read or deleted outside of the session.',
  ),
  instruction_directories: server(
    'Directories of custom instructions',
    'Any file of the host could be read into a prompt.',
  ),
  mcp_commands: server(
    'MCP servers that are started by a command, in a session or in a custom agent, and MCP servers of unknown kind',
    'The command runs as the server\'s user, at once and without a permission prompt. Remote servers (`http`, `sse`) stay allowed.',
  ),
  mcp_oauth_login: server(
    'An OAuth login that the server itself carries out',
    'Opens a browser and a listening port on the server\'s host. Logins that the client carries out (`mcp.oauth.handlePendingRequest`) stay allowed.',
  ),
  permissions_unrestricted: server(
    'Lifting path checks and content exclusion as a whole',
    'The built-in tools would read and write all of the host\'s files unasked.',
  ),
  persisted_permissions: users(
    'Approvals that outlive the session: for a location, for ever, trusted folders',
    'They are stored in the server\'s home and approve tools in the sessions of other users.',
  ),
  plugin_directories: server(
    'Plugin directories and lists of installed plugins',
    'Plugins bring commands, hooks and MCP servers that run on the host.',
  ),
  providers: {
    title: 'Becoming the provider of session files, inference or extension launches of a whole server',
    why: 'There is one such provider for all sessions of a server: it would see every user\'s files, prompts and keys.',
    protects: 'users', profiles: { tenant: true, trusted: true }, openable: false,
  },
  remote_sessions: server(
    'Cloud sessions, export and steering over GitHub, sharing',
    'They go out with the server\'s GitHub account and publish what the session holds.',
  ),
  runtime_internal: server(
    'Methods that the runtime keeps for its own parts',
    'They skip checks and change the queue and the schedule behind Skyport\'s back.',
  ),
  sandbox: server(
    'Changing or leaving the sandbox, and switching off script safety',
    'The sandbox is the operator\'s.',
  ),
  shared_caches: server(
    'Memory across sessions and a persistent embedding cache',
    'Both belong to the server\'s account or disk: what one user\'s session leaves there is found by another\'s.',
  ),
  shared_commands: users(
    'Slash commands that reach other sessions: /session, /chronicle, /blame, /subconscious, /memory, /sandbox, /mcp, /plugin',
    '/session deletes any session of the server, /chronicle searches all of them, the others change settings that all sessions share.',
  ),
  shared_settings: users(
    'Storing a model or plan choice as the default of the server',
    'It becomes the default of every other user.',
  ),
  shared_stores: users(
    'The session store across sessions and MCP OAuth tokens in the key chain',
    'The store gives the model a tool that reads the histories of all sessions of the server; a stored token serves the next user who names the same MCP server.',
  ),
  shell_exec: server(
    'Shell commands without a model (`session.shell.*`)',
    'They run as the server\'s user without a permission prompt.',
  ),
  shell_options: server(
    'Options of the built-in shell: start-up scripts, flags, credentials',
    'Scripts are paths of the host; credentials put the server\'s GitHub token into the environment of every command.',
  ),
  single_user_server: {
    title: 'Methods that make sense only for somebody who has a server to himself: runtime.shutdown, sessions.open, pruning, remote control, spawning servers',
    why: 'They stop the service, delete or take over other users\' sessions, or make sessions that Skyport cannot see.',
    protects: 'users', profiles: { tenant: true, trusted: true }, openable: false,
  },
  skill_directories: server(
    'Skill directories',
    'Any directory of the host could be read into a prompt, and skills may bring scripts.',
  ),
  slash_commands: server(
    'Slash commands that reach the host: /add-dir, /cwd, /skills, /computer and those that only a terminal has',
    'They change directories, settings and programs without the checks that the same parameters have. Other commands, also the client\'s own, stay allowed.',
  ),
  telemetry_forwarding: server(
    'Forwarding of GitHub telemetry (`enableGitHubTelemetryForwarding`)',
    'The server forwards events of all its sessions.',
  ),
  tool_execution: server(
    'Running a tool directly (`session.tools.execute`)',
    'Built-in tools run on the host; through a model they are at least part of a recorded turn.',
  ),
  uncatalogued: server(
    'Parameters that the catalogue does not know',
    'What a newer runtime understands and nobody has judged is refused until somebody has.',
  ),
  working_directory: server(
    'Directories and files outside of `<fleet.working_directory>/<user>`, or any at all where that is not configured',
    'The session\'s tools would work on other users\' files and on the host\'s. A session that is created without a directory gets the user\'s.',
  ),
} as const satisfies Record<RuleName, Text & Omit<Rule, 'name'>>;

export const RULES: Readonly<Record<RuleName, Rule>> = Object.fromEntries(
  RULE_NAMES.map((name) => [name, { name, ...TABLE[name] }]),
) as Record<RuleName, Rule>;

/** The names that an operator may write under `guard.open`. */
export const OPENABLE_RULES: readonly RuleName[] = RULE_NAMES.filter((name) => RULES[name].openable);
