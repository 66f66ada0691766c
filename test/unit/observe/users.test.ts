import { expect, test } from 'vitest';
import { USERS_LISTED } from '../../../proxy/observe/snapshot.js';
import { describeUsers, type UserSources } from '../../../proxy/observe/users.js';

function described(change: Partial<UserSources>): ReturnType<typeof describeUsers> {
  return describeUsers({ owners: new Map(), servers: new Map(), ...change });
}

test('where nobody counts turns they are those of the sessions that a user owns', () => {
  const { users } = described({ owners: new Map([['alice', { sessions: 3, loaded: 2, turnsOpen: 1 }]]) });
  expect(users).toEqual([{ user: 'alice', sessions: 3, loaded: 2, turnsOpen: 1, turnsQueued: 0 }]);
});

test('where they are counted they are those of the user who sends', () => {
  const { users } = described({
    owners: new Map([['alice', { sessions: 1, loaded: 1, turnsOpen: 1 }]]),
    turns: [{ user: 'alice', turnsOpen: 0, turnsQueued: 2, turnsLastMinute: 5 }, { user: 'bob', turnsOpen: 1, turnsQueued: 0, turnsLastMinute: 1 }],
  });
  expect(users).toEqual([
    { user: 'alice', sessions: 1, loaded: 1, turnsOpen: 0, turnsQueued: 2, turnsLastMinute: 5 },
    { user: 'bob', sessions: 0, loaded: 0, turnsOpen: 1, turnsQueued: 0, turnsLastMinute: 1 },
  ]);
});

test('a user\'s own server and roles are told, also of one without sessions', () => {
  const { users } = described({ servers: new Map([['alice', 'managed-u1']]), rolesOf: (user) => [`role-of-${user}`] });
  expect(users).toEqual([{ user: 'alice', server: 'managed-u1', roles: ['role-of-alice'], sessions: 0, loaded: 0, turnsOpen: 0, turnsQueued: 0 }]);
});

test('totals are of all users', () => {
  const owners = new Map([['a', { sessions: 9, loaded: 0, turnsOpen: 0 }], ['b', { sessions: 2, loaded: 2, turnsOpen: 1 }]]);
  const { userTotals } = described({ owners, turns: [{ user: 'c', turnsOpen: 3, turnsQueued: 7, turnsLastMinute: 3 }] });
  expect(userTotals).toEqual({ users: 3, active: 2, turnsQueued: 7, most: { sessions: 9, loaded: 2, turnsOpen: 3, turnsQueued: 7 } });
});

/** So many owners; every third one has a loaded session, and more of them the higher its number. */
function crowd(count: number): Map<string, { sessions: number; loaded: number; turnsOpen: number }> {
  return new Map(Array.from({ length: count }, (_, n) => [`u${n}`, { sessions: 1, loaded: n % 3 === 0 ? n : 0, turnsOpen: 0 }]));
}

test('of very many users only so many are listed, those who do something first', () => {
  const { users, userTotals } = described({ owners: crowd(2 * USERS_LISTED), servers: new Map([['u1', 'managed-u1']]) });
  expect([users.length, userTotals.users]).toEqual([USERS_LISTED, 2 * USERS_LISTED]);
  expect(users.filter(({ loaded }) => loaded > 0)).toHaveLength(userTotals.active);
  expect(users.some(({ user }) => user === 'u1')).toBe(true);
});

test('where even those are too many, they are the busiest', () => {
  const { users } = described({ owners: crowd(6 * USERS_LISTED) });
  expect(users).toHaveLength(USERS_LISTED);
  expect(Math.min(...users.map(({ loaded }) => loaded))).toBe(3 * USERS_LISTED);
});

test('roles are asked for those who are listed only', () => {
  let asked = 0;
  described({ owners: crowd(3 * USERS_LISTED), rolesOf: () => { asked++; return []; } });
  expect(asked).toBe(USERS_LISTED);
});
