import { join } from 'node:path';
import { z } from 'zod';
import { BACKEND_NAME, BACKEND_NAME_ALLOWED } from './names.js';
import {
  address, backendUrl, duration, flag, origin, path, redisNode, redisUrl, role, secret, sharedRole, sharedUser, size, user, whole,
} from './values.js';

/**
 * Every key of the configuration with its default, unit and meaning: the one source of what
 * `loadConfig` accepts, of docs/configuration.md and of skyport.schema.json. A default is written
 * as an operator would write it. What involves more than one key is in checks.ts.
 */

const weight = () => whole(0, 256).default(1)
  .describe('Its share of new sessions relative to the others. 0: no new ones, existing sessions stay.');
const maxSessions = () => whole(1, 1_000_000).optional()
  .describe('New sessions go elsewhere while it has this many. Left out: no limit.');

/** Exactly one of `tcp` and `http` is there; checks.ts sees to it. */
export type Listener = { tcp: string; as?: string; http?: undefined } | { http: string; origins?: string[]; tcp?: undefined };

const listener = z.strictObject({
  tcp: address().optional().describe('Listen for SDK clients on this address.'),
  as: user().optional()
    .describe('Only with `tcp`: every client of this listener is this user and sends no token. For SDKs before 1.0, which cannot send one.'),
  http: address().optional()
    .describe('Listen for HTTP on this address: `/healthz`, `/readyz`, `/metrics`, and `/rpc`, JSON-RPC over WebSocket.'),
  origins: z.array(origin()).optional()
    .describe('Only with `http`: the web pages that may open `/rpc`. Left out: none; programs, which send no Origin, always may.'),
}).meta({ oneOf: [{ required: ['tcp'] }, { required: ['http'] }] }).transform((entry) => entry as Listener);

const listen = z.array(listener).min(1).prefault([{ tcp: '127.0.0.1:4321' }, { http: '127.0.0.1:4380' }])
  .meta({ 'x-restart': true, description: 'Where Skyport can be reached. Each entry has either `tcp` or `http`.' });

const identity = z.strictObject({
  anonymous: user().optional()
    .describe('The user of a client that sends no token. Left out: such a client is refused.'),
  tokens_file: path().optional()
    .describe('The file with the users\' tokens (as SHA-256), made with `skyport token`. It is watched too. Left out: a token is refused.'),
}).prefault({}).describe('Who clients are.');

const backend = z.strictObject({
  name: z.string().regex(BACKEND_NAME, 'is not a backend name')
    .meta({ 'x-noun': 'a backend name', 'x-allowed': BACKEND_NAME_ALLOWED })
    .describe('Its name in `skyport status`, logs, metrics and in the registry: a session is bound to the name, so keep it when the address changes.'),
  url: backendUrl().describe('Where the CLI server listens.'),
  token: secret().optional().describe('The COPILOT_CONNECTION_TOKEN of that CLI server. Take it from the environment: `"${CLI_TOKEN}"`.'),
  weight: weight(),
  max_sessions: maxSessions(),
  backup: flag().default(false).describe('Used for new sessions only when no other backend can take one.'),
});

const backends = z.array(backend).prefault([])
  .describe('CLI servers that somebody else runs. One that is taken out of the file is drained.');

const command = () => z.array(z.string().min(1)).min(1).optional().meta({ 'x-secret': true });
const variable = () => z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is not the name of an environment variable');

/** A text, or where it is read from each time that a server starts. */
const secretSource = () => z.union([
  z.string(),
  z.strictObject({ file: path() }),
  z.strictObject({ command: z.array(z.string().min(1)).min(1) }),
]).meta({ 'x-secret': true, 'x-noun': 'a text, a file or a command', 'x-allowed': '"text", { file: path } or { command: [program, argument, …] }' });

const confinement = () => z.strictObject({
  memory: size('128MiB', '1024GiB').optional()
    .describe('With cgroup v2: of the server and all that it starts; beyond it the kernel ends it. Else the most heap and mapped memory of each of its processes.'),
  processes: whole(32, 1_000_000).optional()
    .describe('Processes and threads. With cgroup v2: of the server and all that it starts. Else of all processes of its uid, and only where it has a uid of its own.'),
  open_files: whole(64, 1_000_000).optional().describe('Open files of each of its processes.'),
}).prefault({});

