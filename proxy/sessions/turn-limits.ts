/** What the limits of turns are about: who may have how many, and whom it is asked of. */
import type { Session } from './session.js';

/** What is in the way. `role_*`: what all users with a role may have together. */
export type LimitName = 'active' | 'per_minute' | 'role_active' | 'role_per_minute';

/** What all users with a role may have together. */
export interface Together {
  readonly role: string;
  readonly limit: number;
}

/** The limits that hold for one sender. Infinity: none. */
export interface Allowance {
  readonly active: number;
  readonly perMinute: number;
  /** Messages that may wait. */
  readonly queued: number;
  /** Milliseconds that each may wait. */
  readonly wait: number;
  readonly allActive?: Together;
  readonly allPerMinute?: Together;
}

export const UNLIMITED: Allowance = { active: Infinity, perMinute: Infinity, queued: 100, wait: 60_000 };

/** `full`: as many wait as may; `waited`: for too long; `stopping`: Skyport shuts down. */
export interface NoQuota {
  readonly reason: 'full' | 'waited' | 'stopping';
  readonly limit: LimitName;
  /** Milliseconds after which it may be worth another try. */
  readonly retryAfter: number;
}

/** One message that opens a turn. Of `go` and `refused` at most one is called, once. */
export interface TurnMessage {
  readonly user: string;
  readonly session: Session;
  /** As it is now: a reload may change it. */
  allowance(): Allowance;
  /** May be called before `enter` returns. */
  go(): void;
  refused(why: NoQuota): void;
  /** It waits, or has moved up. @param place 1 is next */
  waits(place: number, limit: LimitName): void;
}

/** Counts what was begun within a minute; never rejects. */
export interface TurnRates {
  /** @returns 0, or milliseconds until it may be worth another try; then it was not counted */
  take(key: string, limit: number): Promise<number>;
  /** What was counted did not begin after all. */
  giveBack(key: string): void;
}

/** The turns of all Skyports on a store; never rejects. */
export interface SharedTurns {
  /** @returns the first of them that is full, if any: nothing is taken then */
  take(id: string, keys: readonly SharedLimit[]): Promise<SharedLimit | undefined>;
  giveBack(id: string): void;
  /** Janitor: keeps what is taken. */
  tick(): Promise<void>;
}

export interface SharedLimit {
  readonly kind: 'user' | 'role';
  readonly name: string;
  readonly limit: number;
}

export interface UserUsage {
  readonly user: string;
  /** Turns that run. */
  readonly turnsOpen: number;
  /** Messages that wait for a limit. */
  readonly turnsQueued: number;
  /** Messages that were passed on within the last minute, or a few seconds more. */
  readonly turnsLastMinute: number;
}
