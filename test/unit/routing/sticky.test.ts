import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPolicy, type Candidate } from '../../../proxy/routing/policy.js';
import { hash53, rendezvousScore } from '../../../proxy/routing/sticky.js';
import { ask, backend } from './candidates.js';

const USERS = Array.from({ length: 20_000 }, (_, i) => `user-${i}`);
const policy = createPolicy('sticky');
const place = (user: string, candidates: readonly Candidate[]) => policy.pick(candidates, ask(user))!.name;
const map = (candidates: readonly Candidate[]) => USERS.map((user) => place(user, candidates));

function counts(names: readonly string[]): Record<string, number> {
  const count: Record<string, number> = {};
  for (const name of names) count[name] = (count[name] ?? 0) + 1;
  return count;
}

/** The users' share of one backend, within five standard deviations of a fair draw. */
function expectShare(count: number, share: number) {
  const sigma = Math.sqrt(USERS.length * share * (1 - share));
  expect(Math.abs(count - USERS.length * share)).toBeLessThan(5 * sigma);
}

describe('sticky', () => {
  const three = [backend('managed-1'), backend('managed-2'), backend('managed-3')];

  it('sends all sessions of a user to one backend', () => {
    const places = Array.from({ length: 50 }, (_, i) => policy.pick(three, ask('alice', `s${i}`))!.name);
    expect(new Set(places).size).toBe(1);
  });

  it('does not depend on the order of the backends', () => {
    expect(map([...three].reverse())).toEqual(map(three));
  });

  it('remembers nothing: a new policy places as the old one did', () => {
    const other = createPolicy('sticky');
    expect(USERS.map((user) => other.pick(three, ask(user))!.name)).toEqual(map(three));
  });

  it('spreads users evenly over backends whose names differ in one digit', () => {
    const count = counts(map(three));
    for (const { name } of three) expectShare(count[name]!, 1 / 3);
  });

  it('spreads users by weight', () => {
    const count = counts(map([backend('a', { weight: 1 }), backend('b', { weight: 2 }), backend('c', { weight: 5 })]));
    expectShare(count['a']!, 1 / 8);
    expectShare(count['b']!, 2 / 8);
    expectShare(count['c']!, 5 / 8);
  });

  it('moves only its share to an added backend, and nobody between the others', () => {
    const before = map(three);
    const after = map([...three, backend('managed-4')]);
    const moved = USERS.filter((_, i) => before[i] !== after[i]);
    expect(after.filter((name) => name === 'managed-4').length).toBe(moved.length);
    expectShare(moved.length, 1 / 4);
  });

  it('moves only its own users when a backend goes, and spreads them over all others', () => {
    const before = map(three);
    const after = map(three.slice(0, 2));
    const others = USERS.flatMap((_, i) => (before[i] === 'managed-3' ? [] : [i]));
    expect(others.every((i) => before[i] === after[i])).toBe(true);
    const orphans = counts(after.filter((_, i) => before[i] === 'managed-3'));
    const half = (orphans['managed-1']! + orphans['managed-2']!) / 2;
    expect(Math.abs(orphans['managed-1']! - half)).toBeLessThan(5 * Math.sqrt(half / 2));
  });

  it('moves users only to a backend whose weight grows', () => {
    const before = map(three);
    const after = map([backend('managed-1', { weight: 2 }), ...three.slice(1)]);
    expect(USERS.every((_, i) => before[i] === after[i] || after[i] === 'managed-1')).toBe(true);
    expectShare(after.filter((name) => name === 'managed-1').length, 1 / 2);
  });

  it('takes a user\'s next choice while the favourite is full, and comes back after', () => {
    const favourite = place('alice', three);
    const full = three.map((c) => (c.name === favourite ? { ...c, sessions: 5, maxSessions: 5 } : c));
    const without = three.filter((c) => c.name !== favourite);
    expect(place('alice', full)).toBe(place('alice', without));
    expect(place('alice', three)).toBe(favourite);
  });

  it('gives a backend in slow start a part of its own users, and nobody else\'s', () => {
    const before = map(three);
    const during = map([backend('managed-1', { ramp: 0.1 }), ...three.slice(1)]);
    expect(USERS.every((_, i) => before[i] === during[i] || before[i] === 'managed-1')).toBe(true);
    expectShare(during.filter((name) => name === 'managed-1').length, 0.1 / 2.1);
  });

  it('has every user back where they were when the slow start is over', () => {
    const before = map(three);
    map([backend('managed-1', { ramp: 0.1 }), ...three.slice(1)]);
    expect(map(three)).toEqual(before);
  });
});

describe('the score', () => {
  it('is finite and above 0 for any user, backend and weight', () => {
    fc.assert(fc.property(fc.string(), fc.string(), fc.double({ min: 1e-6, max: 1e6, noNaN: true }), (user, name, weight) => {
      const score = rendezvousScore(user, name, weight);
      expect(Number.isFinite(score) && score > 0).toBe(true);
    }));
  });

  it('hashes to what it always did, since users\' places hang on it', () => {
    expect(hash53('')).toBe(3338908027751811);
    expect(hash53('alice\0managed-1')).toBe(2235110927009110);
    expect(hash53('jürgen\0cli-2')).toBe(2519661824809114);
  });

  it('has no collisions among 100,000 pairs', () => {
    const seen = new Set<number>();
    for (let i = 0; i < 50_000; i++) for (const name of ['a', 'b']) seen.add(hash53(`user-${i}\0${name}`));
    expect(seen.size).toBe(100_000);
  });
});
