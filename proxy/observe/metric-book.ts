/**
 * A prom-client registry of our own (never the global one: two Skyports in one process must not add
 * up) that keeps what it was told about each metric, so that docs/metrics.md is made from the same
 * words that /metrics shows.
 */
import { Counter, Gauge, Histogram, Registry, type Metric } from 'prom-client';
import { TallyHistogram, type Tally } from './tally.js';

export type { Tally } from './tally.js';

export interface MetricEntry {
  name: string;
  type: 'counter' | 'gauge' | 'histogram';
  labels: readonly string[];
  help: string;
}

export class MetricBook {
  readonly registry = new Registry();
  readonly entries: MetricEntry[] = [];

  /** A total that only goes up; its name ends in `_total`. */
  counter<L extends string = never>(name: string, help: string, labels: readonly L[] = []): Counter<L> {
    this.entries.push({ name, type: 'counter', labels, help });
    return new Counter({ name, help, labelNames: labels, registers: [this.registry] });
  }

  gauge<L extends string = never>(name: string, help: string, labels: readonly L[] = []): Gauge<L> {
    this.entries.push({ name, type: 'gauge', labels, help });
    return new Gauge({ name, help, labelNames: labels, registers: [this.registry] });
  }

  /** @param buckets upper bounds, in the unit of the name, ascending */
  histogram<L extends string = never>(
    name: string, help: string, buckets: readonly number[], labels: readonly L[] = [],
  ): Histogram<L> {
    this.entries.push({ name, type: 'histogram', labels, help });
    return new Histogram({ name, help, labelNames: labels, buckets: [...buckets], registers: [this.registry] });
  }

  /**
   * A histogram of what happens with every message: `observe` is a few additions.
   * @param buckets as for `histogram`
   * @param label its only label
   * @param values all that the label may have; each has its series from the start
   */
  tallies<V extends string>(
    name: string, help: string, buckets: readonly number[], label: string, values: readonly V[],
  ): ReadonlyMap<V, Tally> {
    this.entries.push({ name, type: 'histogram', labels: [label], help });
    const histogram = new TallyHistogram(name, help, buckets, label, values);
    // The registry asks a metric for its name and, at a scrape, for its values, and for no more.
    this.registry.registerMetric(histogram as unknown as Metric<string>);
    return histogram.tallies;
  }
}

/** docs/metrics.md: every metric with its type, labels and meaning, in the order they were made. */
export function metricsDocument(entries: readonly MetricEntry[]): string {
  const lines = [
    '# Metrics',
    '',
    'What `/metrics` on an `http` listener shows, in the Prometheus text format. This page is made from the',
    'metrics themselves: `npx vitest run test/unit/observe/metrics-document.test.ts -u` writes it anew.',
    '',
    'Units are in the names. A `counter` counts from the start of the process, a `gauge` is the value at the',
    'moment of the scrape, a `histogram` has `_bucket`, `_sum` and `_count` series. No label holds a user, a',
    'session id or any text a client chose, so the number of series is bounded by the configuration.',
    '',
    '| metric | type | labels | meaning |',
    '|---|---|---|---|',
  ];
  for (const { name, type, labels, help } of entries) {
    const labelText = labels.map((label) => `\`${label}\``).join(', ');
    lines.push(`| \`${name}\` | ${type} | ${labelText} | ${help.replaceAll('|', '\\|')} |`);
  }
  return `${lines.join('\n')}\n`;
}
