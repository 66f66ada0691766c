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
  /** What becomes of it for a user with a server of his own. */
  readonly own: OwnServer;
}

/**
 * Whether a rule holds for a user on his own sessions, where nobody else uses their server.
 *   opens     it does not: what it refuses touches only the server's process and home
 *   confined  it does not where the server runs as a uid of its own: what it refuses is done as the server's uid,
 *             and without one that is Skyport's, which can read the store and the homes of all users
 *   holds     it does: what it refuses reaches further than the server, or belongs to the operator
 */
export interface OwnServer {
  readonly effect: 'opens' | 'confined' | 'holds';
  readonly why: string;
}

type Text = Pick<Rule, 'title' | 'why'>;

const opens = (why: string): OwnServer => ({ effect: 'opens', why });
const confined = (why: string): OwnServer => ({ effect: 'confined', why });
const holds = (why: string): OwnServer => ({ effect: 'holds', why });

/** Refused to tenants: endangers the server or its host. */
const server = (title: string, why: string, own: OwnServer) =>
  ({ title, why, own, protects: 'server', profiles: { tenant: true, trusted: false }, openable: true }) as const;

/** Refused under both profiles: reaches other users' sessions. */
const users = (title: string, why: string, own: OwnServer) =>
  ({ title, why, own, protects: 'users', profiles: { tenant: true, trusted: true }, openable: true }) as const;

