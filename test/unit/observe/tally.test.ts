import { Histogram, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { MetricBook } from '../../../proxy/observe/metric-book.js';

const BOUNDS = [0.1, 1, 10];

test('a tally shows in a scrape what a histogram of the library shows of the same values', async () => {
  const book = new MetricBook();
  const tallies = book.tallies('a_seconds', 'Help.', BOUNDS, 'kind', ['x', 'y']);
  const registry = new Registry();
  const histogram = new Histogram({ name: 'a_seconds', help: 'Help.', buckets: BOUNDS, labelNames: ['kind'], registers: [registry] });
  for (const kind of ['x', 'y']) histogram.zero({ kind });
  for (const value of [0, 0.05, 0.1, 0.10001, 1, 5, 10, 11, 1e9]) {
    tallies.get('x')!.observe(value);
    histogram.observe({ kind: 'x' }, value);
  }
  expect(await book.registry.metrics()).toBe(await registry.metrics());
});
