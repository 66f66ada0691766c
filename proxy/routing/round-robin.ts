/**
 * Smooth weighted round-robin, nginx's: at each pick every backend's credit grows by its weight, the
 * highest credit wins and pays the sum of the weights. Weights 5, 1, 1 give a a b a c a a, not
 * five in a row; equal weights give an exact split.
 *
 * Credits are kept by name, so a reload of the config or a new weight changes nothing about whose
 * turn it is. A backend that cannot take sessions for a while keeps its credit untouched.
 */
import type { Ask, Candidate, Choice } from './policy.js';

export class RoundRobin implements Choice {
  readonly #credit = new Map<string, number>();

  choose(takers: readonly Candidate[], _ask: Ask, all: readonly Candidate[]): Candidate {
    this.#forgetAllBut(all);
    let total = 0;
    let best = takers[0]!;
    let bestCredit = -Infinity;
    for (const candidate of takers) {
      const share = candidate.weight * candidate.ramp;
      const credit = (this.#credit.get(candidate.name) ?? 0) + share;
      this.#credit.set(candidate.name, credit);
      total += share;
      if (credit > bestCredit) {
        best = candidate;
        bestCredit = credit;
      }
    }
    this.#credit.set(best.name, bestCredit - total);
    return best;
  }

  /** A removed backend's credit goes with it; one that is added again starts at 0 like any newcomer. */
  #forgetAllBut(all: readonly Candidate[]): void {
    const known = new Set(all.map(({ name }) => name));
    for (const name of this.#credit.keys()) {
      if (!known.has(name)) this.#credit.delete(name);
    }
  }
}
