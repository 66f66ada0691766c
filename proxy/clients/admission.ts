/**
 * Limits of turns (`limits.turns`, `limits.roles`): a call that opens a turn waits here in its user's line
 * while he has as many as he may, and is refused when too many wait, or for too long. Nothing else is held
 * back: an abort, an answer to a prompt and every setting pass at any time.
 *
 * Whose turn it is: its sender's, also in somebody else's session. A service speaks for the user that the session
 * id names. What comes from another Skyport was counted there, where its sender is.
 *
 * Sessions that a user owns (`sessions_per_user`, `limits.roles`) are counted here, too.
 */
import { isService } from '../identity/principal.js';
import { refuse, type Refusal } from '../protocol/errors.js';
import type { Directory } from '../sessions/directory.js';
import { limitEvent } from '../sessions/place-event.js';
import type { Session } from '../sessions/session.js';
import type { Allowance, LimitName, NoQuota, SharedTurns, TurnMessage, UserUsage } from '../sessions/turn-limits.js';
import { TurnQuota, type QuotaOptions } from '../sessions/turn-quota.js';
import { channels } from '../channels.js';
import { Allowances, type LimitRules } from './allowances.js';
import type { Ask } from './ask.js';
import { RoleSessions } from './role-sessions.js';

const NONE: ReadonlySet<string> = new Set();

type RolesOf = (owner: string, sessionId: string) => ReadonlySet<string>;

export class Admission {
  private readonly quota: TurnQuota;
  private readonly sessions: RoleSessions;
  private readonly shared: SharedTurns | undefined;
  private allowances: Allowances;

  /** @param rolesOf the roles of a session's owner, who need not be there */
  constructor(rules: LimitRules, private readonly directory: Directory, private readonly rolesOf: RolesOf, options: QuotaOptions) {
    this.allowances = new Allowances(rules);
    this.sessions = new RoleSessions(directory, rolesOf);
    this.quota = new TurnQuota(options);
    this.shared = options.shared;
  }

  /** After a reload of limits or roles: these are in force at once, for those who wait, too. */
  update(rules: LimitRules): void {
    this.allowances = new Allowances(rules);
    this.sessions.forget();
    this.quota.changed();
  }

  /** Calls `go` when the client may open a turn: at once as a rule. The call may be refused instead. */
  admit(ask: Ask, session: Session, go: () => void): void {
    const { client } = ask;
    if (client.isPeer || !client.principal) return go();
    const message = new Message(ask, session, go, () => this.allowances.turns(client.principal?.roles ?? NONE));
    const before = ask.onEnd;
    ask.onEnd = (ok) => {
      message.end('left');
      this.quota.ended(message, ok, ask.scan.paramKeys.includes('wait'));
      before?.(ok);
    };
    this.quota.enter(message);
    if (message.through || ask.done) return;
    ask.keep();
    message.begin();
  }

  /** To be called in the moment in which a turn is over. */
  turnEnded(session: Session): void {
    this.quota.turnEnded(session);
  }

  /**
   * @param roles the owner's
   * @param usual sessions that one user may own where his role says nothing
   * @returns why there can be no further session of this owner, if so
   */
  refuseSessions(owner: string, roles: ReadonlySet<string>, usual: number): Refusal | undefined {
    if (this.directory.ownedBy(owner).size >= (this.allowances.sessions(roles) ?? usual)) return refuse('SKYPORT_TOO_MANY_SESSIONS');
    const together = this.allowances.allSessions(roles);
    if (!together || this.sessions.count(together.role) < together.limit) return undefined;
    return refuse('SKYPORT_TOO_MANY_SESSIONS', `All users with the role ${together.role} own ${together.limit} sessions`);
  }

  /** The same for a fork, which belongs to the owner of the session, whoever makes it. */
  refuseFork({ id, owner }: Session, usual: number): Refusal | undefined {
    return this.refuseSessions(owner, this.rolesOf(owner, id), usual);
  }

  /** Janitor: ends waits that took too long, and keeps what other Skyports are to know of. */
  tick(draining: boolean): void {
    this.quota.tick(draining);
    // Not waited for: a store that does not answer must not keep those waiting whose time is up.
    this.shared?.tick().catch((error: unknown) => channels.bug.publish({ where: 'clients/admission', error }));
  }

  /** Of users who have had turns within the last minute, and of those whose messages wait. */
  usageOf(): UserUsage[] {
    return this.quota.usage();
  }
}

class Message implements TurnMessage {
  readonly user: string;
  /** It was passed on. */
  through = false;
  /** Since when it waits; it did not go on at once. */
  private since: number | undefined;

  constructor(private readonly ask: Ask, readonly session: Session, private readonly pass: () => void, readonly allowance: () => Allowance) {
    const { principal } = ask.client;
    this.user = isService(principal!) ? session.owner : principal!.user;
  }

  go(): void {
    const { draining, storeAway } = this.ask.client.services;
    const late = this.since !== undefined;
    this.through = true;
    this.end('passed');
    if (late && draining) this.ask.refuse(refuse('SKYPORT_SHUTTING_DOWN'));
    else if (late && storeAway()) this.ask.refuse(refuse('SKYPORT_STORE_UNAVAILABLE'));
    else this.pass();
  }

  refused(why: NoQuota): void {
    channels.turnRefused.publish({ user: this.user, limit: why.limit, reason: why.reason });
    this.end('refused');
    this.ask.refuse(why.reason === 'stopping' ? refuse('SKYPORT_SHUTTING_DOWN') : refusal(why, this.allowance()));
  }

  waits(place: number, limit: LimitName): void {
    this.ask.client.attachments.get(this.session.id)?.tell(limitEvent(this.session.id, place, limit));
  }

  begin(): void {
    this.since = performance.now();
    channels.turnWaiting.publish({ user: this.user });
  }

  /** It waits no longer, if it did. */
  end(outcome: 'passed' | 'refused' | 'left'): void {
    if (this.since === undefined) return;
    const durationMs = performance.now() - this.since;
    this.since = undefined;
    channels.turnWaited.publish({ user: this.user, outcome, durationMs });
  }
}

const TEXTS: Readonly<Record<LimitName, (allowance: Allowance) => string>> = {
  active: ({ active }) => `${active} at one time`,
  per_minute: ({ perMinute }) => `${perMinute} within a minute`,
  role_active: ({ allActive }) => `${allActive?.limit} of all users with the role ${allActive?.role} at one time`,
  role_per_minute: ({ allPerMinute }) => `${allPerMinute?.limit} of all users with the role ${allPerMinute?.role} within a minute`,
};

function refusal({ reason, limit, retryAfter }: NoQuota, allowance: Allowance): Refusal {
  const why = reason === 'waited' ? `waited ${allowance.wait} ms in vain` : `${allowance.queued} messages may wait`;
  return { ...refuse('SKYPORT_TURN_LIMIT', `Too many turns: ${TEXTS[limit](allowance)}; ${why}`), retryAfterMs: retryAfter };
}
