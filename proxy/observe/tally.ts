/**
 * A histogram for what happens with every message. It has what a prom-client registry asks of a metric; the
 * library's own makes a text of the labels, and looks a series up by it, for each value observed.
 */

interface Value {
  metricName: string;
  labels: Record<string, string | number>;
  value: number;
}

/** The series of one label value. */
export class Tally {
  /** Of each bucket, what the ones below it do not have; the last is everything above all bounds. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(private readonly bounds: readonly number[]) {
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
    this.counts[bucket]!++;
    this.sum += value;
  }
}

export class TallyHistogram<V extends string> {
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly tallies: ReadonlyMap<V, Tally>;

  /** @param bounds upper bounds of the buckets, ascending */
  constructor(
    readonly name: string,
    readonly help: string,
    private readonly bounds: readonly number[],
    private readonly label: string,
    values: readonly V[],
  ) {
    this.tallies = new Map(values.map((value) => [value, new Tally(bounds)]));
  }

  /** Called by the registry at a scrape. */
  get(): Promise<{ name: string; help: string; type: string; aggregator: string; values: Value[] }> {
    const { name, help, type, aggregator } = this;
    const values: Value[] = [];
    for (const [of, tally] of this.tallies) {
      const shared = { [this.label]: of };
      let count = 0;
      const add = (le: string | number, more: number): void => {
        count += more;
        values.push({ metricName: `${name}_bucket`, labels: { le, ...shared }, value: count });
      };
      this.bounds.forEach((bound, i) => add(bound, tally.counts[i]!));
      add('+Inf', tally.counts[this.bounds.length]!);
      values.push({ metricName: `${name}_sum`, labels: shared, value: tally.sum });
      values.push({ metricName: `${name}_count`, labels: shared, value: count });
    }
    return Promise.resolve({ name, help, type, aggregator, values });
  }

  reset(): void {
    for (const tally of this.tallies.values()) {
      tally.counts.fill(0);
      tally.sum = 0;
    }
  }
}
