import { expect, it } from 'vitest';
import { recycleLimits, type RecycleLimits } from '../../../proxy/upkeep/recycle-limits.js';
import { load } from '../config/scratch.js';

function limits(fleet: string): RecycleLimits {
  return recycleLimits(load(`identity: { anonymous: local }\nfleet: { count: 1, ${fleet} }\n`).config!);
}

it('the thresholds are those of the file', () => {
  expect(limits('recycle: { rss: 1GiB, open_files: 2000, children: 50, age: 24h, latency_factor: 4, at_once: 2 }')).toEqual({
    rss: 2 ** 30, openFiles: 2_000, children: 50, age: 86_400_000, latencyFactor: 4, atOnce: 2, outfit: expect.any(String),
  });
});

it('without any, one at a time is replaced for a new configuration', () => {
  expect(limits('weight: 1')).toEqual({ atOnce: 1, outfit: expect.any(String) });
});

it('another outfit is what servers are started with, and nothing else', () => {
  const { outfit } = limits('weight: 1');
  for (const same of ['weight: 2', 'idle_stop: 1m', 'recycle: { rss: 1GiB }']) expect(limits(same).outfit).toBe(outfit);
  for (const other of ['command: [x]', 'env: { A: b }', 'limits: { memory: 1GiB }', 'users: { alice: { env: { A: b } } }']) {
    expect(limits(other).outfit).not.toBe(outfit);
  }
});

it('an outfit shows nothing of the environment', () => {
  expect(limits('env: { A: hidden }').outfit).not.toContain('hidden');
});
