/**
 * How long a backend that failed its callers is left alone: `base` doubled with each ejection, up
 * to `max`, and forgiven step by step while it behaves.
 */

export interface EjectionOptions {
  /** First back-off, ms. */
  readonly base: number;
  /** Longest back-off, ms; also the quiet time that forgives one ejection. */
  readonly max: number;
  /** Failed calls in a row that eject; 0 turns ejection off. */
  readonly errors: number;
}

/** The share of a back-off that is random, so that backends ejected together do not return together. */
const JITTER = 0.2;

export class Ejection {
  readonly #random: () => number;
  #level = 0;
  #quietSince = -Infinity;

  /** @param random uniform in [0, 1) */
  constructor(random: () => number) {
    this.#random = random;
  }

  /**
   * Counts one ejection.
   * @returns its back-off in ms: min(max, base * 2^n), less up to a fifth
   */
  eject(now: number, options: EjectionOptions): number {
    this.#forgive(now, options);
    const full = Math.min(options.max, options.base * 2 ** this.#level);
    this.#level = Math.min(this.#level + 1, 30);
    return full * (1 - JITTER * this.#random());
  }

  /** The backend is back up: from now on quiet time counts. */
  recovered(now: number): void {
    this.#quietSince = now;
  }

  #forgive(now: number, options: EjectionOptions): void {
    if (this.#level === 0) return;
    const quiet = Math.max(0, now - this.#quietSince);
    const steps = options.max > 0 ? Math.floor(quiet / options.max) : this.#level;
    this.#level = Math.max(0, this.#level - steps);
  }
}
