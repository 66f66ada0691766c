import { describe, expect, test } from 'vitest';
import { sessionPattern } from '../../../proxy/identity/session-pattern.js';

const trouble = (text: string) => {
  const verdict = sessionPattern(text);
  return 'trouble' in verdict ? verdict.trouble : undefined;
};

describe('a session pattern is taken', () => {
  test.each([
    '^user-(?<user>[A-Za-z0-9]+)-',
    '^(?<user>[a-z]{1,20})$',
    '^(?:prod|dev)-(?<user>[A-Za-z0-9]+)-[0-9]+$',
    '^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}(?<user>\\w+)$',
    '^a(?:b)?-(?<user>[^-]+)-[()|*+?{2,}]',
    '^(?=[a-z])(?<user>.+)$',
    '^\\(\\*\\+(?<user>x)\\)',
    '^(?<org>[a-z]+)_(?<user>[a-z]+)_[^_]+_.*$',
  ])('%s', (text) => expect(sessionPattern(text)).toEqual({ pattern: new RegExp(text) }));
});

describe('a session pattern is refused', () => {
  test.each([
    ['(', 'is not a regular expression'],
    ['^(?<user>', 'is not a regular expression'],
    ['^user-([a-z]+)-', 'has no group (?<user>…), which finds the user in a session id'],
    ['^(?<name>[a-z]+)-', 'has no group (?<user>…), which finds the user in a session id'],
    ['^\\(?<user>x', 'has no group (?<user>…), which finds the user in a session id'],
    ['^[(?<user>x)]', 'has no group (?<user>…), which finds the user in a session id'],
    ['^(?<user>a+)+$', 'repeats a group that has repeats, ? or | in it, which can take very long'],
    ['^(?<user>(?:a|aa)*)$', 'repeats a group that has repeats, ? or | in it, which can take very long'],
    ['^(?<user>(?:a?){30}a{30})$', 'repeats a group that has repeats, ? or | in it, which can take very long'],
    ['^(?<user>((a+)b)*)$', 'repeats a group that has repeats, ? or | in it, which can take very long'],
    ['^(?<user>(?:a+){2,9})$', 'repeats a group that has repeats, ? or | in it, which can take very long'],
    ['^(?<user>.)\\k<user>$', 'refers back to a group, which can take very long'],
    ['^(?<user>.)\\1$', 'refers back to a group, which can take very long'],
    [`^(?<user>x)${'a'.repeat(250)}`, 'is longer than 256 characters'],
  ])('%s %s', (text, expected) => expect(trouble(text)).toBe(expected));

  test.each(['^.*.*.*.*(?<user>.*)', '.*.*.*(?<user>.*)', '^.*.*.*.*(?<user>a?)', `^(?<user>${'a?'.repeat(29)})`, '^.*|.*.*.*(?<user>.*)'])(
    '%s can take very long', (text) => expect(trouble(text)).toMatch(/^can take very long/));
});

test.each(['user-(?<user>[a-z]+)-', '^x|user-(?<user>[a-z]+)-'])('%s is taken with a warning, since it matches anywhere', (text) => {
  expect(sessionPattern(text)).toMatchObject({ warning: 'does not begin with ^, so the user may be found anywhere in a session id' });
});

test('the slowest patterns that are taken are done with an id before this test is over', () => {
  for (const text of ['^\\w*\\w*\\w*(?<user>\\w*)!', '\\w*\\w*(?<user>\\w*)!', '^\\w*\\w*(?<user>\\w*)a?a?a?a?a?a?a?!']) {
    const verdict = sessionPattern(text);
    expect('pattern' in verdict && verdict.pattern.test('a'.repeat(128))).toBe(false);
  }
});
