/** What Skyport looks like at this moment, from counts that the rooms keep anyway. */
import type { DrainReport, SessionFilter, SessionRow } from './admin/actions.js';
import type { Backend } from './backends/backend.js';
import type { Pool } from './backends/pool.js';
import type { Roster } from './clients/roster.js';
import type { MemberStatus } from './fleet/member.js';
import type { BackendSnapshot, SessionState as ReportedState, Snapshot, StoreSnapshot } from './observe/snapshot.js';
import type { Directory } from './sessions/directory.js';
import { isUnused } from './sessions/session.js';
import type { Session } from './sessions/session.js';
import type { Sharing } from './sessions/shares.js';
import { describeUsers, type TurnUsage } from './observe/users.js';
import { takeCensus, type Census } from './sessions/census.js';

/** Another Skyport on the same store. */
interface Other {
  readonly id: string;
  readonly address: string;
  readonly startedAt: number;
}

/** Who may use a managed server. */
interface Tenancy {
  readonly kind: NonNullable<BackendSnapshot['tenancy']>;
  readonly user?: string;
}

/** What a fleet may know besides of one of its servers. */
interface Tenanted {
  readonly tenancy?: Tenancy;
  readonly canary?: boolean;
  /** Names one process of the member. */
  readonly run?: number;
  readonly outdated?: boolean;
  readonly renewing?: boolean;
  /** Why the last successor did not start. */
  readonly renewFailed?: string;
}

/** Of a managed server's process and all that it has started. */
export interface ServerUsage {
  /** Bytes. */
  readonly rss?: number;
  readonly openFiles?: number;
  readonly children?: number;
  /** CPU time used until `at`, milliseconds. */
  readonly cpuMs?: number;
  readonly at?: number;
}

/** Recent medians, milliseconds, and how many times longer that is than in the server's first minutes. */
export interface ServerLatency {
  readonly pingMs?: number;
  readonly createMs?: number;
  readonly factor?: number;
}

export interface Sources {
  readonly directory: Directory;
  readonly pool: Pool;
  readonly roster: Roster;
  readonly members: readonly (MemberStatus & Tenanted)[];
  readonly linksMax: number;
  readonly startedAt: number;
  readonly ready: boolean;
  readonly onDemand?: boolean;
  readonly draining: boolean;
  /** Sessions can be loaded on any backend: a drained one has none. */
  readonly moves: boolean;
  readonly staying: (backend: Backend) => number;
  readonly version: string;
  /** The other Skyports on the same store. */
  readonly others: readonly Other[];
  readonly store: StoreSnapshot | undefined;
  /** Turns that ended since the start. */
  readonly turnsEnded?: number;
  /** @param run of the server, where the fleet counts runs */
  readonly usage?: (name: string, run: number | undefined) => ServerUsage | undefined;
  readonly latency?: (backend: Backend) => ServerLatency | undefined;
  /** Since when a backend is to be empty; milliseconds since the epoch. */
  readonly drainingSince?: (backend: Backend) => number | undefined;
  /** Why a server is being replaced. */
  readonly recycleReason?: (name: string, run: number | undefined) => string | undefined;
  /** Why the replacing of servers was given up. */
  readonly rollOverStopped?: string;
  /** Of users with activity. */
  readonly turnUsage?: () => Iterable<TurnUsage>;
  readonly rolesOf?: (user: string) => readonly string[] | undefined;
  /** Users that wait for a server of their own. */
  readonly usersWaiting?: number;
}

