/** The two tables of `skyport top`: what stands in their columns, how they are sorted, what is worth a colour. */
import type { BackendSnapshot, UserSnapshot } from '../../observe/snapshot.js';
import { noteOf, stateText } from '../server-text.js';
import { millisText, shortBytes, span, type Column } from '../table.js';
import type { Meaning } from './paint.js';
import type { Sample } from './rates.js';
import type { SortKey } from './view.js';

export interface TopColumn<R> extends Column<R> {
  meaning?: (row: R) => Meaning | undefined;
  /** It shows what the table is sorted by. */
  sort?: SortKey;
}

/** So many times slower than at first is worth a look. */
const SLOWER = 2;
const MUCH_SLOWER = 4;

export function serverColumns({ cpuOf }: Sample, now: number): TopColumn<BackendSnapshot>[] {
  return [
    { head: 'SERVER', value: ({ name }) => name, shrinksTo: 10 },
    { head: 'USER', value: userText, shrinksTo: 6, drops: 0, meaning: ({ tenancy }) => (tenancy === 'user' ? undefined : 'dim') },
    { head: 'STATE', value: stateText, meaning: stateMeaning },
    { head: 'VERSION', value: ({ version }) => version, shrinksTo: 7, drops: 9 },
    { head: 'AGE', value: ({ startedAt }) => (startedAt === undefined ? undefined : span(now - startedAt)), align: 'right', drops: 3, sort: 'age' },
    { head: 'RSS', value: ({ rss }) => (rss === undefined ? undefined : shortBytes(rss)), align: 'right', drops: 1, sort: 'rss' },
    { head: 'CPU', value: (server) => percent(cpuOf(server)), align: 'right', drops: 7 },
    { head: 'CHILDREN', value: ({ children }) => children, align: 'right', drops: 10 },
    { head: 'FILES', value: ({ openFiles }) => openFiles, align: 'right', drops: 12 },
    { head: 'SESSIONS', value: ({ sessionsBound }) => sessionsBound, align: 'right', sort: 'sessions' },
    { head: 'LOADED', value: ({ sessionsAttached }) => sessionsAttached, align: 'right', drops: 5 },
    { head: 'TURNS', value: ({ turnsOpen }) => turnsOpen, align: 'right', sort: 'turns' },
    { head: 'PING', value: (server) => optional(pingOf(server)), align: 'right', drops: 2, sort: 'latency' },
    { head: 'CREATE', value: ({ createMs }) => optional(createMs), align: 'right', drops: 11 },
    { head: 'DRIFT', value: ({ latencyFactor: factor }) => (factor === undefined ? undefined : `${factor.toFixed(1)}x`), align: 'right', drops: 6, meaning: driftMeaning },
    { head: 'PID', value: ({ pid }) => pid, align: 'right', drops: 13 },
    { head: 'NOTE', value: (server) => noteOf(server, now), shrinksTo: 8, drops: 4, meaning: ({ crashLoop }) => (crashLoop ? 'bad' : 'warn') },
  ];
}

export function userColumns(): TopColumn<UserSnapshot>[] {
  return [
    { head: 'USER', value: ({ user }) => user, shrinksTo: 8 },
    { head: 'SERVER', value: ({ server }) => server ?? 'shared', shrinksTo: 8, drops: 2, meaning: ({ server }) => (server === undefined ? 'dim' : undefined) },
    { head: 'SESSIONS', value: ({ sessions }) => sessions, align: 'right', sort: 'sessions' },
    { head: 'LOADED', value: ({ loaded }) => loaded, align: 'right', drops: 1 },
    { head: 'TURNS', value: ({ turnsOpen }) => turnsOpen, align: 'right', sort: 'turns' },
    { head: 'QUEUED', value: ({ turnsQueued }) => turnsQueued, align: 'right', meaning: ({ turnsQueued }) => (turnsQueued > 0 ? 'warn' : undefined) },
    { head: 'TURNS/MIN', value: ({ turnsLastMinute }) => turnsLastMinute, align: 'right', drops: 3 },
    { head: 'ROLES', value: ({ roles }) => roles?.join(', '), shrinksTo: 5, drops: 4 },
  ];
}

/** The largest first; those without a value last, also in reverse. */
export function sortServers(servers: readonly BackendSnapshot[], key: SortKey, reverse: boolean): BackendSnapshot[] {
  return sorted(servers, reverse, (server) => {
    switch (key) {
      case 'rss': return server.rss;
      case 'sessions': return server.sessionsBound;
      case 'turns': return server.turnsOpen;
      case 'age': return server.startedAt === undefined ? undefined : -server.startedAt;
      case 'latency': return pingOf(server);
    }
  });
}

/** By what a user has of it; memory, age and latency are those of his own server, which has `servers` know. */
export function sortUsers(users: readonly UserSnapshot[], servers: readonly BackendSnapshot[], key: SortKey, reverse: boolean): UserSnapshot[] {
  const byName = new Map(servers.filter(({ predecessor }) => !predecessor).map((server) => [server.name, server]));
  return sorted(users, reverse, (one) => {
    const server = one.server === undefined ? undefined : byName.get(one.server);
    switch (key) {
      case 'sessions': return one.sessions;
      // Where nothing runs at this moment those come first who did something lately.
      case 'turns': return one.turnsOpen + one.turnsQueued + (one.turnsLastMinute ?? 0) / 1e6;
      case 'rss': return server?.rss;
      case 'age': return server?.startedAt === undefined ? undefined : -server.startedAt;
      case 'latency': return server && pingOf(server);
    }
  });
}

export function percent(share: number | undefined): string | undefined {
  return share === undefined ? undefined : `${(share * 100).toFixed(0)}%`;
}

function sorted<R>(rows: readonly R[], reverse: boolean, valueOf: (row: R) => number | undefined): R[] {
  const sign = reverse ? 1 : -1;
  const values = new Map(rows.map((row) => [row, valueOf(row)]));
  return [...rows].sort((a, b) => {
    const [one, other] = [values.get(a), values.get(b)];
    if (one === undefined || other === undefined) return Number(one === undefined) - Number(other === undefined);
    return sign * (one - other);
  });
}

function pingOf({ pingMs, latencyMs }: BackendSnapshot): number | undefined {
  return pingMs ?? latencyMs;
}

function optional(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : millisText(ms);
}

/** Whose it is; a static backend is everybody's. */
function userText({ kind, tenancy, user }: BackendSnapshot): string {
  return user ?? (kind === 'static' ? 'static' : (tenancy ?? 'shared'));
}

function stateMeaning({ state, draining, crashLoop }: BackendSnapshot): Meaning {
  if (crashLoop || state === 'down' || state === 'ejected') return 'bad';
  return state === 'up' && !draining ? 'good' : 'warn';
}

function driftMeaning({ latencyFactor: factor = 1 }: BackendSnapshot): Meaning | undefined {
  if (factor >= MUCH_SLOWER) return 'bad';
  return factor >= SLOWER ? 'warn' : undefined;
}
