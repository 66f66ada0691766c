/** Drift of a server's answers, over times that are only numbers. */
import { describe, expect, it } from 'vitest';
import { Drifts, Latency, Stopwatch } from '../../../proxy/backends/latency.js';

/** Pings every two seconds. @returns the time after the last one */
function pings(latency: Latency, from: number, count: number, ms: number | ((n: number) => number)): number {
  for (let n = 0; n < count; n++) latency.ping(from + n * 2_000, typeof ms === 'number' ? ms : ms(n));
  return from + count * 2_000;
}

function creates(latency: Latency, from: number, count: number, ms: number): number {
  for (let n = 0; n < count; n++) latency.create(from + n * 1_000, ms);
  return from + count * 1_000;
}

/** One whose first minutes are over. */
function aged(ping = 1): { latency: Latency; now: number } {
  const latency = new Latency();
  latency.restarted(0);
  return { latency, now: pings(latency, 0, 120, ping) };
}

describe('the latency of a server', () => {
  it('has no factor in its first minutes, however slow it gets', () => {
    const latency = new Latency();
    latency.restarted(0);
    const now = pings(latency, 0, 80, (n) => n * 10);
    expect(latency.factor(now)).toBeUndefined();
  });

  it('has one after them: how many times slower its pings have become', () => {
    const { latency, now } = aged(100);
    expect(latency.factor(now)).toBe(1);
    expect(latency.factor(pings(latency, now, 20, 300))).toBe(3);
  });

  it('has none while too few pings were measured, though the minutes are over', () => {
    const latency = new Latency();
    latency.restarted(0);
    for (let n = 0; n < 9; n++) latency.ping(n * 60_000, 1);
    expect(latency.factor(540_000)).toBeUndefined();
  });

  it('is no worse for tiny times that have become a little less tiny', () => {
    const { latency, now } = aged(0.2);
    expect(latency.factor(pings(latency, now, 20, 0.6))).toBe(1);
    expect(latency.factor(pings(latency, now + 40_000, 20, 50))).toBe(1);
    expect(latency.factor(pings(latency, now + 80_000, 20, 150))).toBe(3);
  });

  it('does not mind the odd slow ping, then or now', () => {
    const latency = new Latency();
    latency.restarted(0);
    const now = pings(latency, 0, 240, (n) => (n % 3 === 0 ? 2_000 : 60));
    expect(latency.factor(now)).toBe(1);
  });

  it('forgets what was slow', () => {
    const { latency, now } = aged(60);
    const later = pings(latency, now, 20, 600);
    expect(latency.factor(later)).toBe(10);
    expect(latency.factor(pings(latency, later, 20, 60))).toBe(1);
  });

  it('says nothing of a server that has not been measured for a while', () => {
    const { latency, now } = aged(60);
    const later = pings(latency, now, 20, 600);
    expect(latency.factor(later + 600_000)).toBeUndefined();
  });

  it('sees creates that have become slow, while the pings are as quick as ever', () => {
    const { latency } = aged(1);
    creates(latency, 100_000, 10, 1_000);
    creates(latency, 190_000, 10, 1_000);
    const now = creates(latency, 230_000, 15, 17_000);
    pings(latency, 220_000, 15, 1);
    expect(latency.report(now)).toEqual({ factor: 17, createMs: 17_000, pingMs: 1 });
  });

  it('does not take a create of a fraction of a second for a slow one', () => {
    const { latency, now } = aged(1);
    creates(latency, now, 10, 20);
    expect(latency.factor(creates(latency, now + 20_000, 15, 240))).toBe(1);
  });

  it('begins anew with another process', () => {
    const { latency, now } = aged(60);
    const later = pings(latency, now, 20, 600);
    latency.restarted(later);
    expect(latency.factor(later)).toBeUndefined();
    expect(latency.factor(pings(latency, later, 120, 600))).toBe(1);
  });
});

describe('a stopwatch', () => {
  it('does not count the time in which the process itself was at work', async () => {
    const watch = new Stopwatch();
    const from = performance.now();
    await new Promise((resolve) => { setTimeout(resolve, 30); });
    for (const end = performance.now() + 300; performance.now() < end;);
    const elapsed = performance.now() - from;
    expect(elapsed - watch.read()).toBeGreaterThan(290);
  });
});

describe('drifts', () => {
  const LIMIT = 3;

  /** Looks every second for so long. @returns who was slow at the last look */
  function slow(drifts: Drifts, from: number, ms: number, factors: Record<string, number>): string[] {
    let found: string[] = [];
    for (let now = from; now <= from + ms; now += 1_000) found = [...drifts.look(now, new Map(Object.entries(factors)), LIMIT).keys()];
    return found;
  }

  it('count when they have lasted for a minute', () => {
    const drifts = new Drifts();
    expect(slow(drifts, 0, 59_000, { a: 4, b: 1, c: 1 })).toEqual([]);
    expect(slow(drifts, 60_000, 0, { a: 4, b: 1, c: 1 })).toEqual(['a']);
  });

  it('count from the beginning after a break', () => {
    const drifts = new Drifts();
    slow(drifts, 0, 40_000, { a: 4, b: 1, c: 1 });
    slow(drifts, 41_000, 0, { a: 2, b: 1, c: 1 });
    expect(slow(drifts, 42_000, 40_000, { a: 4, b: 1, c: 1 })).toEqual([]);
  });

  it('count from the beginning when Skyport itself was held up', () => {
    const drifts = new Drifts();
    slow(drifts, 0, 50_000, { a: 4, b: 1, c: 1 });
    expect(slow(drifts, 65_000, 50_000, { a: 4, b: 1, c: 1 })).toEqual([]);
  });

  it('are none while the machine is slow for all', () => {
    const drifts = new Drifts();
    expect(slow(drifts, 0, 500_000, { a: 5, b: 4, c: 6, d: 5 })).toEqual([]);
  });

  it('stand out while the machine is slow for all', () => {
    const drifts = new Drifts();
    expect(slow(drifts, 0, 120_000, { a: 4, b: 4, c: 16, d: 4 })).toEqual(['c']);
  });

  it('of all count in the end: they have aged together', () => {
    const drifts = new Drifts();
    expect(slow(drifts, 0, 700_000, { a: 5, b: 4, c: 6 })).toEqual(['a', 'b', 'c']);
  });

  it('are not compared among two', () => {
    const drifts = new Drifts();
    expect(slow(drifts, 0, 60_000, { a: 5, b: 5 })).toEqual(['a', 'b']);
  });

  it('of a process are forgotten with it', () => {
    const drifts = new Drifts();
    slow(drifts, 0, 50_000, { a: 4 });
    slow(drifts, 51_000, 0, {});
    expect(slow(drifts, 52_000, 20_000, { a: 4 })).toEqual([]);
  });
});
