/**
 * How many turns users have and may have: per user and, with his role, together with others.
 *
 *   message ──within the limits──▶ goes on, with a slot of its user's for the session
 *      └──beyond──▶ waits in the user's own line ──▶ goes on ─┬─ slot given back when the turn is over
 *                        └── no room, or for too long: refused └─ or when it opens none
 *
 * A slot is for one session of one user: what he sends to it while he has that, needs no second one.
 * Lines take turns, so where a limit of all users with a role is what holds, it is one message of each in
 * turn, however many each of them has sent.
 *
 * Slots are taken before the turn lock (turn-lock.ts): whoever waits for the lock has his slot, so a turn never
 * waits for one that somebody behind it has.
 */
import type { Session } from './session.js';
import { UNLIMITED, type Allowance, type LimitName, type NoQuota, type SharedLimit, type SharedTurns, type TurnMessage, type TurnRates, type UserUsage } from './turn-limits.js';
import { TurnLine, type Slot } from './turn-line.js';

/** All users with a role. */
interface Group {
  active: number;
  /** Another Skyport has what is left; until the next look. */
  full: boolean;
  /** No further turn this minute, before then. */
  rateUntil: number;
}

/** Milliseconds. Nobody knows when a turn ends: what turns have taken lately is told, within these. */
const RETRY = { least: 1_000, first: 5_000, most: 60_000 };

export interface QuotaOptions {
  readonly rates: TurnRates;
  readonly shared?: SharedTurns;
  /** Milliseconds on a clock that never goes back. */
  readonly now?: () => number;
}

export class TurnQuota {
  private readonly lines = new Map<string, TurnLine>();
  /** Lines in which somebody waits; who was served is put last. */
  private readonly ring = new Set<TurnLine>();
  private readonly groups = new Map<string, Group>();
  private readonly slots = new Map<Session, Set<Slot>>();
  private readonly rates: TurnRates;
  private readonly shared: SharedTurns | undefined;
  private readonly now: () => number;
  private pumping = false;
  private due = false;
  /** Milliseconds that a turn took lately. */
  private usual = RETRY.first;
  private lastId = 0;

  constructor({ rates, shared, now = () => performance.now() }: QuotaOptions) {
    this.rates = rates;
    this.shared = shared;
    this.now = now;
  }

  /** Goes on or waits. `ended` must follow, however the message ends. */
  enter(message: TurnMessage): void {
    const line = this.lineOf(message.user);
    const allowance = message.allowance();
    if (allowance === UNLIMITED && line.length === 0) {
      this.grant(line, message, this.reserve(line, message.session));
      return;
    }
    const { blocked } = line;
    if (blocked && line.length >= allowance.queued && !line.mayOvertake(message)) {
      message.refused(this.no('full', line, allowance, blocked));
      return;
    }
    line.add(message, this.now());
    this.ring.add(line);
    if (line.first() !== message) {
      if (blocked) line.tellLast(message, blocked);
    } else if (this.due || this.pumping) {
      this.pumpSoon();
    } else {
      this.step(line);
    }
  }

  /**
   * The message was answered, refused, cancelled, or its client is gone. Calling it twice does nothing.
   * @param over the answer means that the turn is over: it was asked for with `wait`
   */
  ended(message: TurnMessage, ok: boolean, over = false): void {
    const line = this.lines.get(message.user);
    if (!line) return;
    if (this.leave(line, message)) return this.pumpSoon();
    const slot = line.granted.get(message);
    if (!slot) return;
    line.granted.delete(message);
    slot.pending--;
    if (ok && slot.session.turn.open) slot.running = true;
    // Its turn may be seen to open within milliseconds (turn-lock.ts); two looks without it are the proof.
    else if (ok && !over) slot.doubt = 2;
    this.settle(slot);
  }

  /** To be called in the moment in which a turn is over. */
  turnEnded(session: Session): void {
    for (const slot of [...this.slots.get(session) ?? []]) {
      slot.running = false;
      slot.doubt = 0;
      this.settle(slot);
    }
  }

  /** Limits have changed. */
  changed(): void {
    for (const line of this.lines.values()) line.rateUntil = 0;
    for (const group of this.groups.values()) group.rateUntil = 0;
    this.lookAgain();
  }

