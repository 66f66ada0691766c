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

/** Another Skyport on the same store. */
interface Other {
  readonly id: string;
  readonly address: string;
  readonly startedAt: number;
}

export interface Sources {
  readonly directory: Directory;
  readonly pool: Pool;
  readonly roster: Roster;
  readonly members: readonly MemberStatus[];
  readonly linksMax: number;
  readonly startedAt: number;
  readonly ready: boolean;
  readonly draining: boolean;
  /** Sessions can be loaded on any backend: a drained one has none. */
  readonly moves: boolean;
  readonly staying: (backend: Backend) => number;
  readonly version: string;
  /** The other Skyports on the same store. */
  readonly others: readonly Other[];
  readonly store: StoreSnapshot | undefined;
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
  const backends = describeBackends(sources);
  const held = new Map<string, number>();
  if (sources.others.length > 0) for (const { holder } of directory.all()) held.set(holder, (held.get(holder) ?? 0) + 1);
  const clientTraffic = roster.traffic();
  const backendTraffic = pool.traffic();
  return {
    version: sources.version,
    startedAt: sources.startedAt,
    ready: sources.ready,
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
    store: sources.store,
    others: sources.others.map(({ id, address, startedAt }) => {
      const peer = pool.peer(id);
      const state = peer?.draining ? 'draining' : (peer?.health.state ?? 'unknown');
      return { instance: id, address, startedAt, state, lastError: peer?.up ? undefined : peer?.lastError, sessions: held.get(id) ?? 0 };
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

function describeBackends(sources: Sources): BackendSnapshot[] {
  const { directory, pool, members, linksMax } = sources;
  const bound = new Map<string, number>();
  for (const session of directory.all()) if (!session.foreign) bound.set(session.backend, (bound.get(session.backend) ?? 0) + 1);
  const rows = pool.all().map((backend) => {
    const member = backend.kind === 'managed' ? members.find((one) => one.name === backend.name) : undefined;
    return describeBackend(backend, sources, bound.get(backend.name) ?? 0, member);
  });
  // A managed server that has never come up is no backend yet, but an operator looks for it here.
  for (const member of members) {
    if (!rows.some((row) => row.name === member.name)) rows.push(describeMember(member, linksMax));
  }
  return rows;
}

function describeBackend(
  backend: Backend,
  sources: Sources,
  sessionsBound: number,
  member: MemberStatus | undefined,
): BackendSnapshot {
  const { directory, linksMax } = sources;
  const turnsOpen = directory.turnsOpen(backend.name);
  const draining = backend.draining || backend.removed || backend.restarting;
  const { bytesIn, bytesOut } = backend.traffic();
  return {
    name: backend.name,
    kind: backend.kind,
    state: backend.health.state,
    version: backend.version,
    weight: backend.settings.weight,
    backup: backend.settings.backup,
    draining,
    drained: draining && isEmpty(backend, sources),
    restarting: backend.restarting || undefined,
    sessionsStaying: (draining && sources.staying(backend)) || undefined,
    sessionsBound,
    sessionsAttached: directory.loaded(backend.name),
    turnsOpen,
    links: backend.links.count,
    linksMax,
    requestsWaiting: backend.links.waiting,
    latencyMs: backend.health.latencyMs,
    pid: member?.pid,
    restarts: member?.restarts,
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

function describeMember(member: MemberStatus, linksMax: number): BackendSnapshot {
  return {
    name: member.name, kind: 'managed', state: member.state, weight: 0, backup: false, draining: false, drained: false,
    sessionsBound: 0, sessionsAttached: 0, turnsOpen: 0, links: 0, linksMax, requestsWaiting: 0,
    pid: member.pid, restarts: member.restarts, lastError: member.lastExit, bytesIn: 0, bytesOut: 0,
  };
}

function stateOf(session: Session): ReportedState {
  const { state } = session;
  if (state === 'creating') return 'live';
  return state === 'asleep' ? 'stored' : state;
}
