/**
 * How often a session may be tried elsewhere. One whose content brings a server down would take one
 * server after the other along: after a few failures in a row it is left alone.
 */

/** Failures in a row. */
const MOST = 3;

/** Milliseconds after which one more try is given to a session that has used its budget up. */
const RECOVERS = 60_000;

export class RetryBudget {
  private used = 0;
  private lastAt = -Infinity;

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** A server has failed with this session. @returns false when it is not to be tried again for now */
  take(): boolean {
    if (this.now() - this.lastAt > RECOVERS) this.used = 0;
    this.lastAt = this.now();
    if (this.used >= MOST) return false;
    this.used++;
    return true;
  }

  /** A turn was completed: it does no harm. */
  restore(): void {
    this.used = 0;
  }
}
