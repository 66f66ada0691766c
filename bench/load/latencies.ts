/** Latencies of a round in an HDR histogram: three digits, up to two minutes, in tenths of a microsecond. */
import { build, type Histogram } from 'hdr-histogram-js';

/** The points that results and plots have. */
export const PERCENTILES = [0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.9, 99.95, 99.99, 100] as const;

export interface Spread {
  readonly count: number;
  /** Microseconds at each of PERCENTILES. */
  readonly at: readonly number[];
}

const HIGHEST = 1_200_000_000;

export class Latencies {
  private readonly histogram: Histogram = build({ lowestDiscernibleValue: 1, highestTrackableValue: HIGHEST, numberOfSignificantValueDigits: 3 });

  /** @param ms since the moment at which it was to begin */
  add(ms: number): void {
    this.histogram.recordValue(Math.min(HIGHEST, Math.max(1, Math.round(ms * 10_000))));
  }

  /** @returns what was recorded since the last time */
  take(): Spread {
    const count = this.histogram.totalCount;
    const at = PERCENTILES.map((percentile) => (count === 0 ? 0 : this.histogram.getValueAtPercentile(percentile) / 10));
    this.histogram.reset();
    return { count, at };
  }
}

export function percentile(spread: Spread, wanted: (typeof PERCENTILES)[number]): number {
  return spread.at[PERCENTILES.indexOf(wanted)]!;
}
