import { describe, expect, it } from 'vitest';
import { Backoff, STABLE_AFTER } from '../../../proxy/fleet/backoff.js';

const LIMITS = { min: 500, max: 30_000 };

describe('the restart back-off', () => {
  it('starts at min and doubles up to max', () => {
    const backoff = new Backoff(() => 0);
    const waits = Array.from({ length: 9 }, () => backoff.next(10, LIMITS));
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  });

  it('is shortened by chance by half at most, and never below min', () => {
    const backoff = new Backoff(() => 0.999999);
    expect(backoff.next(0, LIMITS)).toBe(500);
    backoff.next(0, LIMITS);
    expect(Math.round(backoff.next(0, LIMITS))).toBe(1_000);
  });

  it('starts over after a stable minute', () => {
    const backoff = new Backoff(() => 0);
    for (let n = 0; n < 5; n++) backoff.next(STABLE_AFTER - 1, LIMITS);
    expect(backoff.next(STABLE_AFTER, LIMITS)).toBe(500);
  });

  it('calls three deaths without a stable minute a crash loop', () => {
    const backoff = new Backoff(() => 0);
    backoff.next(0, LIMITS);
    backoff.next(0, LIMITS);
    expect(backoff.looping).toBe(false);
    backoff.next(0, LIMITS);
    expect(backoff.looping).toBe(true);
    backoff.next(STABLE_AFTER, LIMITS);
    expect(backoff.looping).toBe(false);
  });

  it('stays within max after a thousand deaths', () => {
    const backoff = new Backoff(() => 0);
    for (let n = 0; n < 1_000; n++) expect(backoff.next(0, LIMITS)).toBeLessThanOrEqual(30_000);
  });
});
