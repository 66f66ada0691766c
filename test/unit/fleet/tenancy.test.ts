import { describe, expect, it } from 'vitest';
import type { FleetOptions, TenantOptions } from '../../../proxy/fleet/options.js';
import { isInShare, outfitOf } from '../../../proxy/fleet/tenancy.js';

const ALICE = { kind: 'user', user: 'alice' } as const;
const BOB = { kind: 'user', user: 'bob' } as const;
const SPARE = { kind: 'spare' } as const;
const SHARED = { kind: 'shared' } as const;

function options(over: Partial<FleetOptions> = {}, own: Partial<TenantOptions> = {}): FleetOptions {
  return {
    count: 1, env: { A: '1', B: '2' }, directory: '/nowhere', startTimeout: 1, stopTimeout: 1, restartBackoff: { min: 1, max: 1 },
    tenants: { maxServers: 1, spares: 0, idleStop: 1, wait: 1, waiting: 1, users: {}, ...own }, ...over,
  };
}

describe('what a server is started with', () => {
  it('is for a user what is particular to him, on top of what all get', () => {
    const users = { alice: { env: { B: 'own' }, githubToken: { file: '/t' }, uid: 7, limits: { processes: 20 } } };
    const outfit = outfitOf(options({ limits: { memory: 100, processes: 10 } }, { users }), ALICE);
    expect(outfit.env).toEqual({ A: '1', B: 'own', COPILOT_GITHUB_TOKEN: { file: '/t' } });
    expect(outfit.confinement).toEqual({ uid: 7, gid: 7, limits: { memory: 100, processes: 20 } });
  });

  it('has nothing of any user for shared servers and spares', () => {
    const users = { shared: { env: { C: '3' } }, spare: { env: { C: '3' } } };
    for (const tenancy of [SHARED, SPARE]) expect(outfitOf(options({}, { users }), tenancy).env).toEqual({ A: '1', B: '2' });
  });

  it('is the same for a spare and for a user without anything particular', () => {
    const fleet = options({ limits: { memory: 100 } }, { users: { alice: { env: { C: '3' } } } });
    expect(outfitOf(fleet, BOB, false, 20_000).key).toBe(outfitOf(fleet, SPARE, false, 20_000).key);
    expect(outfitOf(fleet, ALICE, false, 20_000).key).not.toBe(outfitOf(fleet, SPARE, false, 20_000).key);
  });

  it('is the same when only the order in the file is another one', () => {
    expect(outfitOf(options({ env: { B: '2', A: '1' } }), SHARED).key).toBe(outfitOf(options(), SHARED).key);
  });

  it.each<[string, Partial<FleetOptions>]>([
    ['the command', { command: ['/other'] }],
    ['the environment', { env: { A: '1' } }],
    ['where a secret is read from', { env: { A: { file: '/secret' }, B: '2' } }],
    ['the limits', { limits: { openFiles: 100 } }],
  ])('is another one when %s changes', (_, over) => {
    expect(outfitOf(options(over), SHARED).key).not.toBe(outfitOf(options(), SHARED).key);
  });

  it('takes users of any name', () => {
    for (const user of ['__proto__', 'constructor']) expect(outfitOf(options(), { kind: 'user', user }).env).toEqual({ A: '1', B: '2' });
  });
});

describe('the canary', () => {
  const canary = { command: ['/canary'], share: 0.5, count: 1 };

  it('is the shared server that is one', () => {
    expect(outfitOf(options({ canary }), SHARED, true)).toMatchObject({ command: ['/canary'], canary: true });
    expect(outfitOf(options({ canary }), SHARED, false)).toMatchObject({ canary: false });
  });

  it('is the server of always the same users, in the share that is wanted', () => {
    const users = Array.from({ length: 2_000 }, (_, n) => `user-${n}`);
    const meant = users.filter((user) => isInShare(user, 0.2));
    expect(meant.length).toBeGreaterThan(300);
    expect(meant.length).toBeLessThan(500);
    expect(meant.every((user) => isInShare(user, 0.3))).toBe(true);
    expect(users.some((user) => isInShare(user, 0))).toBe(false);
    expect(users.every((user) => isInShare(user, 1))).toBe(true);
  });

  it('is never a spare', () => {
    expect(outfitOf(options({ canary: { ...canary, share: 1 } }), SPARE).canary).toBe(false);
  });
});
