import { expect, test } from 'vitest';
import { Metrics } from '../../../proxy/observe/metrics.js';
import { sampleSnapshot } from './sample-snapshot.js';

function withMetrics<T>(use: (metrics: Metrics) => T): T {
  const metrics = new Metrics(() => sampleSnapshot());
  try {
    return use(metrics);
  } finally {
    metrics.close();
  }
}

test('docs/metrics.md is what the metrics say about themselves', async () => {
  await expect(withMetrics((metrics) => metrics.document())).toMatchFileSnapshot('../../../docs/metrics.md');
});

test('the document lists every metric that is rendered', async () => {
  const metrics = new Metrics(() => sampleSnapshot());
  const rendered = [...(await metrics.render()).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  const listed = [...metrics.document().matchAll(/^\| `(\S+)`/gm)].map(([, name]) => name);
  metrics.close();
  expect(listed.sort()).toEqual(rendered.sort());
});

test('names have a prefix and their unit, counters end in _total', () => {
  const document = withMetrics((metrics) => metrics.document());
  for (const [, name, type] of document.matchAll(/^\| `(\S+)` \| (\S+) /gm)) {
    expect(name).toMatch(/^(skyport|process|nodejs)_/);
    expect(name!.endsWith('_total'), name).toBe(type === 'counter');
    if (type === 'histogram') expect(name).toMatch(/_seconds$/);
  }
});
