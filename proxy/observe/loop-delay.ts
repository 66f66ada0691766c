/** How late the event loop runs: the first sign that one core is not enough. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** The timer's period; each sample is the period plus the delay, so it is taken off again. */
const RESOLUTION_MS = 10;

/** The quantiles reported; 1 is the longest delay. */
export const QUANTILES = [0.5, 0.9, 0.99, 1] as const;

export class LoopDelay {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  constructor() {
    this.#histogram.enable();
  }

  /**
   * The delays since the last call, in seconds, and starts over: a scrape shows what happened since
   * the scrape before it.
   */
  take(): Array<{ quantile: number; seconds: number }> {
    const histogram = this.#histogram;
    // Without a sample min and max hold placeholders, so there is nothing to read.
    const empty = histogram.count === 0;
    const delays = QUANTILES.map((quantile) => {
      const nanoseconds = empty ? 0 : quantile === 1 ? histogram.max : histogram.percentile(quantile * 100);
      return { quantile, seconds: Math.max(0, Math.round(nanoseconds - RESOLUTION_MS * 1e6)) / 1e9 };
    });
    histogram.reset();
    return delays;
  }

  close(): void {
    this.#histogram.disable();
  }
}