const fleet = z.strictObject({
  count: whole(0, 64).default(0).describe('How many CLI servers Skyport runs itself for users that share them.'),
  isolation: z.enum(['shared', 'per_user']).default('shared')
    .describe('`shared`: users share the `count` servers and the static `backends`. `per_user`: each user gets a CLI server of his own, started with his first message, and never uses another one.'),
  roles: z.record(role(), z.strictObject({
    isolation: z.enum(['shared', 'per_user']).describe('As `fleet.isolation`, for users with this role in the tokens file. Of several roles `per_user` wins.'),
  })).prefault({}).describe('Other isolation for some roles.'),
  max_servers: whole(1, 10_000).default(256)
    .describe('The most servers of users, spares included. When all run, the one that was idle for longest stops; when none is idle, the newcomer waits in line.'),
  spares: whole(0, 256).default(2)
    .describe('Servers of nobody yet, kept running for users who come for the first time. Only where some users have servers of their own.'),
  warm_up: z.boolean().default(true)
    .describe('Spares do the work of a first turn beforehand, in a session that nobody sees, with a stand-in model inside Skyport: the first answer of a new user comes 200 ms of CPU time earlier, and each spare has some 65 MB more in memory. Only with `sessions.state: skyport`.'),
  idle_stop: duration('1s', '30d').prefault('15m')
    .describe('A user\'s server on which nothing was done for this long is stopped; it starts again with the next message.'),
  wait: duration('0s', '10m').prefault('30s').describe('How long a message waits for a server of its user to start, or for one of another user to become idle.'),
  waiting: whole(0, 1_000_000).default(1_000).describe('The most users that wait so; further ones are refused.'),
  users: z.record(user(), z.strictObject({
    env: z.record(variable(), secretSource()).prefault({}).meta({ 'x-secret': true }).describe('Environment variables of this user\'s server, on top of `fleet.env`.'),
    github_token: secretSource().optional().describe('The GitHub token that this user\'s server works with.'),
    uid: whole(1, 4_294_967_294).optional().describe('The uid that this user\'s server runs as; Skyport must be root for that.'),
    gid: whole(1, 4_294_967_294).optional().describe('The gid. Left out: the same number as the uid.'),
    limits: confinement().describe('Other limits for this user\'s server.'),
  })).prefault({}).describe('What is particular to one user\'s own server. It has no effect on shared ones.'),
  uids: z.strictObject({
    from: whole(1, 4_294_967_294).describe('The first uid.'),
    count: whole(1, 1_000_000).describe('How many, one a user. No account needs to have them.'),
  }).optional().describe('Each user\'s own server runs as a uid (and gid) of its own from this range, which stays the user\'s. Skyport must be root for that.'),
  limits: confinement().describe('What each managed server may use. Linux only.'),
  command: command()
    .describe('The program and first arguments of a managed server. Left out: the runtime that comes with the Copilot SDK. A change replaces all servers, one after the other, without losing a turn.'),
  env: z.record(variable(), secretSource()).prefault({}).meta({ 'x-secret': true })
    .describe('Environment variables of the managed servers. Values are texts (write `"true"`, not `true`), or `{ file: … }` or `{ command: […] }`, read at each start. A change replaces all servers, as one of `command` does.'),
  canary: z.strictObject({
    command: z.array(z.string().min(1)).min(1).meta({ 'x-secret': true }).describe('The program and first arguments of a canary.'),
    share: z.number().min(0).max(1).meta({ 'x-noun': 'a number', 'x-allowed': '0 to 1' })
      .describe('The share of new sessions that goes to it: `0.05` is every twentieth. Of users with servers of their own it is the share of the users.'),
    count: whole(1, 64).default(1).describe('How many such servers run for users that share them.'),
  }).optional().describe('A new version that gets a part of the new sessions first.'),
  recycle: z.strictObject({
    rss: size('32MiB', '1024GiB').optional().describe('Resident memory of the server and all that it has started. Left out: no limit.'),
    open_files: whole(16, 10_000_000).optional().describe('Open files of the server. Left out: no limit.'),
    children: whole(1, 1_000_000).optional().describe('Processes that it has started and that still run. Left out: no limit.'),
    age: duration('1s', '365d').optional().describe('How long it has run. Left out: no limit.'),
    latency_factor: z.number().min(1.5).max(1_000).optional().meta({ 'x-noun': 'a number', 'x-allowed': '1.5 to 1000' })
      .describe('How many times slower than in its first minutes it answers pings or creates sessions. Left out: no limit.'),
    at_once: whole(1, 64).default(1).describe('The most servers that are replaced at one time, also for a new `command`.'),
  }).prefault({}).describe('A server that is past one of these is replaced by a fresh one, which is started beforehand; idle sessions move at once, busy ones when their turn ends.'),
  working_directory: path().optional().meta({ 'x-restart': true })
    .describe('Sessions work in `<working_directory>/<user>`. Left out: in the directory of the CLI server\'s own choice.'),
  weight: weight(),
  max_sessions: maxSessions(),
  start_timeout: duration('100ms', '10m').prefault('15s').describe('A managed server that is not ready by then is killed and started again.'),
  stop_timeout: duration('0s', '10m').prefault('5s').describe('How long a managed server may take to stop before it is killed.'),
  restart_backoff: z.strictObject({
    min: duration('10ms', '1h').prefault('250ms').describe('The wait before the first restart; it doubles with each failed one.'),
    max: duration('10ms', '1h').prefault('30s').describe('The longest wait.'),
  }).prefault({}).describe('How fast a managed server that dies is started again.'),
}).prefault({}).describe('CLI servers that Skyport runs itself, on loopback, each with a random token.');

