import { describe, expect, it } from 'vitest';
import { Sharing, missingIn, withShares, withoutShares, type Sharer, type SharingRule } from '../../../proxy/sessions/shares.js';
import { sessionOf } from './cast.js';

const who = (user: string, ...roles: string[]): Sharer => ({ user, roles: new Set(roles) });
const rule = (pattern: RegExp, more: Partial<SharingRule> = {}): SharingRule => ({ pattern, users: [], roles: [], as: 'reader', ...more });

describe('access by the shares of a session', () => {
  const { session } = sessionOf('s1', { shares: { users: { bob: 'reader', carol: 'writer' }, roles: { team: 'writer' } } });
  const sharing = new Sharing();

  it('is what the user was given', () => {
    expect([sharing.access(who('bob'), session), sharing.access(who('carol'), session)]).toEqual(['reader', 'writer']);
  });

  it('is the stronger of name and role', () => {
    expect(sharing.access(who('bob', 'user', 'team'), session)).toBe('writer');
    expect(sharing.access(who('carol', 'user'), session)).toBe('writer');
  });

  it.each([who('dan'), who('team'), who('dan', 'bob'), who('constructor'), who('__proto__', 'toString')])('is nothing for %j', (stranger) => {
    expect(sharing.access(stranger, session)).toBeUndefined();
  });

  it('is nothing where nothing is shared', () => {
    const { session: own } = sessionOf('s2');
    expect([sharing.access(who('bob'), own), sharing.shared(own), sharing.shared(session)]).toEqual([undefined, false, true]);
  });

  it('may be given to somebody with a name of JavaScript\'s', () => {
    const { session: odd } = sessionOf('s3', { shares: withShares(undefined, { users: ['constructor'], roles: [] }, 'reader') });
    expect([sharing.access(who('constructor'), odd), sharing.access(who('toString'), odd)]).toEqual(['reader', undefined]);
  });
});

describe('access by rules', () => {
  const teams = new Sharing([
    rule(/^team-(?<team>[a-z]+)-/, { roles: ['team-$<team>'], as: 'writer' }),
    rule(/^team-(?<team>[a-z]+)-/, { users: ['boss'] }),
    rule(/^public-/, { roles: ['user'] }),
  ]);
  const access = (id: string, caller: Sharer) => teams.access(caller, sessionOf(id).session);

  it('is for those whom the pattern names', () => {
    expect(access('team-red-1', who('dan', 'team-red'))).toBe('writer');
    expect(access('team-red-1', who('dan', 'team-blue'))).toBeUndefined();
    expect(access('team-red-1', who('boss'))).toBe('reader');
  });

  it('is nothing for other sessions', () => {
    expect([access('my-team-red-1', who('boss', 'team-red')), access('s1', who('boss', 'user'))]).toEqual([undefined, undefined]);
  });

  it('needs no group', () => {
    expect(access('public-1', who('anybody', 'user'))).toBe('reader');
  });

  it('adds to the shares of the session, the stronger one counts', () => {
    const { session } = sessionOf('team-red-1', { shares: { users: { dan: 'reader', boss: 'writer' }, roles: {} } });
    expect([teams.access(who('dan', 'team-red'), session), teams.access(who('boss'), session)]).toEqual(['writer', 'writer']);
  });

  it('is the same each time it is asked', () => {
    const { session } = sessionOf('team-red-1');
    expect([1, 2, 3].map(() => teams.access(who('boss'), session))).toEqual(['reader', 'reader', 'reader']);
    expect(teams.ruled(session)).toEqual({ users: { boss: 'reader' }, roles: { 'team-red': 'writer' } });
  });

  it('is the strongest of several rules for the same name', () => {
    const twice = new Sharing([rule(/^a/, { users: ['bob'], as: 'writer' }), rule(/^ab/, { users: ['bob'] })]);
    expect(twice.access(who('bob'), sessionOf('abc').session)).toBe('writer');
  });
});

describe('shares', () => {
  const both = withShares(undefined, { users: ['bob'], roles: ['team'] }, 'writer');

  it('are added, and replaced by what is given last', () => {
    expect(withShares(both, { users: ['bob', 'carol'], roles: [] }, 'reader'))
      .toEqual({ users: { bob: 'reader', carol: 'reader' }, roles: { team: 'writer' } });
  });

  it('are taken away one by one, until there are none', () => {
    const one = withoutShares(both, { users: ['bob'], roles: [] });
    expect(one).toEqual({ users: {}, roles: { team: 'writer' } });
    expect(withoutShares(one, { users: [], roles: ['team'] })).toBeUndefined();
    expect(withoutShares(undefined, { users: ['bob'], roles: [] })).toBeUndefined();
  });

  it('know who has none', () => {
    expect(missingIn(both, { users: ['bob', 'team', 'constructor'], roles: ['team', 'bob'] })).toEqual({ users: ['team', 'constructor'], roles: ['bob'] });
  });

  it('are in the record of the session, where there are any', () => {
    expect(sessionOf('s1', { shares: both }).session.record().shares).toEqual(both);
    expect(JSON.stringify(sessionOf('s1').session.record())).not.toContain('shares');
  });
});