export function describe(sources: Sources): Snapshot {
  const { directory, pool, roster } = sources;
  const byState: Record<ReportedState, number> = { live: 0, idle: 0, busy: 0, lingering: 0, stored: 0, lost: 0 };
  let attached = 0;
  let turnsOpen = 0;
  let loaded = 0;
  for (const session of directory.live()) {
    loaded++;
    byState[stateOf(session)]++;
    if (session.attachments.length > 0) attached++;
    if (session.turn.open) turnsOpen++;
  }
  byState.stored += directory.size - loaded;
  const census = takeCensus(directory.all(), directory.live());
  const backends = describeBackends(sources, census);
  const clientTraffic = roster.traffic();
  const backendTraffic = pool.traffic();
  const { user: userCpu, system } = process.cpuUsage();
  return {
    version: sources.version,
    at: Date.now(),
    process: { pid: process.pid, rss: process.memoryUsage.rss(), cpuMs: (userCpu + system) / 1_000 },
    startedAt: sources.startedAt,
    ready: sources.ready,
    onDemand: sources.onDemand || undefined,
    draining: sources.draining,
    clients: { connected: roster.size, authenticated: roster.authenticatedCount },
    sessions: { total: directory.size, attached, byState, turnsOpen },
    backends,
    bytes: {
      clientIn: clientTraffic.bytesIn, clientOut: clientTraffic.bytesOut,
      backendIn: backendTraffic.bytesIn, backendOut: backendTraffic.bytesOut,
    },
    frames: {
      clientIn: clientTraffic.framesIn, clientOut: clientTraffic.framesOut,
      backendIn: backendTraffic.framesIn, backendOut: backendTraffic.framesOut,
    },
    registry: { sessions: directory.size },
    turnsEnded: sources.turnsEnded,
    ...describeUsers({ owners: census.owners, turns: sources.turnUsage?.(), servers: serversOf(sources), rolesOf: sources.rolesOf }),
    line: sources.usersWaiting === undefined ? undefined : { waiting: sources.usersWaiting },
    rollOverStopped: sources.rollOverStopped,
    store: sources.store,
    others: sources.others.map(({ id, address, startedAt }) => {
      const peer = pool.peer(id);
      const state = peer?.draining ? 'draining' : (peer?.health.state ?? 'unknown');
      return { instance: id, address, startedAt, state, lastError: peer?.up ? undefined : peer?.lastError, sessions: census.held.get(id) ?? 0 };
    }),
  };
}

export function drainReport(snapshot: Snapshot, name: string): DrainReport {
  const { state, draining, drained, sessionsBound, sessionsAttached, sessionsStaying, turnsOpen } = snapshot.backends.find(
    (backend) => backend.name === name,
  )!;
  return { name, state, draining, drained, sessionsBound, sessionsAttached, sessionsStaying, turnsOpen };
}

/** @param others to name the one that has a session */
export function sessionRows(directory: Directory, sharing: Sharing, filter: SessionFilter, others: readonly Other[] = []): SessionRow[] {
  const rows: SessionRow[] = [];
  const before = Date.now() - (filter.unusedFor ?? 0);
  const source = filter.user === undefined ? directory.all() : directory.ownedBy(filter.user);
  for (const session of source) {
    const state = stateOf(session);
    if (filter.backend !== undefined && session.backend !== filter.backend) continue;
    if (filter.state !== undefined && state !== filter.state) continue;
    if (filter.unusedFor !== undefined && !isUnused(session, before)) continue;
    rows.push(sessionRow(session, sharing, others));
  }
  return rows.sort((a, b) => b.usedAt - a.usedAt);
}

export function sessionRow(session: Session, sharing: Sharing, others: readonly Other[] = []): SessionRow {
  const { id, owner, backend, epoch, createdAt, usedAt, turns, shares } = session;
  const { users, roles } = sharing.ruled(session);
  const ruled = Object.keys(users).length + Object.keys(roles).length > 0;
  return {
    id, owner, backend, epoch, state: stateOf(session), attachments: session.attachments.length, createdAt, usedAt, turns,
    shares, sharedByRules: ruled ? { users, roles } : undefined,
    holder: session.foreign ? (others.find(({ id: one }) => one === session.holder)?.address ?? session.holder) : undefined,
  };
}

function describeBackends(sources: Sources, { bound }: Census): BackendSnapshot[] {
  const { pool } = sources;
  const members = new Map(sources.members.map((member) => [member.name, member]));
  const rows = pool.all().map((backend) => {
    const member = backend.kind === 'managed' ? members.get(backend.name) : undefined;
    return describeBackend(backend, sources, bound.get(backend.name) ?? 0, member);
  });
  for (const row of rows) if (row.predecessor) share(row, rows.find(({ name }) => name === row.name)!);
  const shown = new Set(rows.map(({ name }) => name));
  // A managed server that has never come up is no backend yet, but an operator looks for it here.
  for (const member of sources.members) if (!shown.has(member.name)) rows.push(describeMember(member, sources));
  return rows;
}

/** What is counted by name is the successor's but for what its predecessor has loaded. */
function share(predecessor: BackendSnapshot, successor: BackendSnapshot): void {
  for (const what of ['sessionsBound', 'sessionsAttached', 'turnsOpen'] as const) successor[what] -= predecessor[what];
}

/** What a server has that is drained for its successor, which has its name already. */
function leftOn(backend: Backend, directory: Directory): Pick<BackendSnapshot, 'sessionsBound' | 'sessionsAttached' | 'turnsOpen'> {
  const loaded = [...directory.loadedOn(backend.name)].filter((session) => backend.links.has(session.primary?.link));
  return { sessionsBound: loaded.length, sessionsAttached: loaded.length, turnsOpen: loaded.filter(({ turn }) => turn.open).length };
}

