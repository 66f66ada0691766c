import { expect, test } from 'vitest';
import { readSchema } from '../../../proxy/protocol/generate.js';

function only(entry: object, definitions: object = {}) {
  return readSchema({ server: { a: { rpcMethod: 'a.b', ...entry } }, session: {}, clientSession: {}, clientGlobal: {}, definitions })[0];
}

test('parameters are collected from references and from every variant of a union', () => {
  const method = only(
    { params: { anyOf: [{ not: {} }, { $ref: '#/definitions/P' }] }, result: {} },
    { P: { properties: { sessionId: {}, name: {} } } },
  );
  expect(method?.params).toEqual(['name', 'sessionId']);
});

test('a session id is found by its name at any depth, in lists and under other spellings', () => {
  const method = only({
    params: { properties: { inheritFromSessionId: {}, list: { items: { properties: { session_id: {} } } }, ids: { properties: { sessionIds: { items: {} } } } } },
  });
  expect(method?.paramIds).toEqual(['ids.sessionIds[]', 'inheritFromSessionId', 'list[].session_id']);
});

test('a session id is found by its description where the name does not tell', () => {
  const method = only({
    result: {
      properties: {
        inUse: { items: {}, description: 'Session IDs from the input set' },
        sizes: { additionalProperties: {}, description: 'Map of sessionId -> bytes' },
      },
    },
  });
  expect(method?.resultIds).toEqual(['inUse[]', 'sizes{}']);
});

test('a task of Mission Control is not taken for a session', () => {
  expect(only({ result: { properties: { mc_session_id: {} } } })?.resultIds).toEqual([]);
});

test('a definition that refers to itself ends', () => {
  const method = only(
    { params: { $ref: '#/definitions/N' } },
    { N: { properties: { sessionId: {}, child: { $ref: '#/definitions/N' } } } },
  );
  expect(method?.paramIds).toEqual(['sessionId']);
});
