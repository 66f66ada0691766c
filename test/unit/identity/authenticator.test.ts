import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Authenticator } from '../../../proxy/identity/authenticator.js';
import type { Principal } from '../../../proxy/identity/principal.js';
import { tokenIdOf, type TokenTable } from '../../../proxy/identity/tokens-file.js';
import { isRefusal, type Refusal } from '../../../proxy/protocol/errors.js';

function table(...users: [user: string, token: string, roles?: string[]][]): TokenTable {
  const entries = users.map(([user, token, roles = ['user']]) => {
    const digest = createHash('sha256').update(token).digest();
    return { digest, principal: { user, roles: new Set(roles), source: 'token', key: user, tokenId: tokenIdOf(digest) } satisfies Principal };
  });
  return { entries, patterns: [] };
}

/** `user (source)` or `code NAME`. */
function answer(result: Principal | Refusal): string {
  return isRefusal(result) ? `${result.code} ${result.message}` : `${result.user} (${result.source})`;
}

const FAILED = '-32002 AUTHENTICATION_FAILED';
const REQUIRED = '-32001 AUTHENTICATION_REQUIRED';
const NOT_CONFIGURED = '-32003 AUTHENTICATION_NOT_CONFIGURED';

const tokens = table(['alice', 'a-token'], ['bob', 'b-token'], ['alice', 'a-second']);

describe('connect is answered like a CLI server answers', () => {
  const cases: [string, { anonymous?: string; tokens?: TokenTable }, string | undefined, string | undefined, string][] = [
    ['tokens; none sent', { tokens }, undefined, undefined, FAILED],
    ['tokens; an empty one sent', { tokens }, '', undefined, FAILED],
    ['tokens; a wrong one sent', { tokens }, 'wrong', undefined, FAILED],
    ['tokens; a good one sent', { tokens }, 'b-token', undefined, 'bob (token)'],
    ['tokens; the first one sent', { tokens }, 'a-token', undefined, 'alice (token)'],
    ['tokens; the last one sent', { tokens }, 'a-second', undefined, 'alice (token)'],
    ['tokens; one with a space more', { tokens }, 'a-token ', undefined, FAILED],
    ['tokens; one in another case', { tokens }, 'A-token', undefined, FAILED],
    ['tokens; the hash of one', { tokens }, createHash('sha256').update('a-token').digest('hex'), undefined, FAILED],
    ['tokens; an endless one', { tokens }, 'x'.repeat(1_000_000), undefined, FAILED],
    ['no tokens in the file', { tokens: table() }, 'a-token', undefined, FAILED],
    ['anonymous; none sent', { anonymous: 'local' }, undefined, undefined, 'local (anonymous)'],
    ['anonymous; an empty one sent', { anonymous: 'local' }, '', undefined, 'local (anonymous)'],
    ['anonymous; one sent', { anonymous: 'local' }, 'a-token', undefined, NOT_CONFIGURED],
    ['both; none sent', { anonymous: 'local', tokens }, undefined, undefined, 'local (anonymous)'],
    ['both; a wrong one sent', { anonymous: 'local', tokens }, 'wrong', undefined, FAILED],
    ['both; a good one sent', { anonymous: 'local', tokens }, 'b-token', undefined, 'bob (token)'],
    ['neither; none sent', {}, undefined, undefined, FAILED],
    ['neither; one sent', {}, 'a-token', undefined, NOT_CONFIGURED],
    ['a listener for carol; none sent', { anonymous: 'local', tokens }, undefined, 'carol', 'carol (listener)'],
    ['a listener for carol; a good one sent', { tokens }, 'a-token', 'carol', NOT_CONFIGURED],
  ];
  test.each(cases)('%s', (_name, logins, token, listener, expected) => {
    expect(answer(new Authenticator(logins).login(token, listener))).toBe(expected);
  });
});

describe('a call before connect', () => {
  test('is refused where a token is due', () => {
    expect(answer(new Authenticator({ tokens }).withoutConnect())).toBe(REQUIRED);
    expect(new Authenticator({ tokens }).required()).toBe(true);
    expect(answer(new Authenticator({}).withoutConnect())).toBe(REQUIRED);
  });

  test('is the anonymous user\'s where there is one', () => {
    expect(answer(new Authenticator({ anonymous: 'local', tokens }).withoutConnect())).toBe('local (anonymous)');
    expect(new Authenticator({ anonymous: 'local', tokens }).required()).toBe(false);
  });

  test('is the listener\'s user\'s where there is one', () => {
    expect(answer(new Authenticator({ tokens }).withoutConnect('carol'))).toBe('carol (listener)');
  });
});

test('the refusal of a wrong token and of a missing one are the same', () => {
  const authenticator = new Authenticator({ tokens });
  expect(authenticator.login('wrong')).toEqual(authenticator.login(undefined));
});

test('no refusal holds the token', () => {
  expect(JSON.stringify(new Authenticator({ tokens }).login('wrong-token'))).not.toContain('wrong-token');
});

test('an anonymous user and a listener\'s user have the role user and no other', () => {
  const authenticator = new Authenticator({ anonymous: 'local' });
  for (const principal of [authenticator.login(undefined), authenticator.login(undefined, 'carol')] as Principal[]) {
    expect([...principal.roles]).toEqual(['user']);
  }
});

describe('after a reload', () => {
  const bob = new Authenticator({ tokens }).login('b-token') as Principal;
  const local = new Authenticator({ anonymous: 'local' }).login(undefined) as Principal;
  const carol = new Authenticator({}).login(undefined, 'carol') as Principal;

  test('the new tokens are in force', () => {
    const authenticator = new Authenticator({ tokens });
    authenticator.update({ tokens: table(['bob', 'new']) });
    expect([answer(authenticator.login('b-token')), answer(authenticator.login('new'))]).toEqual([FAILED, 'bob (token)']);
  });

  test('a principal whose token is still there is still valid', () => {
    expect(new Authenticator({ tokens: table(['bob', 'b-token']) }).stillValid(bob)).toBe(true);
  });

  test('a principal whose token is gone is not, even if the user has another', () => {
    expect(new Authenticator({ tokens: table(['bob', 'another']) }).stillValid(bob)).toBe(false);
    expect(new Authenticator({ anonymous: 'bob' }).stillValid(bob)).toBe(false);
  });

  test('a principal whose token belongs to another user now is not', () => {
    expect(new Authenticator({ tokens: table(['eve', 'b-token']) }).stillValid(bob)).toBe(false);
  });

  test('a principal gets the roles that its token has now', () => {
    const current = new Authenticator({ tokens: table(['bob', 'b-token', ['admin']]) }).current(bob);
    expect([...(current?.roles ?? [])]).toEqual(['admin']);
  });

  test('an anonymous principal is valid as long as that is the anonymous user', () => {
    expect(new Authenticator({ anonymous: 'local', tokens }).stillValid(local)).toBe(true);
    expect(new Authenticator({ anonymous: 'other' }).stillValid(local)).toBe(false);
    expect(new Authenticator({ tokens }).stillValid(local)).toBe(false);
  });

  test('a listener\'s principal stays valid, since listeners change at a restart only', () => {
    expect(new Authenticator({ tokens }).stillValid(carol)).toBe(true);
  });
});

test('the patterns of services are those of the table in force', () => {
  const authenticator = new Authenticator({ tokens: { entries: [], patterns: [/^(?<user>a)/] } });
  expect(authenticator.patterns).toEqual([/^(?<user>a)/]);
  authenticator.update({});
  expect(authenticator.patterns).toEqual([]);
});
