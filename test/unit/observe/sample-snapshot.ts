import type { BackendSnapshot, Snapshot } from '../../../proxy/observe/snapshot.js';

export function sampleBackend(change: Partial<BackendSnapshot> = {}): BackendSnapshot {
  return {
    name: 'cli-1', kind: 'managed', state: 'up', version: '1.0.85', weight: 1, backup: false,
    draining: false, drained: false, sessionsBound: 7, sessionsAttached: 3, turnsOpen: 2,
    links: 2, linksMax: 32, requestsWaiting: 5, latencyMs: 0.25, pid: 4242, restarts: 1,
    bytesIn: 9000, bytesOut: 800, ...change,
  };
}

export function sampleSnapshot(change: Partial<Snapshot> = {}): Snapshot {
  return {
    version: '9.8.7', startedAt: 1_700_000_000_000, ready: true, draining: false,
    clients: { connected: 10, authenticated: 8 },
    sessions: {
      total: 20, attached: 6, turnsOpen: 2,
      byState: { live: 1, idle: 2, busy: 3, lingering: 4, stored: 5, lost: 6 },
    },
    backends: [sampleBackend()],
    bytes: { clientIn: 100, clientOut: 2000, backendIn: 30000, backendOut: 400 },
    frames: { clientIn: 1, clientOut: 20, backendIn: 300, backendOut: 4 },
    registry: { sessions: 21 },
    ...change,
  };
}
