import { describe, expect, it } from 'vitest';
import { Authenticator } from '../../../proxy/identity/authenticator.js';
import type { Principal } from '../../../proxy/identity/principal.js';

const entryOf = (user: string, roles: string[], sessionPattern?: RegExp) => {
  const principal: Principal = { user, roles: new Set(roles), source: 'token', key: user, sessionPattern };
  return { digest: Buffer.alloc(32), principal };
};

describe('the roles of a user who is not there', () => {
  const authenticator = new Authenticator({ tokens: { patterns: [], entries: [
    entryOf('alice', ['user', 'customer']), entryOf('alice', ['admin']),
    entryOf('app', ['service', 'guest'], /^user-(?<user>[a-z]+)-/),
  ] } });

  it('are those of all his tokens', () => {
    expect([...authenticator.rolesOf('alice', 's1')].sort()).toEqual(['admin', 'customer', 'user']);
  });

  it('are those of the service that the session is of', () => {
    expect([...authenticator.rolesOf('carol', 'user-carol-1')]).toEqual(['service', 'guest']);
  });

  it('are a user\'s where nothing is known of him', () => {
    expect([...authenticator.rolesOf('carol', 'another')]).toEqual(['user']);
  });

  it('are others after a reload', () => {
    const other = new Authenticator({});
    other.update({ tokens: { patterns: [], entries: [entryOf('bob', ['guest'])] } });
    expect([...other.rolesOf('bob', 's1')]).toEqual(['guest']);
  });
});
