/** One user's messages that wait for his limits, in order, and the slots that his turns have. */
import type { Session } from './session.js';
import type { LimitName, TurnMessage } from './turn-limits.js';

/** A user's turn on one session, from the first message that is passed on until the turn is over. */
export interface Slot {
  readonly id: string;
  readonly line: TurnLine;
  readonly session: Session;
  /** The role that it is counted under, too. */
  readonly role: string | undefined;
  readonly since: number;
  /** Messages that have it and were not answered yet. */
  pending: number;
  /** A message was taken, and its turn is open. */
  running: boolean;
  /** A message was taken, and its turn is not open (yet): how often that is looked at again. */
  doubt: number;
  /** A message was passed on with it. */
  used: boolean;
  /** All Skyports know of it. */
  shared: boolean;
}

/** Only the first so many are told each time that they move up. */
const TOLD = 10;

interface Place {
  readonly since: number;
  /** As it was told last. */
  place: number;
}

export class TurnLine {
  readonly slots = new Map<Session, Slot>();
  /** What was passed on and not answered. */
  readonly granted = new Map<TurnMessage, Slot>();
  readonly recent = new LastMinute();
  /** It is being found out whether this one may go on. */
  trying: TurnMessage | undefined;
  /** Why the first one waits, since it was last looked at. */
  blocked: LimitName | undefined;
  /** Other Skyports have what is left; until the next look. */
  full = false;
  /** No further turn this minute, before then. */
  rateUntil = 0;
  /** In order of arrival. */
  private readonly places = new Map<TurnMessage, Place>();
  /** For sessions that have a slot, so that all they wait for is the minute: they need not wait for the others. */
  private readonly ahead = new Set<TurnMessage>();
  /** How many of the others there are for each session. */
  private readonly behind = new Map<Session, number>();

  constructor(readonly user: string) {}

  /** Number of messages that wait. */
  get length(): number {
    return this.places.size;
  }

  /** The next one. */
  first(): TurnMessage | undefined {
    for (const messages of [this.ahead, this.places.keys()]) for (const message of messages) return message;
    return undefined;
  }

  /** The one that came last. */
  newest(): TurnMessage | undefined {
    return [...this.places.keys()].at(-1);
  }

  /** Those that wait with when they came, in order of arrival. */
  *waiting(): IterableIterator<[TurnMessage, number]> {
    for (const [message, { since }] of this.places) yield [message, since];
  }

  has(message: TurnMessage): boolean {
    return this.places.has(message);
  }

  /** It is for a session that has a slot, and no earlier one for that session would be overtaken. */
  mayOvertake({ session }: TurnMessage): boolean {
    return this.slots.has(session) && !this.behind.has(session);
  }

  add(message: TurnMessage, now: number): void {
    if (this.mayOvertake(message)) this.ahead.add(message);
    else this.behind.set(message.session, (this.behind.get(message.session) ?? 0) + 1);
    this.places.set(message, { since: now, place: 0 });
  }

  /** @returns false when it did not wait */
  delete(message: TurnMessage): boolean {
    if (!this.places.delete(message)) return false;
    if (this.ahead.delete(message)) return true;
    const left = this.behind.get(message.session)! - 1;
    if (left > 0) this.behind.set(message.session, left);
    else this.behind.delete(message.session);
    return true;
  }

  /** The message has come last and waits. */
  tellLast(message: TurnMessage, limit: LimitName): void {
    if (this.ahead.size === 0 && this.behind.get(message.session) === 1) this.tell(message, this.length, limit);
  }

  /** Tells the first of those that wait where they are; of several for one session the first. */
  tellFirst(limit: LimitName): void {
    const sessions = new Set<Session>();
    let place = 0;
    for (const message of this.inOrder()) {
      if (++place > TOLD) return;
      if (sessions.has(message.session)) continue;
      sessions.add(message.session);
      this.tell(message, place, limit);
    }
  }

  /** Nothing runs, waits or was begun of late. */
  isIdle(now: number): boolean {
    return this.slots.size === 0 && this.length === 0 && this.granted.size === 0 && this.recent.count(now) === 0;
  }

  private tell(message: TurnMessage, place: number, limit: LimitName): void {
    const known = this.places.get(message);
    if (!known || known.place === place) return;
    known.place = place;
    message.waits(place, limit);
  }

  private *inOrder(): IterableIterator<TurnMessage> {
    yield* [...this.ahead];
    for (const message of this.places.keys()) if (!this.ahead.has(message)) yield message;
  }
}

/** Milliseconds; what is older than a minute is forgotten in steps of these. */
const STEP = 5_000;
const STEPS = 12;

/** Counts what happened within the last minute. */
export class LastMinute {
  private readonly steps = new Uint32Array(STEPS);
  private at = 0;

  add(now: number): void {
    this.forget(now);
    this.steps[this.at % STEPS]!++;
  }

  count(now: number): number {
    this.forget(now);
    return this.steps.reduce((sum, count) => sum + count, 0);
  }

  private forget(now: number): void {
    const at = Math.floor(now / STEP);
    for (let step = Math.max(this.at + 1, at - STEPS + 1); step <= at; step++) this.steps[step % STEPS] = 0;
    this.at = at;
  }
}
