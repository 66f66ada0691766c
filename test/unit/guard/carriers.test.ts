import { describe, expect, test } from 'vitest';
import { keepOwned, sessionIdsIn } from '../../../proxy/guard/carriers.js';
import { lookup, METHODS, type MethodSpec } from '../../../proxy/protocol/catalogue.js';

function spec(name: string): MethodSpec {
  const found = lookup(name);
  if (found === undefined) throw new Error(`no such method: ${name}`);
  return found;
}

const deep: MethodSpec = { ...spec('session.mode.set'), carriers: [{ path: 'options.sessionId' }, { path: 'list[].inner.id' }] };

describe('finding session ids', () => {
  test('the session\'s own and those of carriers are found', () => {
    expect(sessionIdsIn(spec('session.mode.set'), { sessionId: 'a', inheritPlanBaseFromSessionId: 'b' })).toEqual([
      { path: 'sessionId', id: 'a' }, { path: 'inheritPlanBaseFromSessionId', id: 'b' },
    ]);
  });

  test('every entry of a list is found', () => {
    expect(sessionIdsIn(spec('sessions.bulkDelete'), { sessionIds: ['a', 'b'] })).toEqual([
      { path: 'sessionIds[0]', id: 'a' }, { path: 'sessionIds[1]', id: 'b' },
    ]);
  });

  test('ids in the objects of a list are found', () => {
    expect(sessionIdsIn(spec('sessions.enrichMetadata'), { sessions: [{ sessionId: 'a' }, { sessionId: 'b' }] })).toEqual([
      { path: 'sessions[0].sessionId', id: 'a' }, { path: 'sessions[1].sessionId', id: 'b' },
    ]);
  });

  test('ids at any depth are found', () => {
    expect(sessionIdsIn(deep, { options: { sessionId: 'a' }, list: [{ inner: { id: 'b' } }] })).toEqual([
      { path: 'options.sessionId', id: 'a' }, { path: 'list[0].inner.id', id: 'b' },
    ]);
  });

  test('what is absent or null is no id', () => {
    expect(sessionIdsIn(spec('session.mode.set'), { sessionId: null })).toEqual([]);
  });

  test('what an object inherits is no id', () => {
    expect(sessionIdsIn(spec('session.mode.set'), Object.create({ sessionId: 'a' }) as Record<string, unknown>)).toEqual([]);
  });

  test.each([
    ['session.mode.set', { sessionId: 7 }], ['session.mode.set', { sessionId: ['a'] }], ['session.mode.set', { inheritPlanBaseFromSessionId: {} }],
    ['sessions.bulkDelete', { sessionIds: 'a' }], ['sessions.bulkDelete', { sessionIds: { 0: 'a' } }], ['sessions.bulkDelete', { sessionIds: ['a', 1] }],
    ['sessions.enrichMetadata', { sessions: ['a'] }], ['sessions.enrichMetadata', { sessions: [{ sessionId: 1 }] }], ['sessions.enrichMetadata', { sessions: [null] }],
  ])('%s with something else in an id\'s place is refused: %j', (name, params) => {
    expect(sessionIdsIn(spec(name), params)).toMatchObject({ name: 'SKYPORT_INVALID_PARAMS' });
  });

  test('no path in the catalogue is of a form that is not understood', () => {
    const paths = METHODS.flatMap((method) => method.carriers.map((carrier) => carrier.path));
    expect(paths.filter((path) => !/^\w+(\[\])?(\.\w+(\[\])?)*$/.test(path))).toEqual([]);
  });
});

describe('keeping what is owned', () => {
  const owns = (id: string) => id === 'mine';

  test('ids that are not owned go', () => {
    expect(keepOwned(spec('sessions.bulkDelete'), { sessionIds: ['mine', 'theirs', 'mine'] }, owns)).toEqual({ sessionIds: ['mine', 'mine'] });
  });

  test('records that are not owned go', () => {
    const sessions = [{ sessionId: 'mine', name: 'n' }, { sessionId: 'theirs' }, {}, null];
    expect(keepOwned(spec('sessions.enrichMetadata'), { sessions }, owns)).toEqual({ sessions: [{ sessionId: 'mine', name: 'n' }] });
  });

  test('other parameters stay', () => {
    expect(keepOwned(spec('sessions.getClientMetadata'), { sessionIds: [], keys: ['k'] }, owns)).toEqual({ sessionIds: [], keys: ['k'] });
  });

  test('the client\'s own parameters are not changed', () => {
    const params = { sessionIds: ['theirs'] };
    keepOwned(spec('sessions.bulkDelete'), params, owns);
    expect(params).toEqual({ sessionIds: ['theirs'] });
  });
});
