/**
 * How long to wait before a server is started again: `min` for the first death, doubled for each
 * further one, `max` from the fifth on (the crash-loop breaker), and forgotten after a stable minute.
 */

export interface BackoffLimits {
  /** ms */
  readonly min: number;
  /** ms */
  readonly max: number;
}

/** A server that ran this long has not crashed at its start, ms. */
export const STABLE_AFTER = 60_000;

/** So many deaths in a row without a stable minute are called a crash loop. */
export const LOOP_AFTER = 5;

export class Backoff {
  readonly #random: () => number;
  #deaths = 0;

  /** @param random uniform in [0, 1) */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /**
   * Counts a death.
   * @param ranFor how long the server had been listening, ms; 0 if it never did
   * @returns ms to wait: min * 2^n, from the fifth death on max; less up to half, within min and max
   */
  next(ranFor: number, { min, max }: BackoffLimits): number {
    if (ranFor >= STABLE_AFTER) this.#deaths = 0;
    this.#deaths = Math.min(this.#deaths + 1, LOOP_AFTER);
    const full = this.looping ? max : Math.min(max, min * 2 ** (this.#deaths - 1));
    return Math.max(min, full * (1 - this.#random() / 2));
  }

  get looping(): boolean {
    return this.#deaths >= LOOP_AFTER;
  }

  /** @param ranFor how long the server of now has been listening, ms */
  isLooping(ranFor: number): boolean {
    return this.looping && ranFor < STABLE_AFTER;
  }

  /** What made it die may be over: the next death is the first. */
  reset(): void {
    this.#deaths = 0;
  }
}
