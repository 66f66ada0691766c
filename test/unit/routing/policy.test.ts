import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPolicy, POLICY_NAMES } from '../../../proxy/routing/policy.js';
import { ask, backend } from './candidates.js';

describe.each(POLICY_NAMES)('every policy: %s', (name) => {
  const pick = (candidates: Parameters<ReturnType<typeof createPolicy>['pick']>[0]) =>
    createPolicy(name).pick(candidates, ask('alice'))?.name;

  it('picks nothing where there is nothing', () => {
    expect(pick([])).toBeUndefined();
  });

  it('passes over a backend that is not eligible', () => {
    expect(pick([backend('a', { eligible: false }), backend('b')])).toBe('b');
  });

  it('passes over a backend of weight 0', () => {
    expect(pick([backend('a', { weight: 0 }), backend('b')])).toBe('b');
  });

  it('passes over a full backend', () => {
    expect(pick([backend('a', { sessions: 3, maxSessions: 3 }), backend('b', { sessions: 2, maxSessions: 3 })])).toBe('b');
  });

  it('uses a backup only when no primary can take the session', () => {
    const spare = backend('spare', { backup: true });
    expect(pick([spare, backend('a', { sessions: 9 })])).toBe('a');
    expect(pick([spare, backend('a', { eligible: false })])).toBe('spare');
  });

  it('picks nothing when all are full, the backups too', () => {
    expect(pick([backend('a', { maxSessions: 0 }), backend('spare', { backup: true, sessions: 1, maxSessions: 1 })])).toBeUndefined();
  });

  it('picks one that can take the session, and always when there is one', () => {
    const candidate = fc.record({
      weight: fc.constantFrom(0, 0.5, 1, 7), sessions: fc.nat(4), maxSessions: fc.option(fc.nat(4), { nil: undefined }),
      backup: fc.boolean(), eligible: fc.boolean(), ramp: fc.constantFrom(0.1, 0.6, 1),
    });
    const policy = createPolicy(name);
    fc.assert(fc.property(fc.array(candidate, { maxLength: 6 }), fc.string(), (records, user) => {
      const all = records.map((record, i) => ({ name: `b${i}`, ...record }));
      const able = all.filter((c) => c.eligible && c.weight > 0 && (c.maxSessions === undefined || c.sessions < c.maxSessions));
      const picked = policy.pick(all, ask(user));
      if (able.length === 0) expect(picked).toBeUndefined();
      else {
        expect(able).toContain(picked);
        expect(picked!.backup).toBe(able.every((c) => c.backup));
      }
    }));
  });
});