  /** Janitor: ends waits that took too long, and looks for what it was not told of. @param stopping nobody may wait any more */
  tick(stopping: boolean): void {
    const now = this.now();
    for (const line of [...this.lines.values()]) {
      for (const slot of [...line.slots.values()]) this.look(slot);
      for (const [message, since] of line.waiting()) {
        const allowance = message.allowance();
        if (!stopping && now - since < allowance.wait) break;
        this.refuse(line, message, this.no(stopping ? 'stopping' : 'waited', line, allowance, line.blocked ?? 'active'));
      }
      if (line.isIdle(now)) this.lines.delete(line.user);
    }
    this.lookAgain();
  }

  /** Of users who have something open or waiting, or have had within the last minute. */
  usage(): UserUsage[] {
    const now = this.now();
    return [...this.lines.values()].filter((line) => !line.isIdle(now)).map((line) => ({
      user: line.user, turnsOpen: line.slots.size, turnsQueued: line.length, turnsLastMinute: line.recent.count(now),
    }));
  }

  /** A slot may have been given back at another Skyport. */
  private lookAgain(): void {
    for (const line of this.lines.values()) line.full = false;
    for (const group of this.groups.values()) group.full = false;
    this.pump();
  }

  /** Whoever gives something back may be in the middle of it. */
  private pumpSoon(): void {
    if (this.due || this.ring.size === 0) return;
    this.due = true;
    queueMicrotask(() => this.pump());
  }

  /** One message of each line in turn, as long as any may go on. */
  private pump(): void {
    this.due = false;
    if (this.pumping) return;
    this.pumping = true;
    try {
      for (let served = true; served;) {
        served = false;
        for (const line of [...this.ring]) served = this.step(line) || served;
      }
    } finally {
      this.pumping = false;
    }
  }

  /** @returns true when a message has left the line */
  private step(line: TurnLine): boolean {
    const message = line.trying ? undefined : line.first();
    if (!message) return false;
    const { session } = message;
    const allowance = message.allowance();
    const limit = session.deleted ? undefined : this.obstacle(line, message, allowance);
    if (limit) {
      this.block(line, allowance, limit);
      return false;
    }
    const shared = this.shared && !line.slots.has(session) ? sharedLimits(line.user, allowance) : [];
    const slot = this.reserve(line, session, allowance.allActive?.role);
    if (session.deleted || (shared.length === 0 && allowance.perMinute === Infinity && !allowance.allPerMinute)) {
      this.pass(line, message, slot);
      return true;
    }
    line.trying = message;
    void this.acquire(line, slot, allowance, shared).then((refused) => this.tried(line, message, slot, allowance, refused));
    return false;
  }

  /** What can be told without asking anybody. */
  private obstacle(line: TurnLine, { session }: TurnMessage, { active, perMinute, allActive, allPerMinute }: Allowance): LimitName | undefined {
    const now = this.now();
    if (perMinute < Infinity && now < line.rateUntil) return 'per_minute';
    if (allPerMinute && now < this.groupOf(allPerMinute.role).rateUntil) return 'role_per_minute';
    if (line.slots.has(session)) return undefined;
    if (line.slots.size >= active || (line.full && active < Infinity)) return 'active';
    const group = allActive && this.groupOf(allActive.role);
    return group && (group.full || group.active >= allActive.limit) ? 'role_active' : undefined;
  }

  private async acquire(line: TurnLine, slot: Slot, allowance: Allowance, shared: readonly SharedLimit[]): Promise<LimitName | undefined> {
    if (shared.length > 0) {
      const full = await this.shared!.take(slot.id, shared);
      if (full) {
        (full.kind === 'user' ? line : this.groupOf(full.name)).full = true;
        return full.kind === 'user' ? 'active' : 'role_active';
      }
      slot.shared = true;
    }
    const { perMinute, allPerMinute } = allowance;
    const own = perMinute === Infinity ? 0 : await this.rates.take(`user:${line.user}`, perMinute);
    if (own > 0) {
      line.rateUntil = this.now() + own;
      return 'per_minute';
    }
    const together = allPerMinute ? await this.rates.take(`role:${allPerMinute.role}`, allPerMinute.limit) : 0;
    if (together === 0) return undefined;
    this.groupOf(allPerMinute!.role).rateUntil = this.now() + together;
    if (perMinute < Infinity) this.rates.giveBack(`user:${line.user}`);
    return 'role_per_minute';
  }