/** Users' own servers: by user, their names. */
function serversOf({ members }: Sources): Map<string, string> {
  const servers = new Map<string, string>();
  for (const { name, tenancy } of members) if (tenancy?.user !== undefined) servers.set(tenancy.user, name);
  return servers;
}

function describeBackend(
  backend: Backend,
  sources: Sources,
  sessionsBound: number,
  member: Sources['members'][number] | undefined,
): BackendSnapshot {
  const { directory, pool, linksMax } = sources;
  // The member speaks for the process that has its name now.
  const current = pool.get(backend.name);
  const predecessor = backend.removed && current !== undefined && current !== backend;
  const counts = predecessor
    ? leftOn(backend, directory)
    : { sessionsBound, sessionsAttached: directory.loaded(backend.name), turnsOpen: directory.turnsOpen(backend.name) };
  const draining = backend.draining || backend.removed || backend.restarting;
  const { bytesIn, bytesOut } = backend.traffic();
  return {
    name: backend.name,
    kind: backend.kind,
    state: backend.health.state,
    version: backend.version,
    protocolVersion: backend.protocolVersion,
    ...(backend.kind === 'managed' && (predecessor || !member ? describeProcess(backend, sources) : describeProcess(member, sources, member))),
    predecessor: predecessor || undefined,
    weight: backend.settings.weight,
    backup: backend.settings.backup,
    draining,
    drained: draining && isEmpty(backend, sources),
    drainingSince: draining ? sources.drainingSince?.(backend) : undefined,
    restarting: backend.restarting || undefined,
    sessionsStaying: (draining && sources.staying(backend)) || undefined,
    ...counts,
    links: backend.links.count,
    linksMax,
    requestsWaiting: backend.links.waiting,
    latencyMs: backend.health.latencyMs,
    ...describeLatency(sources.latency?.(backend)),
    lastError: backend.lastError ?? (member?.crashLoop ? member.lastExit : undefined),
    bytesIn,
    bytesOut,
  };
}

/**
 * Nothing would break if it were stopped. Where sessions move that means that none is loaded, otherwise
 * that no turn is open: those that are loaded go on when it is back.
 */
export function isEmpty(backend: Backend, { directory, pool, moves }: Pick<Sources, 'directory' | 'pool' | 'moves'>): boolean {
  if (backend.links.waiting > 0 || (moves && backend.links.attached > 0)) return false;
  // Its name may have passed to another one.
  if (moves && (pool.get(backend.name) ?? backend) !== backend) return true;
  return directory.turnsOpen(backend.name) === 0 && (!moves || directory.loaded(backend.name) === 0);
}

function describeMember(member: Sources['members'][number], sources: Sources): BackendSnapshot {
  return {
    name: member.name, kind: 'managed', state: member.state, weight: 0, backup: false, draining: false, drained: false,
    ...describeProcess(member, sources, member),
    sessionsBound: 0, sessionsAttached: 0, turnsOpen: 0, links: 0, linksMax: sources.linksMax, requestsWaiting: 0,
    lastError: member.lastExit, bytesIn: 0, bytesOut: 0,
  };
}

/** @param member left out for a server whose name another one has already */
function describeProcess(
  server: Tenanted & { readonly name: string }, { usage, recycleReason }: Sources, member?: MemberStatus,
): Partial<BackendSnapshot> {
  const { name, run, tenancy, canary, outdated, renewing, renewFailed } = server;
  // Without its run the usage would be that of the server that has its name now.
  const { rss, openFiles, children, cpuMs, at } = (member || run !== undefined ? usage?.(name, run) : undefined) ?? {};
  return {
    tenancy: tenancy?.kind, user: tenancy?.user,
    canary: canary || undefined, outdated: outdated || undefined, renewing: renewing || undefined,
    recycleReason: recycleReason?.(name, run), renewFailed,
    pid: member?.pid, startedAt: member?.startedAt, restarts: member?.restarts, crashLoop: member?.crashLoop || undefined,
    rss, openFiles, children, cpuMs, usageAt: at,
  };
}

function describeLatency({ pingMs, createMs, factor }: ServerLatency = {}): Partial<BackendSnapshot> {
  return { pingMs, createMs, latencyFactor: factor };
}

function stateOf(session: Session): ReportedState {
  const { state } = session;
  if (state === 'creating') return 'live';
  return state === 'asleep' ? 'stored' : state;
}
