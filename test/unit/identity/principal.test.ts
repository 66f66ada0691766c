import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isUserName, mayUse, namesSomebodyElse, ownerFor, type Principal } from '../../../proxy/identity/principal.js';

const PATTERN = /^user-(?<user>[A-Za-z0-9.]+)-/;
const alice: Principal = { user: 'alice', roles: new Set(['user']), source: 'token', key: 'alice' };
const app: Principal = { user: 'app', roles: new Set(['service']), source: 'token', key: 'service:app', sessionPattern: PATTERN };

describe('user names', () => {
  test.each(['a', 'Alice', '7', 'a.b_c-d@example.com', 'x'.repeat(64)])('%s is one', (name) => expect(isUserName(name)).toBe(true));

  test.each(['', '.', '..', '.hidden', 'a..b', '-rf', '@x', '_x', 'a/b', 'a\\b', 'a b', 'a\n', 'a\0', 'ä', 'x'.repeat(65)])(
    '%j is none', (name) => expect(isUserName(name)).toBe(false));

  test('one can never leave the directory that it is joined to', () => {
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom('.', '/', '\\', 'a', '-', '\0', '~', '@') }), (name) =>
      !isUserName(name) || (!name.includes('..') && !/[/\\\0~]/.test(name) && !name.startsWith('.'))), { numRuns: 2_000 });
  });
});

describe('the owner of a new session', () => {
  test('is the user, whatever the id', () => {
    expect(ownerFor(alice, 'user-bob-1')).toBe('alice');
  });

  test('of a service is the user that its pattern finds', () => {
    expect(ownerFor(app, 'user-bob-1')).toBe('bob');
  });

  test.each(['bob', 'xuser-bob-1', 'user--1', '', 'user-a.b-1', `user-bob-${'x'.repeat(128)}`, 'user-bob-\n'])(
    'of a service is nobody for %j', (id) => expect(ownerFor(app, id)).toBeUndefined());

  test('of a service is nobody when the pattern finds no user name', () => {
    const odd = { ...app, sessionPattern: /^(?<user>.*)-/ };
    expect(ownerFor(odd, '_x-1')).toBeUndefined();
    expect(ownerFor(odd, `${'x'.repeat(65)}-1`)).toBeUndefined();
    expect(ownerFor(odd, 'x-1')).toBe('x');
  });

  test('of a service without a pattern is nobody', () => {
    expect(ownerFor({ ...app, sessionPattern: undefined }, 'user-bob-1')).toBeUndefined();
  });

  test('is the same at each call', () => {
    expect([1, 2, 3].map(() => ownerFor(app, 'user-bob-1'))).toEqual(['bob', 'bob', 'bob']);
  });
});

describe('a session may be used', () => {
  test('by its owner and by nobody else', () => {
    expect(mayUse(alice, 'any', 'alice')).toBe(true);
    expect(mayUse(alice, 'any', 'bob')).toBe(false);
    expect(mayUse(alice, 'any', 'Alice')).toBe(false);
  });

  test('by a service whose pattern finds the owner in its id', () => {
    expect(mayUse(app, 'user-bob-1', 'bob')).toBe(true);
  });

  test('not by a service when the id names another than the owner, or nobody', () => {
    expect(mayUse(app, 'user-bob-1', 'alice')).toBe(false);
    expect(mayUse(app, '0f3c', 'bob')).toBe(false);
    expect(mayUse(app, '0f3c', 'app')).toBe(false);
  });
});

describe('an id that names somebody else by a service\'s pattern', () => {
  test('is known as such for a user', () => {
    expect(namesSomebodyElse(alice, 'user-bob-1', [PATTERN])).toBe(true);
    expect(namesSomebodyElse(alice, 'user-alice-1', [PATTERN])).toBe(false);
    expect(namesSomebodyElse(alice, '0f3c', [PATTERN])).toBe(false);
    expect(namesSomebodyElse(alice, 'user-bob-1', [])).toBe(false);
  });

  test('is what a service is for', () => {
    expect(namesSomebodyElse(app, 'user-bob-1', [PATTERN])).toBe(false);
  });
});
