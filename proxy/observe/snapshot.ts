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

export interface BackendSnapshot {
  name: string;
  kind: 'static' | 'managed';
  /** A state of the pool; `up` is the one that takes sessions. */
  state: string;
  version?: string;
  weight: number;
  backup: boolean;
  /** Draining: takes no new session. Drained: nothing is left on it. */
  draining: boolean;
  drained: boolean;
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
  pid?: number;
  restarts?: number;
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

export interface Snapshot {
  version: string;
  /** Milliseconds since the epoch. */
  startedAt: number;
  /** The listeners are bound and the first backend has been up. */
  ready: boolean;
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
  /** Of a store that may be away; left out for one that is part of this Skyport. */
  store?: StoreSnapshot;
  /** The other Skyports on the same store. */
  others?: OtherSnapshot[];
}

/** Why new work cannot be taken now; empty when it can. Each reason is a short sentence. */
export function notReadyReasons(snapshot: Snapshot): string[] {
  if (snapshot.draining) return ['Skyport is draining'];
  const reasons: string[] = [];
  if (snapshot.store?.up === false) reasons.push('the store is not available');
  if (!snapshot.backends.some((backend) => backend.state === 'up' && !backend.draining)) {
    reasons.push(snapshot.backends.length === 0 ? 'no backend is configured' : 'no backend is up');
    for (const { name, state, draining } of snapshot.backends) {
      reasons.push(`backend ${name} is ${state}${draining ? ' and draining' : ''}`);
    }
  } else if (!snapshot.ready) {
    reasons.push('Skyport is starting');
  }
  return reasons;
}
