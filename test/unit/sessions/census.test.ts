import { expect, test } from 'vitest';
import { takeCensus } from '../../../proxy/sessions/census.js';
import type { Session } from '../../../proxy/sessions/session.js';

interface Counted {
  readonly owner?: string;
  readonly backend?: string;
  readonly holder?: string;
  readonly foreign?: boolean;
  readonly loaded?: boolean;
  readonly open?: boolean;
}

function sessionOf({ owner = 'alice', backend = 'cli-1', holder = '', foreign = false, loaded = false, open = false }: Counted): Session {
  return { owner, backend, holder, foreign, loaded, turn: { open } } as unknown as Session;
}

test('each session counts for its backend, its holder and its owner', () => {
  const sessions = [{}, { backend: 'cli-2' }, { owner: 'bob', holder: 'b' }].map(sessionOf);
  const { bound, held, owners } = takeCensus(sessions, []);
  expect([...bound]).toEqual([['cli-1', 2], ['cli-2', 1]]);
  expect([...held]).toEqual([['', 2], ['b', 1]]);
  expect([...owners]).toEqual([['alice', { sessions: 2, loaded: 0, turnsOpen: 0 }], ['bob', { sessions: 1, loaded: 0, turnsOpen: 0 }]]);
});

test('another Skyport\'s session is not bound to a backend of this one', () => {
  expect([...takeCensus([sessionOf({ foreign: true, holder: 'b' })], []).bound]).toEqual([]);
});

test('loaded sessions and open turns are counted among the live ones', () => {
  const live = [{ loaded: true }, { loaded: true, open: true }, { open: true }].map(sessionOf);
  expect(takeCensus([...live, sessionOf({})], live).owners.get('alice')).toEqual({ sessions: 4, loaded: 2, turnsOpen: 2 });
});

test('a live session that was deleted in between is nobody\'s', () => {
  expect([...takeCensus([], [sessionOf({ loaded: true })]).owners]).toEqual([]);
});
