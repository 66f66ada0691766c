import { describe, expect, test } from 'vitest';
import { FANOUT_METHODS, mergeFanout, planFanout } from '../../../proxy/guard/fanout.js';
import { lookup, METHODS, type MethodSpec } from '../../../proxy/protocol/catalogue.js';

/** a1, a2 are ours on cli-1 and cli-2; b1 is somebody else's on cli-1. */
const binding = new Map([['a1', 'cli-1'], ['a2', 'cli-2'], ['b1', 'cli-1']]);
const owns = (id: string) => id.startsWith('a') || id.startsWith('1111');
const backends = ['cli-1', 'cli-2'];

function spec(name: string): MethodSpec {
  const found = lookup(name);
  if (found === undefined) throw new Error(`no such method: ${name}`);
  return found;
}

const plan = (name: string, params = {}) => planFanout(spec(name), params, owns, (id) => binding.get(id), backends);
const merge = (name: string, params: Record<string, unknown>, ...results: unknown[]) =>
  mergeFanout(spec(name), params, new Map(results.map((result, index) => [`cli-${index + 1}`, result])), owns);

const entry = (sessionId: string, minute: number, more = {}) => ({
  sessionId, startTime: '2026-01-01T00:00:00.000Z', modifiedTime: `2026-01-01T00:${String(minute).padStart(2, '0')}:00.000Z`,
  isRemote: false, isDetached: false, summary: 's', context: { cwd: '/w' }, ...more,
});
const list = (...sessions: unknown[]) => ({ sessions });
const ids = (result: unknown) => (result as { sessions: { sessionId: string }[] }).sessions.map((session) => session.sessionId);

test('every fanout method of the catalogue can be answered, and no other', () => {
  expect([...FANOUT_METHODS].sort()).toEqual(METHODS.filter((method) => method.route === 'fanout').map((method) => method.name).sort());
});

test.each(FANOUT_METHODS)('%s answers without a word about others when a backend answers nonsense', (name) => {
  const answers = [null, 7, 'b1', [], {}, list(null, 'b1', { sessionId: 5 }), [{ sessionId: 'b1' }], { sessionIds: ['b1'], inUse: ['b1'], sizes: { b1: 1 }, freedBytes: { b1: 1 }, sessionId: 'b1', sessions: [entry('b1', 1)] }];
  expect(JSON.stringify(merge(name, {}, ...answers))).not.toContain('b1');
});

describe('lists', () => {
  test('every backend is asked with the client\'s filter', () => {
    const params = { filter: { cwd: '/w' } };
    expect([...plan('session.list', params)]).toEqual([['cli-1', { method: 'session.list', params }], ['cli-2', { method: 'session.list', params }]]);
  });

  test.each(['session.list', 'sessions.list'])('%s is merged newest first, without others\' sessions', (name) => {
    expect(ids(merge(name, {}, list(entry('b1', 9), entry('a1', 1)), list(entry('a2', 5))))).toEqual(['a2', 'a1']);
  });

  test('a session that two backends list is listed once, as it was last', () => {
    expect(merge('session.list', {}, list(entry('a1', 1, { name: 'old' })), list(entry('a1', 3, { name: 'new' })))).toEqual(list(entry('a1', 3, { name: 'new' })));
  });

  test('the metadata limit is not left to backends, which would count others\' sessions', () => {
    expect(plan('sessions.list', { metadataLimit: 1, source: 'local' }).get('cli-1')).toEqual({ method: 'sessions.list', params: { source: 'local' } });
  });

  test('beyond the metadata limit only the basics are left', () => {
    const { startTime, isRemote, isDetached } = entry('a1', 1);
    expect(merge('sessions.list', { metadataLimit: 1 }, list(entry('a1', 1)), list(entry('a2', 2)))).toEqual(
      list(entry('a2', 2), { sessionId: 'a1', startTime, modifiedTime: entry('a1', 1).modifiedTime, isRemote, isDetached }),
    );
  });

  test('sizes are those of one\'s own sessions', () => {
    expect(merge('sessions.getSizes', {}, { sizes: { a1: 10, b1: 20 } }, { sizes: { a2: 30 } })).toEqual({ sizes: { a1: 10, a2: 30 } });
  });
});

