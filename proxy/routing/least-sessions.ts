/**
 * The better of two backends drawn at random: the one with fewer sessions for its weight. With two
 * backends that is exactly the least loaded one; with many it is nearly as even, and several
 * Skyports on one store, each with a count that is a little old, do not all rush to the same one.
 */
import type { Ask, Candidate, Choice } from './policy.js';

export class LeastSessions implements Choice {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  choose(takers: readonly Candidate[], _ask: Ask): Candidate {
    const first = Math.floor(this.#random() * takers.length);
    if (takers.length === 1) return takers[0]!;
    let second = Math.floor(this.#random() * (takers.length - 1));
    if (second >= first) second++;
    const a = takers[first]!;
    const b = takers[second]!;
    // The draw's order is random too, so keeping the first on a tie favours nobody.
    return load(b) < load(a) ? b : a;
  }
}

/**
 * Sessions per unit of weight with the new session counted in: among empty backends the heavier
 * one wins, and one in slow start is not flooded for being empty.
 */
function load(candidate: Candidate): number {
  return (candidate.sessions + 1) / (candidate.weight * candidate.ramp);
}
