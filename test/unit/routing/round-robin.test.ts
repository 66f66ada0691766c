import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPolicy, type Candidate, type Policy } from '../../../proxy/routing/policy.js';
import { ask, backend } from './candidates.js';

/** `count` picks, as one word. */
function turns(policy: Policy, candidates: readonly Candidate[], count: number): string {
  return Array.from({ length: count }, () => policy.pick(candidates, ask('alice'))!.name).join('');
}

describe('round robin', () => {
  it('splits six sessions over two equal backends three and three', () => {
    expect(turns(createPolicy('round_robin'), [backend('a'), backend('b')], 6)).toBe('ababab');
  });

  it('is smooth: the heavy backend is not picked five times in a row', () => {
    const candidates = [backend('a', { weight: 5 }), backend('b'), backend('c')];
    expect(turns(createPolicy('round_robin'), candidates, 14)).toBe('aabacaaaabacaa');
  });

  it('goes on with the same turn after a reload that changes nothing', () => {
    const policy = createPolicy('round_robin');
    expect(turns(policy, [backend('a'), backend('b'), backend('c')], 2)).toBe('ab');
    expect(turns(policy, [backend('a'), backend('b'), backend('c')], 2)).toBe('ca');
  });

  it('goes on with the same turn when the backends are written in another order', () => {
    const policy = createPolicy('round_robin');
    turns(policy, [backend('a'), backend('b'), backend('c')], 2);
    expect(turns(policy, [backend('b'), backend('a'), backend('c')], 1)).toBe('c');
  });

  it('splits by the new weights from a reload on', () => {
    const policy = createPolicy('round_robin');
    turns(policy, [backend('a'), backend('b')], 4);
    const after = turns(policy, [backend('a', { weight: 3 }), backend('b')], 8);
    expect(after.replaceAll('b', '')).toBe('aaaaaa');
  });

  it('gives a newcomer its turn and not the turns it missed', () => {
    const policy = createPolicy('round_robin');
    turns(policy, [backend('a'), backend('b')], 101);
    const after = turns(policy, [backend('a'), backend('b'), backend('c')], 6);
    expect([...after].sort().join('')).toBe('aabbcc');
  });

  it('does not make up for the time a backend was down', () => {
    const policy = createPolicy('round_robin');
    const down = [backend('a'), backend('b', { eligible: false }), backend('c')];
    turns(policy, [backend('a'), backend('b'), backend('c')], 3);
    turns(policy, down, 50);
    expect([...turns(policy, [backend('a'), backend('b'), backend('c')], 6)].sort().join('')).toBe('aabbcc');
  });

  it('stays even through a hundred removals and additions', () => {
    const policy = createPolicy('round_robin');
    for (let i = 0; i < 100; i++) turns(policy, [backend('a'), backend('b'), backend(`x${i}`)], 1 + (i % 4));
    const word = turns(policy, [backend('a'), backend('b')], 9);
    expect(['ababababa', 'babababab', 'bbabababa', 'aabababab']).toContain(word);
  });

  it('gives newcomers no more than their turn, however many came and went before', () => {
    const policy = createPolicy('round_robin');
    const word = Array.from({ length: 300 }, (_, i) => turns(policy, [backend('a'), backend('b'), backend(`x${i}`)], 1)).join('');
    expect([...word].filter((name) => name === 'x').length).toBeLessThanOrEqual(100);
  });

  it('gives a backend in slow start a part of its turns', () => {
    const word = turns(createPolicy('round_robin'), [backend('a'), backend('b', { ramp: 0.25 })], 10);
    expect([...word].filter((name) => name === 'b')).toHaveLength(2);
  });

  it('splits exactly by weight over each full round, whatever the integer weights', () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 }), (weights) => {
      const policy = createPolicy('round_robin');
      const candidates = weights.map((weight, i) => backend(`b${i}`, { weight }));
      const round = weights.reduce((sum, weight) => sum + weight, 0);
      const count = new Map<string, number>();
      for (let i = 0; i < round; i++) {
        const { name } = policy.pick(candidates, ask('alice'))!;
        count.set(name, (count.get(name) ?? 0) + 1);
      }
      expect(candidates.map(({ name }) => count.get(name))).toEqual(weights);
    }));
  });
});
