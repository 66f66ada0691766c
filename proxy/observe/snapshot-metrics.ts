/** The metrics that are read from the snapshot when somebody scrapes: nothing on the path feeds them. */
import type { Counter } from 'prom-client';
import { BACKEND_STATES } from './labels.js';
import type { LoopDelay } from './loop-delay.js';
import type { MetricBook } from './metric-book.js';
import { SESSION_STATES, TENANCIES, notReadyReasons, type BackendSnapshot, type Snapshot, type Traffic, type UserTotals } from './snapshot.js';

/** @returns copies a snapshot into the metrics; to be called before each scrape */
export function snapshotMetrics(book: MetricBook, loopDelay: LoopDelay): (snapshot: Snapshot) => void {
  const build = book.gauge('skyport_build_info', 'Always 1; the labels are the versions of Skyport and of Node.', ['version', 'node']);
  const start = book.gauge('skyport_start_time_seconds', 'When this Skyport started, in Unix time.');
  const ready = book.gauge('skyport_ready', '1 while /readyz answers 200: a backend is up and Skyport is not draining.');
  const draining = book.gauge('skyport_draining', '1 while Skyport takes no new clients and waits for running turns to finish.');
  const clients = book.gauge('skyport_clients', 'Open client connections, with and without a finished handshake.', ['authenticated']);
  const sessions = book.gauge('skyport_sessions', 'Sessions by state: `live` being created, `idle` attached without a turn, `busy` in a turn, `lingering` held for a client that vanished, `stored` on its server\'s disk only, `lost` without the backend it had.', ['state']);
  const attached = book.gauge('skyport_sessions_attached', 'Sessions with at least one attached client.');
  const registered = book.gauge('skyport_registry_sessions', 'Sessions recorded in the registry, of all users.');
  const turnsOpen = book.gauge('skyport_turns_open', 'Turns under way.');
  const bytes = book.counter('skyport_bytes_total', 'Bytes moved, framing included, by side (`client`, `backend`) and direction as Skyport sees it (`in` is received).', ['side', 'direction']);
  const frames = book.counter('skyport_frames_total', 'JSON-RPC messages moved, by side and direction.', ['side', 'direction']);
  const delay = book.gauge('skyport_event_loop_delay_seconds', 'How late the event loop ran since the scrape before this one; quantile 1 is the longest delay. Above 0.1 for long, the core is full: start another Skyport.', ['quantile']);
  const others = book.gauge('skyport_others', 'Other Skyports on the same store, by the state of the way to them; `unknown` is one that does not say where it is.', ['state']);
  const store = book.gauge('skyport_store_up', '0 while the store does not answer: new work is refused, running turns wait with what they have to store. Always 1 for the embedded store.');
  const backends = backendMetrics(book);
  const servers = serverMetrics(book);
  const users = userMetrics(book);

  return (snapshot) => {
    build.set({ version: snapshot.version, node: process.versions.node }, 1);
    start.set(snapshot.startedAt / 1000);
    ready.set(notReadyReasons(snapshot).length === 0 ? 1 : 0);
    draining.set(snapshot.draining ? 1 : 0);
    clients.set({ authenticated: 'true' }, snapshot.clients.authenticated);
    clients.set({ authenticated: 'false' }, snapshot.clients.connected - snapshot.clients.authenticated);
    for (const state of SESSION_STATES) sessions.set({ state }, snapshot.sessions.byState[state]);
    attached.set(snapshot.sessions.attached);
    registered.set(snapshot.registry.sessions);
    turnsOpen.set(snapshot.sessions.turnsOpen);
    setTraffic(bytes, snapshot.bytes);
    setTraffic(frames, snapshot.frames);
    for (const { quantile, seconds } of loopDelay.take()) delay.set({ quantile: String(quantile) }, seconds);
    others.reset();
    for (const state of ['up', 'down', 'draining']) others.set({ state }, 0);
    for (const { state } of snapshot.others ?? []) others.inc({ state });
    store.set(snapshot.store?.up === false ? 0 : 1);
    // Of two of one name the first is the one that stays; the other is seen in `skyport_servers`.
    backends(snapshot.backends.filter(({ predecessor }) => !predecessor));
    servers(snapshot.backends);
    users(snapshot.userTotals, snapshot.line?.waiting ?? 0);
  };
}

/** The managed servers, counted. */
function serverMetrics(book: MetricBook): (backends: readonly BackendSnapshot[]) => void {
  const servers = book.gauge('skyport_servers', 'Managed servers by whose they are (`shared`, `spare` nobody\'s yet, one `user`\'s) and state; one that is drained counts as `draining`, whatever its state.', ['tenancy', 'state']);
  const outdated = book.gauge('skyport_servers_outdated', 'Managed servers that were started with something else than the config says now: above 0 while a change of `fleet` is rolled out.');
  const crashing = book.gauge('skyport_servers_crashing', 'Managed servers that died several times in a row.');

  return (backends) => {
    const managed = backends.filter(({ kind }) => kind === 'managed');
    servers.reset();
    for (const tenancy of TENANCIES) for (const state of [...BACKEND_STATES, 'draining']) servers.set({ tenancy, state }, 0);
    for (const { tenancy = 'shared', state, draining } of managed) servers.inc({ tenancy, state: draining ? 'draining' : state });
    outdated.set(managed.filter((server) => server.outdated).length);
    crashing.set(managed.filter((server) => server.crashLoop).length);
  };
}