const routing = z.strictObject({
  policy: z.enum(['sticky', 'round_robin', 'least_sessions']).default('sticky')
    .describe('Where a new session goes: to the user\'s own backend (weighted rendezvous hashing), in turns, or to the emptier one of two. An existing session stays where it is.'),
}).prefault({}).describe('Where new sessions go.');

const health = z.strictObject({
  interval: duration('100ms', '1h').prefault('2s').describe('How often a backend is asked.'),
  timeout: duration('10ms', '5m').prefault('2s').describe('An answer that takes longer is a failure.'),
  rise: whole(1, 100).default(2).describe('Successes in a row until a backend is up.'),
  fall: whole(1, 100).default(3).describe('Failures in a row until a backend is down.'),
  ejection: z.strictObject({
    base: duration('100ms', '1h').prefault('5s').describe('How long a backend is ejected the first time; it doubles each time.'),
    max: duration('100ms', '1d').prefault('5m').describe('The longest ejection.'),
    errors: whole(1, 1000).default(5).describe('Failures in a row of clients\' own calls until a backend is ejected.'),
  }).prefault({}).describe('Taking out a backend that answers the health check but fails at work.'),
  slow_start: duration('0s', '1h').prefault('10s').describe('How long the weight of a backend that came back takes to rise to its full value.'),
}).prefault({}).describe('When a backend counts as up or down.');

const links = z.strictObject({
  base: whole(1, 16).default(8).describe('Links that are opened to a backend before sessions of different clients share one.'),
  max: whole(1, 120).default(32).describe('The most links to one backend, and so the most clients on one session. A CLI server takes 128 connections.'),
  idle_close: duration('1s', '1d').prefault('1m').describe('A link is closed when unused for this long.'),
}).prefault({}).describe('Connections from Skyport to each backend.');

/** That somebody is named in `with`, and that the pattern is one, is seen to by checks.ts. */
const share = z.strictObject({
  pattern: z.string().min(1).meta({ 'x-noun': 'a regular expression' })
    .describe('Sessions whose id it matches; begin it with `^`. A group such as `(?<team>[a-z]+)` may be referred to below as `$<team>`.'),
  with: z.strictObject({
    users: z.array(sharedUser()).prefault([]).describe('Users of this name.'),
    roles: z.array(sharedRole()).prefault([]).describe('Users with this role in the tokens file: `team-$<team>`.'),
  }).describe('With whom, besides the owner.'),
  as: z.enum(['reader', 'writer']).default('reader')
    .describe('A reader gets events and history; a writer also sends and answers prompts.'),
});