describe('answers that a server would take from all users\' sessions', () => {
  test('are computed from lists', () => {
    const methods = ['session.getLastId', 'sessions.getLastForContext', 'sessions.findByPrefix', 'sessions.listNonEmptySessionIds'];
    expect(methods.map((name) => plan(name, { limit: 1 }).get('cli-2'))).toEqual([
      { method: 'session.list', params: {} }, { method: 'sessions.list', params: {} }, { method: 'sessions.list', params: {} }, { method: 'sessions.list', params: {} },
    ]);
  });

  test('the last id is the newest of one\'s own', () => {
    expect(merge('session.getLastId', {}, list(entry('b1', 9), entry('a1', 1)), list(entry('a2', 5)))).toEqual({ sessionId: 'a2' });
  });

  test('there is no last id without sessions', () => {
    expect(merge('session.getLastId', {}, list(entry('b1', 9)))).toEqual({});
  });

  const places = list(entry('a1', 1, { context: { cwd: '/here', gitRoot: '/g' } }), entry('a2', 5));

  test('the last for a context is the newest in its directory', () => {
    expect(merge('sessions.getLastForContext', { context: { cwd: '/here' } }, places)).toEqual({ sessionId: 'a1' });
  });

  test('the last for a context falls back to its repository', () => {
    expect(merge('sessions.getLastForContext', { context: { cwd: '/g/sub', gitRoot: '/g' } }, places)).toEqual({ sessionId: 'a1' });
  });

  test('the last for a context is of its repository and branch, then of its repository, then of its root, then of its directory', () => {
    const all = list(
      entry('a1', 1, { context: { cwd: '/x', repository: 'o/r', branch: 'main' } }), entry('a2', 2, { context: { cwd: '/y', repository: 'o/r', branch: 'dev' } }),
      entry('a3', 3, { context: { cwd: '/z', gitRoot: '/g' } }), entry('a4', 4, { context: { cwd: '/here' } }),
    );
    const last = (context: object): unknown => (merge('sessions.getLastForContext', { context: { cwd: '/here', ...context } }, all) as { sessionId?: string }).sessionId;
    expect([last({ repository: 'o/r', branch: 'main', gitRoot: '/g' }), last({ repository: 'o/r', gitRoot: '/g' }), last({ gitRoot: '/g' }), last({})])
      .toEqual(['a1', 'a2', 'a3', 'a4']);
  });

  test('the last for an unknown context is the newest', () => {
    expect(merge('sessions.getLastForContext', { context: { cwd: '/nowhere' } }, places)).toEqual({ sessionId: 'a2' });
  });

  const uuid = '11111111-aaaa-4000-8000-000000000001';

  test('a prefix finds one\'s own session, though another user\'s begins alike', () => {
    expect(merge('sessions.findByPrefix', { prefix: '11111111-AA' }, list(entry(uuid, 1), entry('b1111111', 1)))).toEqual({ sessionId: uuid });
  });

  test.each([['too short', '111111'], ['the whole id', uuid], ['of two sessions', '11111111'], ['no text', 7]])('a prefix that is %s finds nothing', (_why, prefix) => {
    expect(merge('sessions.findByPrefix', { prefix }, list(entry(uuid, 1), entry('11111111-bbbb-4000-8000-000000000002', 1)))).toEqual({});
  });

  const three = list(entry('a1', 1), entry('a2', 2), entry('a3', 3), entry('a4', 4, { summary: undefined }), entry('b1', 9));

  test('sessions with history are two, as on a server, where no limit is given', () => {
    expect(merge('sessions.listNonEmptySessionIds', {}, three)).toEqual({ sessionIds: ['a3', 'a2'] });
  });

  test('sessions with history are counted among one\'s own', () => {
    expect(merge('sessions.listNonEmptySessionIds', { limit: 10 }, three)).toEqual({ sessionIds: ['a3', 'a2', 'a1'] });
  });

  test('a task finds one\'s own session', () => {
    expect(merge('sessions.findByTaskId', { taskId: 't' }, {}, { sessionId: 'a2' })).toEqual({ sessionId: 'a2' });
  });

  test('a task does not find another user\'s session', () => {
    expect(merge('sessions.findByTaskId', { taskId: 't' }, { sessionId: 'b1' })).toEqual({});
  });
});

describe('questions about given ids', () => {
  test('each backend is asked about its own, nobody about another user\'s', () => {
    expect([...plan('sessions.getClientMetadata', { sessionIds: ['a1', 'b1', 'a2'], keys: ['k'] })]).toEqual([
      ['cli-1', { method: 'sessions.getClientMetadata', params: { sessionIds: ['a1'], keys: ['k'] } }],
      ['cli-2', { method: 'sessions.getClientMetadata', params: { sessionIds: ['a2'], keys: ['k'] } }],
    ]);
  });

  test('nobody is asked where nothing is one\'s own', () => {
    expect(plan('sessions.bulkDelete', { sessionIds: ['b1'] }).size).toBe(0);
  });

  test('a session without a binding is looked for on the first backend', () => {
    expect([...plan('sessions.bulkDelete', { sessionIds: ['a9'] }).keys()]).toEqual(['cli-1']);
  });

  test('client metadata comes in the order of the question; others\' sessions do not exist', () => {
    const params = { sessionIds: ['a2', 'b1', 'a1'] };
    expect(merge('sessions.getClientMetadata', params, [{ sessionId: 'a1', status: 'ok', metadata: {} }], [{ sessionId: 'a2', status: 'ok', metadata: {} }])).toEqual([
      { sessionId: 'a2', status: 'ok', metadata: {} }, { sessionId: 'b1', status: 'notFound' }, { sessionId: 'a1', status: 'ok', metadata: {} },
    ]);
  });

  test('only one\'s own sessions are in use', () => {
    expect(merge('sessions.checkInUse', { sessionIds: ['a1', 'b1', 'a2'] }, { inUse: ['b1', 'a1'] }, { inUse: [] })).toEqual({ inUse: ['a1'] });
  });

  test('deleting another user\'s session frees nothing and is no error, as with one that does not exist', () => {
    expect(merge('sessions.bulkDelete', { sessionIds: ['a1', 'b1'] }, { freedBytes: { a1: 5 } })).toEqual({ freedBytes: { a1: 5, b1: 0 } });
  });

  test('a deletion that no backend confirmed is not reported', () => {
    expect(merge('sessions.bulkDelete', { sessionIds: ['a1'] })).toEqual({ freedBytes: {} });
  });

  test('another user\'s record comes back as it was given', () => {
    const params = { sessions: [{ sessionId: 'b1', startTime: 't' }, { sessionId: 'a1' }] };
    expect(merge('sessions.enrichMetadata', params, { sessions: [{ sessionId: 'a1', summary: 'x' }] })).toEqual({
      sessions: [{ sessionId: 'b1', startTime: 't', isDetached: false }, { sessionId: 'a1', summary: 'x' }],
    });
  });

  test('an empty session of one\'s own is left out, as a server does', () => {
    expect(merge('sessions.enrichMetadata', { sessions: [{ sessionId: 'a1' }] }, { sessions: [] })).toEqual({ sessions: [] });
  });
});