const TABLE = {
  administrative: users(
    'Changing what all sessions of a server share: accounts, settings, plugins, skills and MCP servers of the host',
    'An MCP server that one user adds runs its command inside the sessions of the others; a logout or a changed setting hits everybody.',
    confined('The accounts, settings, plugins and MCP servers of the server\'s own home serve no other user. Their commands run as the server\'s uid, unasked.'),
  ),
  config_directory: server(
    'Another configuration directory (`configDir`)',
    'The server would read settings, credentials and MCP servers from a place that the client chose, and write its state there.',
    confined('The server reads and writes there what its uid may.'),
  ),
  config_discovery: server(
    'Reading configuration that starts processes out of the working directory: config discovery, file hooks, repository hooks, language servers, a reload of the plugins',
    'Whoever can write a file there would have commands run as the server\'s user without any permission prompt. File hooks are on by default in the runtime, so Skyport sends `enableFileHooks: false` where the rule is in force.',
    confined('The commands run as the server\'s uid, in the user\'s own sessions only.'),
  ),
  debug_logs: server(
    'Collecting debug logs',
    'Writes archives to any path of the host; the logs are those of the whole process, other users\' sessions included.',
    confined('They are the logs of the user\'s own server, and go where its uid may write.'),
  ),
  extensions: server(
    'Extension processes and the path of their SDK',
    'Extensions are processes on the host.',
    confined('The processes run as the server\'s uid.'),
  ),
  feature_flags: server(
    'Feature flags, experiments, experimental mode and session capabilities',
    'They turn on behaviour that nobody has judged for a shared server.',
    confined('What they turn on nobody has judged, but it happens in a process that only this user has, as its uid.'),
  ),
  github_credentials: server(
    'The GitHub accounts and tokens of the host, and another Copilot API address',
    'The answers hold tokens of the server\'s own account, and a changed address would be sent them. A `gitHubToken` of the session\'s own stays allowed.',
    holds('The account may be the operator\'s, and the same one on the servers of many users.'),
  ),
  host_discovery: server(
    'Listing what is installed and configured on the host: hooks, MCP servers, plugins, skills, agents, instructions, settings',
    'Shows paths, commands and configured secrets of the host to everybody, and reads directories of the client\'s choice.',
    confined('It shows what the server\'s own home has, and directories that its uid may read.'),
  ),
  host_environment: server(
    'The server\'s environment variables and identity: `$NAME` or `${NAME}` in a remote MCP server, indirect values, OIDC tokens, unmasked secrets',
    'The runtime replaces `$NAME` in the url and headers of a remote MCP server by variables of its own environment and sends them there (measured on 1.0.85, also with `envValueMode: direct`; the runtime holds back only its own tokens).',
    holds('The environment holds what the operator has given to all servers, such as the key of a model provider.'),
  ),
  host_paths: server(
    'Paths of the host for session files, event logs and trajectories',
    'Files would be written, read or deleted outside of the session.',
    confined('The files are those that the server\'s uid may read, write and delete. Histories that Skyport keeps are not among them.'),
  ),
  instruction_directories: server(
    'Directories of custom instructions',
    'Any file of the host could be read into a prompt.',
    confined('The files are those that the server\'s uid may read.'),
  ),
  mcp_commands: server(
    'MCP servers that are started by a command, in a session or in a custom agent, and MCP servers of unknown kind',
    'The command runs as the server\'s user, at once and without a permission prompt. Remote servers (`http`, `sse`) stay allowed.',
    confined('The command runs as the server\'s uid, for the user\'s own sessions only.'),
  ),
  mcp_oauth_login: server(
    'An OAuth login that the server itself carries out',
    'Opens a browser and a listening port on the server\'s host. Logins that the client carries out (`mcp.oauth.handlePendingRequest`) stay allowed.',
    holds('The port and the browser are the host\'s, which the servers of all users share.'),
  ),
  permissions_unrestricted: server(
    'Lifting path checks and content exclusion as a whole',
    'The built-in tools would read and write all of the host\'s files unasked.',
    confined('The files are those that the server\'s uid may read and write.'),
  ),
  persisted_permissions: users(
    'Approvals that outlive the session: for a location, for ever, trusted folders',
    'They are stored in the server\'s home and approve tools in the sessions of other users.',
    confined('They are stored in the user\'s own home. What lies in a trusted folder may be run, as the server\'s uid.'),
  ),
  plugin_directories: server(
    'Plugin directories and lists of installed plugins',
    'Plugins bring commands, hooks and MCP servers that run on the host.',
    confined('What plugins bring runs as the server\'s uid.'),
  ),
  providers: {
    title: 'Becoming the provider of session files, inference or extension launches of a whole server',
    why: 'There is one such provider for all sessions of a server: it would see every user\'s files, prompts and keys.',
    protects: 'users', profiles: { tenant: true, trusted: true }, openable: false,
    own: holds('Skyport itself is the provider of session files, of this server, too; and the provider of inference is handed prompts and keys.'),
  },
  remote_sessions: server(
    'Cloud sessions, export and steering over GitHub, sharing',
    'They go out with the server\'s GitHub account and publish what the session holds.',
    holds('They are a way to the session past Skyport and its owners, and may use the operator\'s account.'),
  ),
  runtime_internal: server(
    'Methods that the runtime keeps for its own parts',
    'They skip checks and change the queue and the schedule behind Skyport\'s back.',
    holds('They would have Skyport believe what has not happened: its turns, queues and histories are told by events.'),
  ),
  sandbox: server(
    'Changing or leaving the sandbox, and switching off script safety',
    'The sandbox is the operator\'s.',
    holds('The sandbox is the operator\'s, whoever uses the server.'),
  ),
  shared_caches: server(
    'Memory across sessions and a persistent embedding cache',
    'Both belong to the server\'s account or disk: what one user\'s session leaves there is found by another\'s.',
    holds('Memory may lie in the GitHub account, and that may be the same one on the servers of many users.'),
  ),
  shared_commands: users(
    'Slash commands that reach other sessions: /session, /chronicle, /blame, /subconscious, /memory, /sandbox, /mcp, /plugin',
    '/session deletes any session of the server, /chronicle searches all of them, the others change settings that all sessions share.',
    holds('Some of them would delete sessions behind Skyport\'s back, leave the operator\'s sandbox, or use memory in an account that others have, too.'),
  ),
  shared_settings: users(
    'Storing a model or plan choice as the default of the server',
    'It becomes the default of every other user.',
    opens('It becomes the default of nobody else.'),
  ),
  shared_stores: users(
    'The session store across sessions and MCP OAuth tokens in the key chain',
    'The store gives the model a tool that reads the histories of all sessions of the server; a stored token serves the next user who names the same MCP server.',
    confined('The store has the sessions of this user only. The key chain is one of the server\'s uid.'),
  ),
  shell_exec: server(
    'Shell commands without a model (`session.shell.*`)',
    'They run as the server\'s user without a permission prompt.',
    confined('They run as the server\'s uid.'),
  ),
  shell_options: server(
    'Options of the built-in shell: start-up scripts, flags, credentials',
    'Scripts are paths of the host; credentials put the server\'s GitHub token into the environment of every command.',
    holds('The GitHub token may be the operator\'s.'),
  ),
  single_user_server: {
    title: 'Methods that make sense only for somebody who has a server to himself: runtime.shutdown, sessions.open, pruning, remote control, spawning servers',
    why: 'They stop the service, delete or take over other users\' sessions, or make sessions that Skyport cannot see.',
    protects: 'users', profiles: { tenant: true, trusted: true }, openable: false,
    own: holds('Skyport starts and stops the server, and knows each of its sessions.'),
  },
  skill_directories: server(
    'Skill directories',
    'Any directory of the host could be read into a prompt, and skills may bring scripts.',
    confined('The files are those that the server\'s uid may read, and scripts run as it.'),
  ),
  slash_commands: server(
    'Slash commands that reach the host: /add-dir, /cwd, /skills, /computer and those that only a terminal has',
    'They change directories, settings and programs without the checks that the same parameters have. Other commands, also the client\'s own, stay allowed.',
    holds('Some of them end the server, or change directories without the checks that Skyport needs.'),
  ),
  telemetry_forwarding: server(
    'Forwarding of GitHub telemetry (`enableGitHubTelemetryForwarding`)',
    'The server forwards events of all its sessions.',
    holds('It is asked for in `connect`, which any server may answer.'),
  ),
  tool_execution: server(
    'Running a tool directly (`session.tools.execute`)',
    'Built-in tools run on the host; through a model they are at least part of a recorded turn.',
    confined('The tool runs as the server\'s uid.'),
  ),
  uncatalogued: server(
    'Parameters that the catalogue does not know',
    'What a newer runtime understands and nobody has judged is refused until somebody has.',
    holds('Nobody has judged it, whoever uses the server.'),
  ),
  working_directory: server(
    'Directories and files outside of `<fleet.working_directory>/<user>`, or any at all where that is not configured',
    'The session\'s tools would work on other users\' files and on the host\'s. A session that is created without a directory gets the user\'s.',
    holds('Skyport makes the directories of new sessions itself, and it may be root.'),
  ),
} as const satisfies Record<RuleName, Text & Omit<Rule, 'name'>>;

export const RULES: Readonly<Record<RuleName, Rule>> = Object.fromEntries(
  RULE_NAMES.map((name) => [name, { name, ...TABLE[name] }]),
) as Record<RuleName, Rule>;

/** The names that an operator may write under `guard.open`. */
export const OPENABLE_RULES: readonly RuleName[] = RULE_NAMES.filter((name) => RULES[name].openable);
