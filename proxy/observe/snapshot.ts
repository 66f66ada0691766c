/**
 * What Skyport looks like at one moment: the one picture that /healthz, /readyz, /metrics,
 * `skyport status` and the benchmarks read. `skyport.ts` makes it, on demand and from counts that the
 * rooms keep anyway. Plain data: it goes over the admin socket as JSON.
 */

/**
 * Where a session stands: `live` being created, `idle` attached without a turn, `busy` a turn is open,
 * `lingering` held for a client that vanished, `stored` on its server's disk only, `lost` its backend
 * went away and it has not been resumed.
 */
export const SESSION_STATES = ['live', 'idle', 'busy', 'lingering', 'stored', 'lost'] as const;
export type SessionState = (typeof SESSION_STATES)[number];

/** Who may use a managed server: all that share, nobody yet, or one user. */
export const TENANCIES = ['shared', 'spare', 'user'] as const;
export type TenancyKind = (typeof TENANCIES)[number];

export interface BackendSnapshot {
  /** For a moment two rows may have the same one: a server that is drained, and its successor. */
  name: string;
  kind: 'static' | 'managed';
  /** A state of the pool; `up` is the one that takes sessions. */
  state: string;
  version?: string;
  protocolVersion?: number;
  /** Of a managed server. */
  tenancy?: TenancyKind;
  /** Whose server it is, when it is one user's. */
  user?: string;
  /** It runs `fleet.canary.command`. */
  canary?: boolean;
  /** It was started with something else than the config says now. */
  outdated?: boolean;
  /** A fresh server is being started to take its place. */
  renewing?: boolean;
  /** Its successor has its name already: it is drained and then ended. */
  predecessor?: boolean;
  /** Why it is replaced; and why the last server that was to replace it did not start. */
  recycleReason?: string;
  renewFailed?: string;
  weight: number;
  backup: boolean;
  /** Draining: takes no new session. Drained: nothing is left on it. */
  draining: boolean;
  drained: boolean;
  /** Milliseconds since the epoch. */
  drainingSince?: number;
  /** It is drained to be started anew, by `skyport restart`. */
  restarting?: boolean;
  /** Of a draining one: idle sessions that its server would not let go at the last try. */
  sessionsStaying?: number;
  sessionsBound: number;
  sessionsAttached: number;
  turnsOpen: number;
  links: number;
  linksMax: number;
  /** Requests that wait for this backend's answer. */
  requestsWaiting: number;
  /** Of the last health check that was answered. */
  latencyMs?: number;
  /** Recent medians: of its health checks, and of `session.create`. */
  pingMs?: number;
  createMs?: number;
  /** How many times slower it answers than in its first minutes. */
  latencyFactor?: number;
  pid?: number;
  /** Of its process; milliseconds since the epoch. */
  startedAt?: number;
  /** Of the server and all that it has started, bytes. */
  rss?: number;
  openFiles?: number;
  /** Processes that it has started and that still run. */
  children?: number;
  /** CPU time that it has used until `usageAt`, milliseconds. */
  cpuMs?: number;
  /** When its usage was measured; milliseconds, of whatever clock: only differences mean something. */
  usageAt?: number;
  restarts?: number;
  /** It died several times in a row. */
  crashLoop?: boolean;
  lastError?: string;
  /** From and to this backend, framing included, since Skyport started. */
  bytesIn: number;
  bytesOut: number;
}

export interface StoreSnapshot {
  up: boolean;
  /** Why not. */
  reason?: string;
}

export interface OtherSnapshot {
  instance: string;
  address: string;
  /** Milliseconds since the epoch. */
  startedAt: number;
  /** Of the way to it, as of a backend. */
  state: string;
  lastError?: string;
  /** Sessions that it holds. */
  sessions: number;
}

/** Totals since Skyport started; `In` is what Skyport received from that side. They never go down. */
export interface Traffic {
  clientIn: number;
  clientOut: number;
  backendIn: number;
  backendOut: number;
}

