/**
 * Weighted rendezvous hashing of the user: a user's new sessions go where the earlier ones are, as
 * long as that backend can take them, and nobody has to remember anything.
 *
 * Each backend gets a score from hash(user, backend) = h in (0, 1) and its weight w:
 *
 *   score = -w / ln(h)          the highest score wins; P(win) = w / sum of all w
 *
 * A score depends on its own backend only. So adding a backend, taking one away or changing a
 * weight moves users to or from *that* backend and nobody between the others; and when the
 * favourite is full or down, the users fall to their own second choices, spread over all others,
 * instead of to one neighbour.
 *
 * Slow start scales the weight. A backend that comes up wins back its users in the order of their
 * scores while the ramp rises, and at ramp 1 the map is exactly the one of before: nobody moves for
 * good. Without it, a restarted backend would get all its users' new sessions in the first second.
 */
import type { Ask, Candidate, Choice } from './policy.js';

export class Sticky implements Choice {
  choose(takers: readonly Candidate[], ask: Ask): Candidate {
    let best = takers[0]!;
    let bestScore = -Infinity;
    for (const candidate of takers) {
      const score = rendezvousScore(ask.user, candidate.name, candidate.weight * candidate.ramp);
      // Equal scores need equal hashes; the name decides, so that the order of the config does not.
      if (score > bestScore || (score === bestScore && candidate.name < best.name)) {
        best = candidate;
        bestScore = score;
      }
    }
    return best;
  }
}

/** The score of one backend for one user; finite and above 0 for a weight above 0. */
export function rendezvousScore(user: string, backend: string, weight: number): number {
  // 2^53 + 2 keeps the quotient strictly between 0 and 1 also for the highest hash.
  const h = (hash53(`${user}\0${backend}`) + 1) / (2 ** 53 + 2);
  return -weight / Math.log(h);
}

/**
 * 53 bits, all that a double holds: two 32-bit multiply-xor lanes that are mixed into each other at
 * the end (the construction known as cyrb53, public domain). Its finaliser matters here: with plain
 * FNV-1a, backend names that differ in their last digit get neighbouring hashes, and one of them
 * nearly all users. The map of users to backends hangs on this function: do not change it lightly.
 */
export function hash53(text: string): number {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 2654435761);
    b = Math.imul(b ^ unit, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return 4294967296 * (b & 0x1fffff) + (a >>> 0);
}
