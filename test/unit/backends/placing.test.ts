/** Who may take whose session, beside the routing policy. */
import { describe, expect, it } from 'vitest';
import type { Backend } from '../../../proxy/backends/backend.js';
import { isInShare, pick, type PlaceAsk } from '../../../proxy/backends/placing.js';
import { SHARED, type Tenancy, type Tenants } from '../../../proxy/backends/tenancy.js';
import { createPolicy } from '../../../proxy/routing/policy.js';

const OWN: Tenants = { isolated: (user) => user !== 'guest', canaryShare: () => 0 };
const ALICES: Tenancy = { kind: 'user', user: 'alice' };

function backend(name: string, over: Partial<Pick<Backend, 'tenancy' | 'canary' | 'protocolVersion' | 'eligible'>> = {}): Backend {
  return {
    name, tenancy: SHARED, canary: false, eligible: true, protocolVersion: 3,
    settings: { weight: 1, backup: false }, health: { ramp: () => 1 }, ...over,
  } as unknown as Backend;
}

function place(backends: Backend[], tenants: Tenants, ask: Partial<PlaceAsk> = {}, except?: ReadonlySet<string>): string | undefined {
  const policy = createPolicy('sticky');
  return pick({ backends, loaded: () => 0, policy, tenants, now: 0 }, { user: 'alice', sessionId: 's1', ...ask }, except);
}

describe('a user with a server of his own', () => {
  const backends = [backend('b1'), backend('mine', { tenancy: ALICES }), backend('bobs', { tenancy: { kind: 'user', user: 'bob' } }), backend('spare', { tenancy: { kind: 'spare' } })];

  it('is placed on that', () => {
    expect(place(backends, OWN)).toBe('mine');
  });

  it('is placed nowhere while it does not run', () => {
    expect(place(backends, OWN, { user: 'carol' })).toBeUndefined();
    expect(place(backends, OWN, {}, new Set(['mine']))).toBeUndefined();
    expect(place([backend('mine', { tenancy: ALICES, eligible: false }), backend('b1')], OWN)).toBeUndefined();
  });

  it('leaves the shared ones to those who share', () => {
    expect(place(backends, OWN, { user: 'guest' })).toBe('b1');
    expect(place(backends.slice(1), OWN, { user: 'guest' })).toBeUndefined();
  });
});

describe('a client that was told of one version of the protocol', () => {
  it('is placed on a server that speaks it', () => {
    const backends = [backend('b1', { protocolVersion: 4 }), backend('b2', { protocolVersion: 3 })];
    for (let n = 0; n < 20; n++) expect(place(backends, OWN, { user: 'guest', sessionId: `s${n}`, protocolVersion: 3 })).toBe('b2');
    expect(place(backends.slice(0, 1), OWN, { user: 'guest', protocolVersion: 3 })).toBeUndefined();
  });

  it('may try one that has not said yet what it speaks', () => {
    expect(place([backend('b1', { protocolVersion: undefined })], OWN, { user: 'guest', protocolVersion: 3 })).toBe('b1');
  });
});

describe('a canary', () => {
  const backends = [backend('b1'), backend('b2'), backend('canary', { canary: true })];
  const tenants = (share: number): Tenants => ({ isolated: () => false, canaryShare: () => share });
  const ids = Array.from({ length: 2_000 }, (_, n) => `session-${n}`);
  const onCanary = (share: number): string[] => ids.filter((sessionId) => place(backends, tenants(share), { sessionId }) === 'canary');

  it('gets its share of new sessions', () => {
    expect(onCanary(0)).toEqual([]);
    expect(onCanary(1)).toEqual(ids);
    const tenth = onCanary(0.1).length;
    expect(tenth).toBeGreaterThan(140);
    expect(tenth).toBeLessThan(260);
  });

  it('keeps the sessions that it had when the share rises', () => {
    const more = new Set(onCanary(0.3));
    expect(onCanary(0.1).filter((id) => !more.has(id))).toEqual([]);
  });

  it('stands in for the others, and they for it', () => {
    expect(place(backends, tenants(0), {}, new Set(['b1', 'b2']))).toBe('canary');
    expect(place(backends, tenants(1), {}, new Set(['canary']))).toMatch(/^b[12]$/);
  });

  it('has a share of ids that does not hang on anything but the id', () => {
    expect(isInShare('session-1', 0.5)).toBe(isInShare('session-1', 0.5));
    expect([isInShare('any', 0), isInShare('any', 1)]).toEqual([false, true]);
  });
});
