import { describe, expect, test } from 'vitest';
import { sharingRules } from '../../../proxy/settings.js';
import { MINIMAL, load } from './scratch.js';

const shares = (...entries: object[]): string => `${MINIMAL}sessions: { shares: ${JSON.stringify(entries)} }\n`;

describe('sessions.shares', () => {
  test('become rules', () => {
    const { config, problems } = load(shares({ pattern: '^team-(?<team>[a-z]+)-', with: { roles: ['team-$<team>'], users: ['boss'] }, as: 'writer' }));
    expect(problems).toEqual([]);
    expect(sharingRules(config!)).toEqual([{ pattern: /^team-(?<team>[a-z]+)-/, users: ['boss'], roles: ['team-$<team>'], as: 'writer' }]);
  });

  test('are for readers unless they say otherwise, and there are none by default', () => {
    expect(load(shares({ pattern: '^a', with: { users: ['bob'] } })).config!.sessions.shares[0]!.as).toBe('reader');
    expect(sharingRules(load(MINIMAL).config!)).toEqual([]);
  });

  test.each([
    [{ pattern: '(', with: { users: ['bob'] } }, 'pattern', 'is not a regular expression'],
    [{ pattern: '^(a+)+$', with: { users: ['bob'] } }, 'pattern', 'repeats a group'],
    [{ pattern: '^a', with: {} }, 'with', 'names nobody'],
    [{ pattern: '^a' }, 'with', 'is required'],
    [{ pattern: '^a', with: { users: ['$<team>'] } }, 'with.users[0]', 'refers to a group team'],
    [{ pattern: '^a', with: { users: ['../bob'] } }, 'with.users[0]', 'is not a user name'],
    [{ pattern: '^a', with: { roles: ['Team Red'] } }, 'with.roles[0]', 'is not a role name'],
    [{ pattern: '^a', with: { users: ['bob'] }, as: 'owner' }, 'as', 'is not one of the allowed words'],
  ])('%j is a mistake', (entry, key, message) => {
    const { config, problems } = load(shares(entry));
    expect(config).toBeUndefined();
    expect(problems.map((problem) => [problem.key, problem.message])).toEqual([[`sessions.shares[0].${key}`, expect.stringContaining(message)]]);
  });

  test('warn of a pattern that may match anywhere', () => {
    const { config, problems } = load(shares({ pattern: 'team', with: { users: ['bob'] } }));
    expect(config).toBeDefined();
    expect(problems.map(({ key, severity }) => [key, severity])).toEqual([['sessions.shares[0].pattern', 'warning']]);
  });
});
