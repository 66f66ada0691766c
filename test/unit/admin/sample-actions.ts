import type { AdminActions, DrainReport, RestartReport, SessionRow } from '../../../proxy/admin/actions.js';
import { sampleSnapshot } from '../observe/sample-snapshot.js';

export const sampleRow: SessionRow = {
  id: 'alice-1', owner: 'alice', backend: 'cli-1', epoch: 3, state: 'busy', attachments: 2,
  createdAt: 1_700_000_000_000, usedAt: 1_700_000_060_000, turns: 4,
};

export const sampleReport: DrainReport = {
  name: 'cli-1', state: 'up', draining: true, drained: false, sessionsBound: 7, sessionsAttached: 3, turnsOpen: 1,
};

export const sampleRestart: RestartReport = {
  running: false,
  servers: ['managed-1', 'managed-2'].map((name) => ({ name, state: 'done', sessionsLoaded: 0, sessionsStaying: 0, turnsOpen: 0 })),
  failure: undefined,
};

/** Actions that remember what was asked and know one backend, `cli-1`. */
export function sampleActions(asked: unknown[], change: Partial<AdminActions> = {}): AdminActions {
  const known = (verb: string, name: string) => {
    asked.push([verb, name]);
    return name === 'cli-1' ? { ...sampleReport, draining: verb === 'drain' } : { unknownBackend: name, names: ['cli-1', 'cli-2'] };
  };
  return {
    status: () => sampleSnapshot(),
    sessions: (filter) => {
      asked.push(['sessions', filter]);
      return [sampleRow];
    },
    drain: (name) => known('drain', name),
    undrain: (name) => known('undrain', name),
    share: ({ as, ...request }) => {
      asked.push(['share', request, as]);
      if (request.session !== 'alice-1') return { unknownSession: request.session };
      if (request.users.includes('alice')) return { shareRefused: 'The session is alice\'s own' };
      return { ...sampleRow, shares: { users: Object.fromEntries(request.users.map((name) => [name, as])), roles: Object.fromEntries(request.roles.map((name) => [name, as])) } };
    },
    unshare: (request) => {
      asked.push(['unshare', request]);
      if (request.session !== 'alice-1') return { unknownSession: request.session };
      return { session: sampleRow, missing: { users: request.users.filter((name) => name !== 'bob'), roles: request.roles } };
    },
    move: (request) => {
      asked.push(['move', request]);
      if (request.session !== 'alice-1') return { unknownSession: request.session };
      if (request.backend === 'cli-9') return { unknownBackend: 'cli-9', names: ['cli-1', 'cli-2'] };
      if (request.backend === 'cli-3') return { orderRefused: 'cli-3 takes no sessions: it is down' };
      return { session: request.session, from: 'cli-1', to: request.backend ?? 'cli-2' };
    },
    restart: (timeout) => {
      asked.push(['restart', timeout]);
      return sampleRestart;
    },
    restartProgress: () => sampleRestart,
    prune: (request) => {
      asked.push(['prune', request]);
      return { deleted: request.sessions, kept: [] };
    },
    reload: () => Promise.resolve({ ok: true, problems: [], reloaded: ['limits.clients'], needsRestart: [] }),
    ...change,
  };
}
