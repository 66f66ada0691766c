/**
 * With whom sessions are shared: by their owner (`skyport share`, in the registry) and by rules of
 * the configuration for ids of a pattern (`sessions.shares`). Who is not named here has nothing.
 */
import { stronger, type SharedAccess } from '../protocol/access.js';
import type { Shares as StoredShares } from '../store/registry.js';
import type { Session } from './session.js';

export type Shares = StoredShares;

/** Whom a share names. */
export interface Sharers {
  readonly users: readonly string[];
  readonly roles: readonly string[];
}

/** Sessions with an id of this pattern are shared so; `$<team>` in a name is what the group `team` found. */
export interface SharingRule extends Sharers {
  readonly pattern: RegExp;
  readonly as: SharedAccess;
}

/** Who asks; a user, never a service, which speaks for others. */
export interface Sharer {
  readonly user: string;
  readonly roles: ReadonlySet<string>;
}

/** Who may use which shared session, by the rules of one configuration; a reload makes another one. */
export class Sharing {
  /** What the rules make of an id never changes. */
  private readonly byRules = new WeakMap<Session, Shares>();

  constructor(private readonly rules: readonly SharingRule[] = []) {}

  /** There are rules: whether a session is shared is asked of its id. */
  get ruling(): boolean {
    return this.rules.length > 0;
  }

  /** What somebody who does not own the session has on it: the strongest of his name, his roles and the rules. */
  access(who: Sharer, session: Session): SharedAccess | undefined {
    const { shares } = session;
    const own = shares && accessBy(shares, who);
    return this.rules.length === 0 ? own : stronger(own, accessBy(this.ruled(session), who));
  }

  /** Whether anybody but the owner has something on it. */
  shared(session: Session): boolean {
    return session.shares !== undefined || (this.rules.length > 0 && this.ruled(session) !== NOBODY);
  }

  /** With whom the rules share it. */
  ruled(session: Session): Shares {
    let ruled = this.byRules.get(session);
    if (!ruled) this.byRules.set(session, (ruled = this.applied(session.id)));
    return ruled;
  }

  private applied(id: string): Shares {
    let shares: Shares | undefined;
    for (const { pattern, users, roles, as } of this.rules) {
      const groups = pattern.exec(id)?.groups;
      if (groups === undefined && !pattern.test(id)) continue;
      const named = (name: string): string => name.replace(GROUP, (_, group: string) => groups?.[group] ?? '');
      shares = raised(shares, { users: users.map(named), roles: roles.map(named) }, as);
    }
    return shares ?? NOBODY;
  }
}

/** A group's name in a rule's name: `$<team>`. */
export const GROUP = /\$<(\w+)>/g;

const NOBODY: Shares = { users: {}, roles: {} };

/** Shares with these, too, as this and nothing else: a writer becomes a reader that way. */
export function withShares(shares: Shares | undefined, { users, roles }: Sharers, as: SharedAccess): Shares {
  const set = (names: readonly string[]): Record<string, SharedAccess> => Object.fromEntries(names.map((name) => [name, as]));
  return { users: { ...shares?.users, ...set(users) }, roles: { ...shares?.roles, ...set(roles) } };
}

/** Takes shares away. @returns undefined when none is left */
export function withoutShares(shares: Shares | undefined, { users, roles }: Sharers): Shares | undefined {
  const left = { users: without(shares?.users, users), roles: without(shares?.roles, roles) };
  return Object.keys(left.users).length + Object.keys(left.roles).length === 0 ? undefined : left;
}

/** Those of the named that have no share. */
export function missingIn(shares: Shares | undefined, { users, roles }: Sharers): Sharers {
  return {
    users: users.filter((name) => of(shares?.users, name) === undefined),
    roles: roles.filter((name) => of(shares?.roles, name) === undefined),
  };
}

function raised(shares: Shares | undefined, { users, roles }: Sharers, as: SharedAccess): Shares {
  const raise = (known: Shares['users'] | undefined, names: readonly string[]): Record<string, SharedAccess> => ({
    ...known, ...Object.fromEntries(names.map((name) => [name, stronger(of(known, name), as) ?? as])),
  });
  return { users: raise(shares?.users, users), roles: raise(shares?.roles, roles) };
}

function accessBy({ users, roles }: Shares, who: Sharer): SharedAccess | undefined {
  let access = of(users, who.user);
  for (const role of who.roles) access = stronger(access, of(roles, role));
  return access;
}

/** A user may be called `constructor`. */
function of(shares: Shares['users'] | undefined, name: string): SharedAccess | undefined {
  return shares && Object.hasOwn(shares, name) ? shares[name] : undefined;
}

function without(shares: Shares['users'] | undefined, names: readonly string[]): Record<string, SharedAccess> {
  return Object.fromEntries(Object.entries(shares ?? {}).filter(([name]) => !names.includes(name)));
}