  private tried(line: TurnLine, message: TurnMessage, slot: Slot, allowance: Allowance, limit: LimitName | undefined): void {
    line.trying = undefined;
    if (line.has(message) && !limit) {
      this.pass(line, message, slot);
    } else {
      slot.pending--;
      this.settle(slot);
      if (limit) {
        this.block(line, allowance, limit);
      } else {
        if (allowance.perMinute < Infinity) this.rates.giveBack(`user:${line.user}`);
        if (allowance.allPerMinute) this.rates.giveBack(`role:${allowance.allPerMinute.role}`);
      }
    }
    this.pumpSoon();
  }

  private pass(line: TurnLine, message: TurnMessage, slot: Slot): void {
    line.delete(message);
    line.blocked = undefined;
    this.ring.delete(line);
    if (line.length > 0) this.ring.add(line);
    this.grant(line, message, slot);
  }

  private grant(line: TurnLine, message: TurnMessage, slot: Slot): void {
    line.granted.set(message, slot);
    line.recent.add(this.now());
    slot.used = true;
    message.go();
  }

  private block(line: TurnLine, allowance: Allowance, limit: LimitName): void {
    line.blocked = limit;
    for (let last = line.newest(); last && line.length > allowance.queued; last = line.newest()) {
      this.refuse(line, last, this.no('full', line, allowance, limit));
    }
    line.tellFirst(limit);
  }

  private refuse(line: TurnLine, message: TurnMessage, why: NoQuota): void {
    this.leave(line, message);
    message.refused(why);
  }

  /** @returns false when it did not wait */
  private leave(line: TurnLine, message: TurnMessage): boolean {
    if (!line.delete(message)) return false;
    if (line.length > 0) return true;
    line.blocked = undefined;
    this.ring.delete(line);
    return true;
  }

  private no(reason: NoQuota['reason'], line: TurnLine, { allPerMinute }: Allowance, limit: LimitName): NoQuota {
    const until = limit === 'per_minute' ? line.rateUntil : limit === 'role_per_minute' && allPerMinute ? this.groupOf(allPerMinute.role).rateUntil : 0;
    const left = until - this.now();
    const retryAfter = Math.ceil(left > 0 ? left : Math.min(RETRY.most, Math.max(RETRY.least, this.usual)));
    return { reason, limit, retryAfter };
  }

  /** A slot for one more message. */
  private reserve(line: TurnLine, session: Session, role?: string): Slot {
    let slot = line.slots.get(session);
    if (!slot) {
      slot = { id: String(++this.lastId), line, session, role, since: this.now(), pending: 0, running: false, doubt: 0, used: false, shared: false };
      line.slots.set(session, slot);
      const others = this.slots.get(session);
      if (others) others.add(slot);
      else this.slots.set(session, new Set([slot]));
      if (role !== undefined) this.groupOf(role).active++;
    }
    slot.pending++;
    return slot;
  }

  /** The end of its turn may not have been told: of a session that was deleted, or that another Skyport has. */
  private look(slot: Slot): void {
    const { session } = slot;
    const open = session.turn.open && !session.deleted;
    slot.running = open && (slot.running || slot.doubt > 0);
    slot.doubt = open || session.deleted ? 0 : Math.max(0, slot.doubt - 1);
    this.settle(slot);
  }

  /** Gives the slot back when nothing has it any more. */
  private settle(slot: Slot): void {
    const { line, session, role, pending, running, doubt } = slot;
    if (pending > 0 || running || doubt > 0) return;
    line.slots.delete(session);
    const others = this.slots.get(session);
    others?.delete(slot);
    if (others?.size === 0) this.slots.delete(session);
    if (role !== undefined) this.groupOf(role).active--;
    if (slot.shared) {
      this.shared!.giveBack(slot.id);
      line.full = false;
      if (role !== undefined) this.groupOf(role).full = false;
    }
    if (slot.used) this.usual += (this.now() - slot.since - this.usual) / 8;
    this.pumpSoon();
  }

  private lineOf(user: string): TurnLine {
    let line = this.lines.get(user);
    if (!line) this.lines.set(user, (line = new TurnLine(user)));
    return line;
  }

  private groupOf(role: string): Group {
    let group = this.groups.get(role);
    if (!group) this.groups.set(role, (group = { active: 0, full: false, rateUntil: 0 }));
    return group;
  }
}

function sharedLimits(user: string, { active, allActive }: Allowance): SharedLimit[] {
  const own: SharedLimit[] = active === Infinity ? [] : [{ kind: 'user', name: user, limit: active }];
  return allActive ? [...own, { kind: 'role', name: allActive.role, limit: allActive.limit }] : own;
}
