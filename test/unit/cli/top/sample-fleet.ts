import { Sampler, type Sample } from '../../../../proxy/cli/top/rates.js';
import type { Snapshot } from '../../../../proxy/observe/snapshot.js';
import { sampleBackend, sampleSnapshot } from '../../observe/sample-snapshot.js';

/** The moment of the sample, in Unix time. */
export const NOW = 1_700_000_100_000;
const MINUTE = 60_000;

/** A fleet of five in which something is the matter with most, and three users. */
export function sampleFleet(change: Partial<Snapshot> = {}): Snapshot {
  const quiet = { sessionsBound: 0, sessionsAttached: 0, turnsOpen: 0, links: 0, requestsWaiting: 0, restarts: 0, latencyMs: 0.3 };
  return sampleSnapshot({
    at: NOW, process: { pid: 77, rss: 140 * 2 ** 20, cpuMs: 9_000 }, turnsEnded: 50,
    userTotals: { users: 12, active: 2, turnsQueued: 3, most: { sessions: 4, loaded: 2, turnsOpen: 1, turnsQueued: 3 } },
    users: [
      { user: 'carol', sessions: 4, loaded: 0, turnsOpen: 0, turnsQueued: 0, turnsLastMinute: 0, roles: ['user'] },
      { user: 'alice', server: 'user-1', sessions: 3, loaded: 2, turnsOpen: 1, turnsQueued: 3, turnsLastMinute: 7, roles: ['user', 'pro'] },
      { user: 'bob', sessions: 2, loaded: 1, turnsOpen: 0, turnsQueued: 0, turnsLastMinute: 4, roles: ['user'] },
    ],
    backends: [
      sampleBackend({ name: 'cli-1', kind: 'static', pid: undefined, restarts: undefined, sessionsBound: 12, sessionsAttached: 4, turnsOpen: 0, latencyMs: 12.4 }),
      sampleBackend({
        name: 'user-1', tenancy: 'user', user: 'alice', pid: 501, startedAt: NOW - 90 * MINUTE, rss: 300 * 2 ** 20, openFiles: 51, children: 3,
        cpuMs: 500, usageAt: 1_000, sessionsBound: 3, sessionsAttached: 2, turnsOpen: 1, pingMs: 0.4, createMs: 31, latencyFactor: 4.2, recycleReason: 'latency',
        draining: true, drainingSince: NOW - 5_000,
      }),
      sampleBackend({ ...quiet, name: 'spare-1', tenancy: 'spare', pid: 502, startedAt: NOW - 30_000, rss: 24 * 2 ** 20, openFiles: 20, children: 0, canary: true }),
      sampleBackend({ ...quiet, name: 'managed-1', tenancy: 'shared', state: 'waiting', version: undefined, pid: undefined, latencyMs: undefined, crashLoop: true, lastError: 'exit code 1' }),
    ],
    ...change,
  });
}

/** The second of two samples, a second apart. */
export function sampleOf(snapshot: Snapshot = sampleFleet()): Sample {
  const sampler = new Sampler();
  sampler.take({
    ...snapshot, at: NOW - 1_000, turnsEnded: 48, process: { pid: 77, rss: 0, cpuMs: 8_880 },
    backends: snapshot.backends.map((server) => ({ ...server, cpuMs: server.cpuMs && server.cpuMs - 250, usageAt: server.usageAt && server.usageAt - 1_000 })),
    frames: { ...snapshot.frames, clientOut: 5 }, bytes: { ...snapshot.bytes, clientOut: 800 },
  });
  return sampler.take(snapshot);
}
