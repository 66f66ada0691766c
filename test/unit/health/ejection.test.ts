import { describe, expect, it } from 'vitest';
import { Ejection } from '../../../proxy/backends/ejection.js';
import { Health, type HealthOptions } from '../../../proxy/backends/health.js';

const BACKOFF = { base: 10, max: 70, errors: 3 };
const OPTIONS: HealthOptions = { interval: 2, timeout: 2, rise: 2, fall: 3, ejection: BACKOFF, slowStart: 0 };

function up(over: Partial<HealthOptions> = {}, sources: { mayEject?: () => boolean } = {}) {
  const changes: string[] = [];
  const health = new Health({ ...OPTIONS, ...over }, (from, to, reason) => changes.push(`${from}>${to}: ${reason}`),
    { random: () => 0, ...sources });
  health.probeOk(0, 1);
  changes.length = 0;
  return { health, changes };
}

function failCalls(health: Health, now: number, count = BACKOFF.errors) {
  for (let i = 0; i < count; i++) health.passiveFailure(now, 'late answer');
}

describe('ejection', () => {
  it('follows so many failed calls in a row', () => {
    const { health, changes } = up();
    failCalls(health, 1, 2);
    expect(health.state).toBe('up');
    health.passiveFailure(1, 'late answer');
    expect(changes).toEqual(['up>ejected: 3 failed calls: late answer']);
    expect(health.ejectedUntil(1)).toBe(11);
  });

  it('does not follow failures with an answer in between', () => {
    const { health } = up();
    for (let i = 0; i < 10; i++) {
      failCalls(health, 1, 2);
      health.passiveSuccess(1);
    }
    expect(health.state).toBe('up');
  });

  it('does not hear good probes before its time is over', () => {
    const { health } = up();
    failCalls(health, 1);
    for (let now = 2; now < 11; now++) health.probeOk(now, 1);
    expect(health.state).toBe('ejected');
    health.probeOk(11, 1);
    health.probeOk(12, 1);
    expect(health.state).toBe('up');
  });

  it('turns into down after fall bad probes, and its time still counts', () => {
    const { health, changes } = up();
    failCalls(health, 1);
    for (const now of [2, 3, 4]) health.probeFailed(now, 'refused');
    for (const now of [5, 6, 7]) health.probeOk(now, 1);
    expect(changes).toEqual(['up>ejected: 3 failed calls: late answer', 'ejected>down: 3 bad probes: refused']);
    expect(health.nextProbeAt(7)).toBe(11);
  });

  it('is off when errors is 0', () => {
    const { health } = up({ ejection: { ...BACKOFF, errors: 0 } });
    failCalls(health, 1, 100);
    expect(health.state).toBe('up');
  });

  it('waits until the pool allows it', () => {
    let allowed = false;
    const { health } = up({}, { mayEject: () => allowed });
    failCalls(health, 1, 10);
    expect(health.state).toBe('up');
    allowed = true;
    health.passiveFailure(2, 'late answer');
    expect(health.state).toBe('ejected');
  });
});

describe('the back-off of an ejection', () => {
  it('doubles from base to max', () => {
    const ejection = new Ejection(() => 0);
    const backoffs = [1, 2, 3, 4, 5].map((now) => {
      const backoff = ejection.eject(now, BACKOFF);
      ejection.recovered(now);
      return backoff;
    });
    expect(backoffs).toEqual([10, 20, 40, 70, 70]);
  });

  it('is shortened by chance by a fifth at most', () => {
    expect(new Ejection(() => 0.5).eject(0, BACKOFF)).toBe(9);
    expect(new Ejection(() => 1).eject(0, BACKOFF)).toBe(8);
  });

  it('forgives one ejection for each quiet time as long as max', () => {
    const ejection = new Ejection(() => 0);
    for (let n = 0; n < 3; n++) {
      ejection.eject(100, BACKOFF);
      ejection.recovered(100);
    }
    expect(ejection.eject(100 + 2 * 70, BACKOFF)).toBe(20);
  });

  it('does not count the time of being out as quiet', () => {
    const ejection = new Ejection(() => 0);
    ejection.eject(0, BACKOFF);
    ejection.recovered(1_000);
    expect(ejection.eject(1_001, BACKOFF)).toBe(20);
  });

  it('stays within max after a thousand ejections', () => {
    const ejection = new Ejection(() => 0);
    for (let n = 0; n < 1_000; n++) {
      expect(ejection.eject(n, BACKOFF)).toBeLessThanOrEqual(70);
      ejection.recovered(n);
    }
  });
});
