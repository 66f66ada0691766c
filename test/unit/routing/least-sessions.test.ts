import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPolicy } from '../../../proxy/routing/policy.js';
import { ask, backend, seeded } from './candidates.js';

const user = ask('alice');

describe('least sessions', () => {
  it('is exact with two backends, whatever is drawn', () => {
    fc.assert(fc.property(fc.nat(50), fc.nat(50), fc.integer(), (a, b, seed) => {
      fc.pre(a !== b);
      const policy = createPolicy('least_sessions', seeded(seed));
      expect(policy.pick([backend('a', { sessions: a }), backend('b', { sessions: b })], user)!.name).toBe(a < b ? 'a' : 'b');
    }));
  });

  it('counts sessions per weight', () => {
    const candidates = [backend('a', { sessions: 5, weight: 1 }), backend('b', { sessions: 9, weight: 3 })];
    expect(createPolicy('least_sessions').pick(candidates, user)!.name).toBe('b');
  });

  it('prefers the heavier of two empty backends', () => {
    expect(createPolicy('least_sessions').pick([backend('a'), backend('b', { weight: 2 })], user)!.name).toBe('b');
  });

  it('does not flood a backend that is empty because it has just come up', () => {
    const candidates = [backend('a', { sessions: 5 }), backend('b', { sessions: 0, ramp: 0.1 })];
    expect(createPolicy('least_sessions').pick(candidates, user)!.name).toBe('a');
  });

  it('never picks the most loaded of many', () => {
    const candidates = [backend('a'), backend('b', { sessions: 1 }), backend('full', { sessions: 2 })];
    const policy = createPolicy('least_sessions', seeded(1));
    const picked = new Set(Array.from({ length: 500 }, () => policy.pick(candidates, user)!.name));
    expect([...picked].sort()).toEqual(['a', 'b']);
  });

  it('favours nobody on a tie', () => {
    const policy = createPolicy('least_sessions', seeded(7));
    let first = 0;
    for (let i = 0; i < 10_000; i++) if (policy.pick([backend('a'), backend('b')], user)!.name === 'a') first++;
    expect(Math.abs(first - 5_000)).toBeLessThan(5 * 50);
  });

  it('keeps ten backends within a few sessions of each other', () => {
    const sessions = new Array<number>(10).fill(0);
    const policy = createPolicy('least_sessions', seeded(3));
    for (let i = 0; i < 10_000; i++) {
      const picked = policy.pick(sessions.map((count, n) => backend(`b${n}`, { sessions: count })), user)!;
      sessions[Number(picked.name.slice(1))]!++;
    }
    expect(Math.max(...sessions) - Math.min(...sessions)).toBeLessThanOrEqual(10);
  });
});
