import { describe, expect, it } from 'vitest';
import { Backoff, STABLE_AFTER } from '../../../proxy/fleet/backoff.js';

const LIMITS = { min: 500, max: 30_000 };

describe('the restart back-off', () => {
  it('starts at min and doubles, until the fifth death in a row breaks it off', () => {
    const backoff = new Backoff(() => 0);
    const waits = Array.from({ length: 7 }, () => backoff.next(10, LIMITS));
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 30_000, 30_000, 30_000]);
  });

  it('never waits longer than max', () => {
    const backoff = new Backoff(() => 0);
    const waits = Array.from({ length: 4 }, () => backoff.next(10, { min: 500, max: 1_500 }));
    expect(waits).toEqual([500, 1_000, 1_500, 1_500]);
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

  it('calls five deaths without a stable minute a crash loop', () => {
    const backoff = new Backoff(() => 0);
    for (let n = 0; n < 4; n++) backoff.next(0, LIMITS);
    expect(backoff.looping).toBe(false);
    backoff.next(0, LIMITS);
    expect(backoff.looping).toBe(true);
    backoff.next(STABLE_AFTER, LIMITS);
    expect(backoff.looping).toBe(false);
  });

  it('calls a server that has run for a stable minute out of its loop', () => {
    const backoff = new Backoff(() => 0);
    for (let n = 0; n < 5; n++) backoff.next(0, LIMITS);
    expect(backoff.isLooping(STABLE_AFTER - 1)).toBe(true);
    expect(backoff.isLooping(STABLE_AFTER)).toBe(false);
  });

  it('begins anew when it is reset', () => {
    const backoff = new Backoff(() => 0);
    for (let n = 0; n < 5; n++) backoff.next(0, LIMITS);
    backoff.reset();
    expect(backoff.looping).toBe(false);
    expect(backoff.next(0, LIMITS)).toBe(500);
  });

  it('stays within max after a thousand deaths', () => {
    const backoff = new Backoff(() => 0);
    for (let n = 0; n < 1_000; n++) expect(backoff.next(0, LIMITS)).toBeLessThanOrEqual(30_000);
  });
});
