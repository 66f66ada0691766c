/**
 * Where a new session goes. A policy decides only that: an existing session follows its binding.
 *
 *   candidates ── able to take a session? ── tier ── policy ── candidate
 *                 eligible, weight > 0,      primaries, and backups
 *                 below maxSessions          only if no primary is left
 *
 * Pure: the caller brings the state of the backends, the policy brings an order.
 */
import { LeastSessions } from './least-sessions.js';
import { RoundRobin } from './round-robin.js';
import { Sticky } from './sticky.js';

/** What a policy knows of a backend. */
export interface Candidate {
  readonly name: string;
  /** Share of new sessions relative to the others; 0 takes none. */
  readonly weight: number;
  /** Sessions it holds at most; left out, there is no bound. */
  readonly maxSessions?: number;
  /** Sessions bound to it now, those being created included. */
  readonly sessions: number;
  /** Takes sessions only when no primary can. */
  readonly backup: boolean;
  /** Up and not draining. */
  readonly eligible: boolean;
  /** Slow start: the part of its weight that counts now, above 0 and up to 1. */
  readonly ramp: number;
}

/** Who asks for a place. */
export interface Ask {
  readonly user: string;
  readonly sessionId: string;
}

export const POLICY_NAMES = ['sticky', 'round_robin', 'least_sessions'] as const;
export type PolicyName = (typeof POLICY_NAMES)[number];

export interface Policy {
  /**
   * @param candidates all configured backends, also those that can take nothing now: round_robin
   *   forgets a name that is not among them
   * @returns the backend for the new session, or undefined when none can take it
   */
  pick(candidates: readonly Candidate[], ask: Ask): Candidate | undefined;
}

/** One way to choose among backends that are all able to take the session. */
export interface Choice {
  /**
   * @param takers one or more, all of one tier
   * @param all every configured backend
   */
  choose(takers: readonly Candidate[], ask: Ask, all: readonly Candidate[]): Candidate;
}

/**
 * Makes a policy. Keep it over reloads of the config: round_robin's turn lives in it, keyed by
 * backend name, and weights are read afresh at each pick.
 * @param random uniform in [0, 1), for tests; only least_sessions draws from it
 */
export function createPolicy(name: PolicyName, random: () => number = Math.random): Policy {
  const choice = createChoice(name, random);
  return {
    pick(candidates, ask) {
      const takers = ableToTake(candidates);
      return takers.length === 0 ? undefined : choice.choose(takers, ask, candidates);
    },
  };
}

/** The backends that may get a new session now: those of the first tier that has any. */
export function ableToTake(candidates: readonly Candidate[]): Candidate[] {
  const able = candidates.filter(
    (c) => c.eligible && c.weight > 0 && c.ramp > 0 && c.sessions < (c.maxSessions ?? Infinity),
  );
  const primaries = able.filter((c) => !c.backup);
  return primaries.length > 0 ? primaries : able;
}

function createChoice(name: PolicyName, random: () => number): Choice {
  switch (name) {
    case 'sticky':
      return new Sticky();
    case 'round_robin':
      return new RoundRobin();
    case 'least_sessions':
      return new LeastSessions(random);
  }
}