/** What one user has, and does. */
export interface UserSnapshot {
  user: string;
  roles?: readonly string[];
  /** His own server, where he has one. */
  server?: string;
  /** That he owns; and those of them that a server has loaded. */
  sessions: number;
  loaded: number;
  turnsOpen: number;
  /** Turns that wait for a place, by his limits. */
  turnsQueued: number;
  /** Begun in the last minute; left out where nobody counts them. */
  turnsLastMinute?: number;
}

/** Of all users, also those that are not listed. */
export interface UserTotals {
  users: number;
  /** Those with a loaded session, or an open or waiting turn. */
  active: number;
  turnsQueued: number;
  /** The most that one user has of each. */
  most: { sessions: number; loaded: number; turnsOpen: number; turnsQueued: number };
}

/** The Skyport process itself. */
export interface ProcessSnapshot {
  pid: number;
  /** Bytes. */
  rss: number;
  /** CPU time that it has used, milliseconds. */
  cpuMs: number;
}

export interface Snapshot {
  version: string;
  /** When it was made; milliseconds since the epoch. */
  at?: number;
  process?: ProcessSnapshot;
  /** Milliseconds since the epoch. */
  startedAt: number;
  /** The listeners are bound and the first backend has been up. */
  ready: boolean;
  /** Users' own servers are started when they come: that none runs is no trouble. */
  onDemand?: boolean;
  draining: boolean;
  clients: { connected: number; authenticated: number };
  sessions: {
    total: number;
    attached: number;
    byState: Record<SessionState, number>;
    turnsOpen: number;
  };
  backends: BackendSnapshot[];
  bytes: Traffic;
  frames: Traffic;
  /** Records in the registry. */
  registry: { sessions: number };
  /** Turns that ended since Skyport started. */
  turnsEnded?: number;
  /** The busiest, at most `USERS_LISTED`, in no order. */
  users?: UserSnapshot[];
  userTotals?: UserTotals;
  /** Users that wait for a server of their own. */
  line?: { waiting: number };
  /** Why the replacing of servers was given up, until the config changes. */
  rollOverStopped?: string;
  /** Of a store that may be away; left out for one that is part of this Skyport. */
  store?: StoreSnapshot;
  /** The other Skyports on the same store. */
  others?: OtherSnapshot[];
}

/** Users in one snapshot: it is made every second for whoever watches. */
export const USERS_LISTED = 1_000;

/** What an operator should look at now; each is a short sentence. */
export function warningsOf(snapshot: Snapshot): string[] {
  const { store, backends } = snapshot;
  const away = store?.up === false ? [`the store is away: ${store.reason ?? 'not available'}`] : [];
  const crashing = backends.filter(({ crashLoop }) => crashLoop).map(({ name, lastError }) => `${name} keeps dying: ${lastError ?? 'the log may tell why'}`);
  return [...away, ...crashing, ...fleetWarnings(snapshot)];
}

/** Those of them that are not about one backend or the store. */
export function fleetWarnings({ rollOverStopped, line: { waiting } = { waiting: 0 } }: Snapshot): string[] {
  const stopped = rollOverStopped === undefined ? [] : [`servers are not replaced any more: ${rollOverStopped}`];
  return waiting === 0 ? stopped : [...stopped, `${waiting} ${waiting === 1 ? 'user waits' : 'users wait'} for a server`];
}

/** Why new work cannot be taken now; empty when it can. Each reason is a short sentence. */
export function notReadyReasons(snapshot: Snapshot): string[] {
  if (snapshot.draining) return ['Skyport is draining'];
  const reasons: string[] = [];
  if (snapshot.store?.up === false) reasons.push('the store is not available');
  if (!snapshot.onDemand && !snapshot.backends.some((backend) => backend.state === 'up' && !backend.draining)) {
    reasons.push(snapshot.backends.length === 0 ? 'no backend is configured' : 'no backend is up');
    for (const { name, state, draining } of snapshot.backends) {
      reasons.push(`backend ${name} is ${state}${draining ? ' and draining' : ''}`);
    }
  } else if (!snapshot.ready) {
    reasons.push('Skyport is starting');
  }
  return reasons;
}
