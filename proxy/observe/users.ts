/** The users of a snapshot: what is known of each, put together, and bounded. */
import { USERS_LISTED, type UserSnapshot, type UserTotals } from './snapshot.js';

/** What the directory counts of an owner. */
export interface OwnedSessions {
  readonly sessions: number;
  readonly loaded: number;
  readonly turnsOpen: number;
}

/** What the limits count of a user who sends. */
export interface TurnUsage {
  readonly user: string;
  readonly turnsOpen: number;
  readonly turnsQueued: number;
  readonly turnsLastMinute: number;
}

export interface UserSources {
  readonly owners: ReadonlyMap<string, OwnedSessions>;
  /** Of users whose turns are counted, by who sends; of the others a turn is its session's owner's. */
  readonly turns?: Iterable<TurnUsage>;
  /** Users' own servers: by user, their names. */
  readonly servers: ReadonlyMap<string, string>;
  readonly rolesOf?: (user: string) => readonly string[] | undefined;
}

/** @returns the busiest users, at most `USERS_LISTED`, in no order, and the totals of all of them */
export function describeUsers({ owners, turns, servers, rolesOf }: UserSources): { users: UserSnapshot[]; userTotals: UserTotals } {
  const byName = new Map<string, UserSnapshot>();
  for (const [user, { sessions, loaded, turnsOpen }] of owners) {
    byName.set(user, { user, sessions, loaded, turnsOpen, turnsQueued: 0 });
  }
  const known = (user: string): UserSnapshot => {
    let found = byName.get(user);
    if (!found) byName.set(user, (found = { user, sessions: 0, loaded: 0, turnsOpen: 0, turnsQueued: 0 }));
    return found;
  };
  for (const { user, turnsOpen, turnsQueued, turnsLastMinute } of turns ?? []) {
    Object.assign(known(user), { turnsOpen, turnsQueued, turnsLastMinute });
  }
  for (const [user, server] of servers) known(user).server = server;
  const all = [...byName.values()];
  const users = busiest(all);
  if (rolesOf) for (const one of users) one.roles = rolesOf(one.user);
  return { users, userTotals: totalsOf(all) };
}

function isActive({ loaded, turnsOpen, turnsQueued }: UserSnapshot): boolean {
  return loaded > 0 || turnsOpen > 0 || turnsQueued > 0;
}

/** Only those who do something are worth sorting: of the others there may be very many. */
function busiest(all: UserSnapshot[]): UserSnapshot[] {
  if (all.length <= USERS_LISTED) return all;
  const active = all.filter((one) => isActive(one) || one.server !== undefined);
  if (active.length > USERS_LISTED) return active.sort(byActivity).slice(0, USERS_LISTED);
  const listed = new Set(active);
  for (const one of all) {
    if (listed.size === USERS_LISTED) break;
    listed.add(one);
  }
  return [...listed];
}

function byActivity(a: UserSnapshot, b: UserSnapshot): number {
  return b.turnsOpen + b.turnsQueued - (a.turnsOpen + a.turnsQueued) || b.loaded - a.loaded
    || (b.turnsLastMinute ?? 0) - (a.turnsLastMinute ?? 0);
}

function totalsOf(all: readonly UserSnapshot[]): UserTotals {
  const most = { sessions: 0, loaded: 0, turnsOpen: 0, turnsQueued: 0 };
  const totals = { users: all.length, active: 0, turnsQueued: 0, most };
  for (const one of all) {
    if (isActive(one)) totals.active++;
    totals.turnsQueued += one.turnsQueued;
    for (const what of ['sessions', 'loaded', 'turnsOpen', 'turnsQueued'] as const) most[what] = Math.max(most[what], one[what]);
  }
  return totals;
}
