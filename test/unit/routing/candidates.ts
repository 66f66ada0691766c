/** Backends and asks for routing tests. */
import type { Ask, Candidate } from '../../../proxy/routing/policy.js';

export function backend(name: string, over: Partial<Candidate> = {}): Candidate {
  return { name, weight: 1, sessions: 0, backup: false, eligible: true, ramp: 1, ...over };
}

export function ask(user: string, sessionId = 's'): Ask {
  return { user, sessionId };
}

/** A repeatable sequence, uniform in [0, 1): mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