const sessions = z.strictObject({
  state: z.enum(['skyport', 'server', 'shared']).default('skyport').meta({ 'x-restart': true })
    .describe('Where the history of sessions is kept. `skyport`: in `store`, by Skyport, so that any server can go on with any session. `server`: on each CLI server\'s own disk; a session stays with its server, and is lost with that disk. `shared`: on a disk that all CLI servers have mounted as their `session-state`; any server can go on with any session, but nothing keeps a server that was taken for dead from writing once more.'),
  quota: z.strictObject({
    per_session: size('64KiB', '1024GiB').optional()
      .describe('What the files of one session may have. A write beyond it fails, and the session with a clear error; what is there stays. Left out: no limit.'),
    per_user: size('64KiB', '1024GiB').optional()
      .describe('What the files of all sessions of one user may have. Left out: no limit.'),
  }).prefault({}).describe('Only with `state: skyport`: bounds of what is kept.'),
  linger: duration('0s', '1h').prefault('30s').describe('How long a running turn goes on after its last client vanished.'),
  max_active_per_backend: whole(1, 1_000_000).optional()
    .describe('The most sessions that one backend has loaded. Beyond it the one that was used longest ago and is idle is unloaded, unseen by its clients, and loaded again with its next message; when none is idle, a newcomer waits. Left out: no limit.'),
  idle_timeout: duration('1s', '30d').optional()
    .describe('A session that is idle for this long is unloaded in the same way. Left out: never.'),
  stall_timeout: duration('1s', '1d').prefault('10m')
    .describe('A turn in which nothing happens for this long is aborted; if that does not help, its session is moved to another server, and if that does not either, its clients are told that it has failed. Time in which a tool runs, or somebody is asked, does not count.'),
  ttl: duration('1m', '3650d').optional()
    .describe('A session that nobody has attached and nobody has used for this long is deleted, from its backend and from the registry. Left out: never.'),
  shares: z.array(share).prefault([])
    .describe('Sessions that are shared by their id, for teams. What `skyport share` gives comes on top.'),
  writers: z.enum(['queue', 'reject', 'free']).default('queue')
    .describe('What becomes of a message that one client sends while a turn of another client runs on the same session. `queue`: it waits until that turn is over, in order of arrival, and its client is told its place. `reject`: it is refused with "Session is in use by bob". `free`: it is passed on, and the CLI server queues it or steers the turn with it. Aborts, answers to prompts and settings always pass.'),
  writers_wait: duration('100ms', '1d').prefault('2m')
    .describe('How long a message may wait so; beyond it, it is refused with the same error.'),
}).prefault({}).describe('The life of sessions.');

const store = z.strictObject({
  driver: z.enum(['embedded', 'redis']).default('embedded')
    .describe('`embedded`: files of this Skyport alone. `redis`: Redis 7 or later, which several Skyports can share.'),
  path: path().prefault('./data').describe('The directory of this Skyport\'s own files; created when missing.'),
  url: redisUrl().optional()
    .describe('Needed for `redis`: where it listens, with the password and the database if it has any; `rediss` is TLS. With `sentinel` and `cluster` too: credentials and TLS are taken from here.'),
  sentinel: z.strictObject({
    name: z.string().min(1).describe('The name that the sentinels have for the master.'),
    nodes: z.array(redisNode()).min(1).describe('The sentinels. They say where the master is; the address in `url` is not used then.'),
    password: secret().optional().describe('The password of the sentinels themselves.'),
  }).optional().describe('Redis Sentinel.'),
  cluster: z.strictObject({
    nodes: z.array(redisNode()).min(1).describe('More nodes to ask for the layout, beside the one in `url`.'),
  }).optional().describe('Redis Cluster.'),
  prefix: z.string().max(64).regex(/^[A-Za-z0-9:._-]*$/, 'is not a prefix').default('skyport:')
    .meta({ 'x-noun': 'a prefix', 'x-allowed': 'up to 64 letters, digits and : . _ -' })
    .describe('Begins every key and channel in Redis. All Skyports that share one have the same.'),
  timeout: duration('200ms', '1m').prefault('3s').describe('A call to Redis that has not been answered by then, with all repetitions, has failed.'),
  lease: duration('1s', '5m').prefault('10s').describe('A Skyport that Redis has not heard of for this long is taken for dead, and the others take over its sessions. The same for all that share a store.'),
  advertise: address().optional().describe('Where the other Skyports on the same Redis reach this one: `host:port`. Left out: the first `tcp` of `listen`.'),
  ca_file: path().optional().describe('PEM certificates that a `rediss` server is checked with. Left out: those that Node trusts.'),
}).prefault({}).meta({ 'x-restart': true }).describe('Who owns which session and where it lives. Never prompts, tokens or keys.');

