import { describe, expect, it } from 'vitest';
import { hasUid, isolationOf } from '../../../proxy/settings.js';

const roles = (...names: string[]): ReadonlySet<string> => new Set(names);

describe('the isolation of a user', () => {
  const fleet = { isolation: 'per_user', roles: { guest: { isolation: 'shared' }, customer: { isolation: 'per_user' } } } as const;

  it('is that of the fleet when no role says otherwise', () => {
    expect(isolationOf(fleet, roles('user'))).toBe('per_user');
    expect(isolationOf({ ...fleet, isolation: 'shared' }, roles('user'))).toBe('shared');
  });

  it('is that of a role', () => {
    expect(isolationOf(fleet, roles('user', 'guest'))).toBe('shared');
    expect(isolationOf({ ...fleet, isolation: 'shared' }, roles('customer'))).toBe('per_user');
  });

  it('is a server of his own when one of several roles says so', () => {
    expect(isolationOf({ ...fleet, isolation: 'shared' }, roles('guest', 'customer'))).toBe('per_user');
  });

  it('has nothing to do with names that objects inherit', () => {
    expect(isolationOf(fleet, roles('constructor'))).toBe('per_user');
    expect(isolationOf({ ...fleet, isolation: 'shared' }, roles('toString'))).toBe('shared');
  });
});

describe('a user\'s own server has a uid of its own', () => {
  const users = { alice: { env: {}, limits: {}, uid: 1001 }, bob: { env: {}, limits: {} } };

  it('when one is named for the user', () => {
    expect(['alice', 'bob', 'carol', 'toString'].map((user) => hasUid({ users }, user))).toEqual([true, false, false, false]);
  });

  it('when there is a range for all', () => {
    expect(hasUid({ users, uids: { from: 20_000, count: 100 } }, 'bob')).toBe(true);
  });
});