/** Never by user: there may be any number of them, and who they are is nobody's business here. */
function userMetrics(book: MetricBook): (totals: UserTotals | undefined, waiting: number) => void {
  const users = book.gauge('skyport_users', 'Users with sessions or turns.');
  const active = book.gauge('skyport_users_active', 'Users with a loaded session, or an open or waiting turn.');
  const inLine = book.gauge('skyport_users_waiting', 'Users that wait for a server of their own.');
  const most = book.gauge('skyport_user_max', 'The most that any one user has, by what: `sessions`, `loaded` sessions, `turns_open`, `turns_queued`.', ['what']);

  return (totals, waiting) => {
    inLine.set(waiting);
    users.set(totals?.users ?? 0);
    active.set(totals?.active ?? 0);
    most.set({ what: 'sessions' }, totals?.most.sessions ?? 0);
    most.set({ what: 'loaded' }, totals?.most.loaded ?? 0);
    most.set({ what: 'turns_open' }, totals?.most.turnsOpen ?? 0);
    most.set({ what: 'turns_queued' }, totals?.most.turnsQueued ?? 0);
  };
}

function setTraffic(counter: Counter<'side' | 'direction'>, traffic: Traffic): void {
  counter.reset();
  counter.inc({ side: 'client', direction: 'in' }, traffic.clientIn);
  counter.inc({ side: 'client', direction: 'out' }, traffic.clientOut);
  counter.inc({ side: 'backend', direction: 'in' }, traffic.backendIn);
  counter.inc({ side: 'backend', direction: 'out' }, traffic.backendOut);
}

/** One series per backend that exists now: a backend that was taken out of the config leaves no trace. */
function backendMetrics(book: MetricBook): (backends: readonly BackendSnapshot[]) => void {
  const state = book.gauge('skyport_backend_state', '1 for the state a backend is in, 0 for the others.', ['backend', 'state']);
  const bytes = book.counter('skyport_backend_bytes_total', 'Bytes moved from (`in`) and to (`out`) one backend, framing included.', ['backend', 'direction']);
  const restarts = book.counter('skyport_backend_restarts_total', 'How often Skyport had to restart a managed server.', ['backend']);
  const cpu = book.counter('skyport_backend_cpu_seconds_total', 'CPU time that a managed server and what it has started have used.', ['backend']);
  const gauge = (name: string, help: string) => book.gauge(`skyport_backend_${name}`, help, ['backend']);
  const gauges: Array<[ReturnType<typeof gauge>, (backend: BackendSnapshot) => number | undefined]> = [
    [gauge('weight', 'The configured weight: a backend of weight 2 gets twice the new sessions.'), (b) => b.weight],
    [gauge('draining', '1 while the backend takes no new sessions, by `skyport drain` or `skyport restart`, or because it left the config.'), (b) => (b.draining ? 1 : 0)],
    [gauge('sessions_bound', 'Sessions whose binding names the backend, loaded or not.'), (b) => b.sessionsBound],
    [gauge('sessions_attached', 'Sessions of the backend with an attached client.'), (b) => b.sessionsAttached],
    [gauge('sessions_staying', 'Idle sessions that the backend would not let go when it was drained: they work in the background, or something is queued or scheduled. Above 0 for long, the drain needs a hand.'), (b) => b.sessionsStaying ?? 0],
    [gauge('turns_open', 'Turns under way on the backend.'), (b) => b.turnsOpen],
    [gauge('links', 'Open connections from Skyport to the backend.'), (b) => b.links],
    [gauge('links_max', 'How many links the backend may have (`links.max`).'), (b) => b.linksMax],
    [gauge('requests_waiting', 'Requests that wait for the answer of the backend.'), (b) => b.requestsWaiting],
    [gauge('latency_seconds', 'How long the last answered health check took.'), (b) => seconds(b.latencyMs)],
    [gauge('ping_seconds', 'The median of the recent health checks; of a managed server.'), (b) => seconds(b.pingMs)],
    [gauge('create_seconds', 'The median of what `session.create` took recently; of a managed server.'), (b) => seconds(b.createMs)],
    [gauge('latency_factor', 'How many times slower a managed server answers than in its first minutes.'), (b) => b.latencyFactor],
    [gauge('resident_memory_bytes', 'Memory in RAM of a managed server and all that it has started.'), (b) => b.rss],
    [gauge('open_files', 'Open files of a managed server.'), (b) => b.openFiles],
    [gauge('child_processes', 'Processes that a managed server has started and that still run.'), (b) => b.children],
    [gauge('start_time_seconds', 'When the process of a managed server was started, in Unix time.'), (b) => seconds(b.startedAt)],
  ];

  return (backends) => {
    state.reset();
    bytes.reset();
    restarts.reset();
    cpu.reset();
    for (const [metric, read] of gauges) {
      metric.reset();
      for (const backend of backends) {
        const value = read(backend);
        if (value !== undefined) metric.set({ backend: backend.name }, value);
      }
    }
    for (const { name, state: current, bytesIn, bytesOut, restarts: count, cpuMs } of backends) {
      for (const each of new Set([...BACKEND_STATES, current])) {
        state.set({ backend: name, state: each }, each === current ? 1 : 0);
      }
      bytes.inc({ backend: name, direction: 'in' }, bytesIn);
      bytes.inc({ backend: name, direction: 'out' }, bytesOut);
      if (count !== undefined) restarts.inc({ backend: name }, count);
      if (cpuMs !== undefined) cpu.inc({ backend: name }, cpuMs / 1000);
    }
  };
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000;
}