const guard = z.strictObject({
  profile: z.enum(['tenant', 'trusted']).default('tenant')
    .describe('`tenant` also refuses what is dangerous on a shared server; `trusted` refuses only what would hurt other users\' sessions.'),
  open: z.record(role(), z.array(z.string()).meta({ 'x-allowed': 'names of guard rules' })).prefault({})
    .describe('Rules that do not hold for a role: `admin: [administrative]`.'),
}).prefault({}).describe('What clients may call and set.');

const turnLimits = () => z.strictObject({
  active: whole(1, 1_000_000).optional().describe('Turns of one user that run at one time. Left out: no limit.'),
  per_minute: whole(1, 10_000_000).optional().describe('Turns that one user may begin within a minute. Left out: no limit.'),
  queued: whole(0, 1_000_000).optional().describe('Messages of one user that may wait for the first two limits; further ones are refused at once, with `retryAfterMs`. Left out: 100.'),
  wait: duration('0s', '1h').optional().describe('How long such a message may wait. Left out: `1m`.'),
});

const limits = z.strictObject({
  turns: turnLimits().prefault({}).describe('Turns of each user.'),
  roles: z.record(role(), z.strictObject({
    sessions: whole(1, 1_000_000).optional().describe('Instead of `sessions_per_user`.'),
    turns: turnLimits().prefault({}).describe('Instead of `limits.turns`, key by key.'),
    all: z.strictObject({
      sessions: whole(1, 10_000_000).optional().describe('Sessions that all users with this role own together.'),
      active: whole(1, 10_000_000).optional().describe('Turns of all of them that run at one time.'),
      per_minute: whole(1, 10_000_000).optional().describe('Turns that all of them may begin within a minute.'),
    }).prefault({}).describe('Of all users with this role together.'),
  })).prefault({}).describe('Other limits for users with a role in the tokens file. Of several roles the most generous value counts.'),
  max_frame: size('64KiB', '512MiB').prefault('16MiB').describe('The largest message that a client may send. A CLI server needs 15 times the memory to read one. What a CLI server sends is bounded by its own 512 MiB.'),
  clients: whole(1, 1_000_000).default(10_000).describe('Clients at once.'),
  sessions_per_user: whole(1, 1_000_000).default(100).describe('Sessions that one user owns.'),
  requests_per_client: whole(1, 1_000_000).default(1024).describe('Requests of one client that wait for their answers.'),
  client_buffer: size('64KiB', '4GiB').prefault('64MiB').describe('What may wait for a client that reads slowly; beyond it the client is disconnected. At least `max_frame`.'),
  handshake_timeout: duration('100ms', '10m').prefault('10s').describe('A client that has not authenticated by then is disconnected.'),
}).prefault({}).describe('Limits, so that one client cannot use up what all need.');

const shutdown = z.strictObject({
  drain: duration('0s', '1h').prefault('20s').describe('How long running turns may take to end after SIGTERM. A second SIGTERM ends at once.'),
}).prefault({}).describe('How Skyport stops.');

const admin = z.strictObject({
  socket: path().optional().meta({ 'x-restart': true })
    .describe('The Unix socket of `skyport status`, `sessions`, `drain` and `undrain`. Left out: `<store.path>/skyport.sock`.'),
}).prefault({}).describe('How the command line reaches a running Skyport.');

const log = z.strictObject({
  level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info').describe('The least severe lines that are written.'),
  format: z.enum(['json']).default('json').meta({ 'x-later': ['pretty'] }).describe('One JSON object a line, on stdout.'),
}).prefault({}).describe('One line per connection, session and turn; none per message.');

export const sections = z.strictObject({
  listen, identity, backends, fleet, routing, health, links, sessions, store, guard, limits, shutdown, admin, log,
});

/** Durations are milliseconds, sizes bytes, addresses texts for `parseAddress`; paths are not resolved yet. */
export const schema = sections.transform((config) => ({
  ...config,
  admin: { socket: config.admin.socket ?? join(config.store.path, 'skyport.sock') },
}));

export type SkyportConfig = z.output<typeof schema>;
