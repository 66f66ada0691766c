import { expect, test } from 'vitest';
import { BACKEND_STATES, REQUEST_KINDS, methodLabel, requestKind } from '../../../proxy/observe/labels.js';
import type { HealthState } from '../../../proxy/backends/health.js';
import { METHODS } from '../../../proxy/protocol/catalogue.js';

test('a catalogued method is its own label', () => {
  expect(methodLabel('session.send')).toBe('session.send');
});

test.each(['no.such.method', '', '__proto__', 'session.send\n', 'x'.repeat(100_000)])(
  'a method outside the catalogue is labelled unknown: %.20j', (method) => {
    expect(methodLabel(method)).toBe('unknown');
    expect(requestKind(method)).toBe('unknown');
  },
);

test.each([
  ['session.send', 'send'],
  ['session.create', 'lifecycle'],
  ['session.resume', 'lifecycle'],
  ['session.delete', 'lifecycle'],
  ['session.abort', 'session'],
  ['session.list', 'fanout'],
  ['models.list', 'server'],
])('%s is of the kind %s', (method, kind) => {
  expect(requestKind(method)).toBe(kind);
});

test('every catalogued method has one of the announced kinds, and not unknown', () => {
  const kinds = new Set(METHODS.map(({ name }) => requestKind(name)));
  expect(kinds.has('unknown')).toBe(false);
  expect(REQUEST_KINDS).toEqual(expect.arrayContaining([...kinds]));
});

test('every state of a backend has a series', () => {
  const states: Record<HealthState, true> = { starting: true, up: true, down: true, ejected: true };
  expect([...BACKEND_STATES].sort()).toEqual(Object.keys(states).sort());
});
