import fc from 'fast-check';
import { expect, it } from 'vitest';
import { peek } from '../../proxy/wire/peek.js';
import { id, json, members, mutate, objectOf, randomFrom, sessionId, spell, stringOf, text, type Json } from './wire-messages.js';

const BUDGET = { numRuns: 1_000_000, interruptAfterTimeLimit: 6_000 };
const constant = (value: string): fc.Arbitrary<Json> => fc.constant(value);
const event = fc.oneof({ weight: 5, arbitrary: members(json, { type: text, data: json }) }, { weight: 1, arbitrary: json });
const params = fc.oneof(
  { weight: 6, arbitrary: members(json, { sessionId, event }) },
  { weight: 2, arbitrary: members(json, { sessionId: json, event: json }) },
  { weight: 1, arbitrary: json },
);
const backendMessage = fc.oneof(
  members(json, { jsonrpc: constant('2.0'), method: fc.constantFrom('session.event', 'session.lifecycle'), params }, text.filter((name) => name !== 'id')),
  members(json, { jsonrpc: constant('2.0'), method: fc.oneof(constant('hooks.invoke'), text.filter((name) => !name.startsWith('session.'))), params, id }, text),
  members(json, { jsonrpc: constant('2.0'), id, result: json }, text),
  members(json, { jsonrpc: constant('2.0'), id, error: json }, text),
  json,
);

/** What `peek` promises, by way of a full parse. */
function view(message: unknown): object {
  const top = objectOf(message) ?? {};
  const inside = objectOf(top.params) ?? {};
  const method = stringOf(top.method);
  const hasId = Object.hasOwn(top, 'id');
  const isError = (top.error ?? null) !== null;
  const isResponse = method === undefined && hasId && (isError || Object.hasOwn(top, 'result'));
  return {
    kind: method !== undefined ? (hasId ? 'request' : 'notification') : isResponse ? 'response' : 'unknown',
    id: top.id,
    method: method ?? '',
    sessionId: stringOf(inside.sessionId),
    eventType: method === 'session.event' ? stringOf(objectOf(inside.event)?.type) : undefined,
    isError: isResponse && isError,
  };
}

function look(buffer: Buffer, start: number, end: number): object {
  const { kind, idStart, idEnd, method, sessionId: session, eventType, isError } = peek(buffer, start, end);
  const id: unknown = idStart < 0 ? undefined : JSON.parse(buffer.toString('utf8', idStart, idEnd));
  return { kind, id, method, sessionId: session, eventType, isError };
}

/** Messages that carry a method and an outcome at once are no JSON-RPC: either may be seen. */
function isAmbiguous(message: unknown): boolean {
  const top = objectOf(message) ?? {};
  const outcomes = ['result', 'error'].filter((name) => Object.hasOwn(top, name)).length;
  return outcomes > 1 || (outcomes > 0 && (Object.hasOwn(top, 'method') || Object.hasOwn(top, 'params')))
    || (['session.event', 'session.lifecycle'].includes(String(top.method)) && Object.hasOwn(top, 'id'));
}

it('peek sees of every message what JSON.parse sees', () => {
  let compared = 0;
  fc.assert(
    fc.property(backendMessage, fc.integer(), fc.constantFrom(1, 0.97, 0.6), (message, seed, plain) => {
      const written = spell(message, randomFrom(seed), plain);
      const parsed: unknown = JSON.parse(written);
      if (isAmbiguous(parsed)) return;
      compared++;
      const buffer = Buffer.from(`"}]${written}"}]`);
      expect(look(buffer, 3, buffer.length - 3)).toEqual(view(parsed));
    }),
    BUDGET,
  );
  expect(compared).toBeGreaterThan(100);
});

it('peek never throws, and reads no further than the end', () => {
  fc.assert(
    fc.property(backendMessage, fc.integer(), (message, seed) => {
      const random = randomFrom(seed);
      const bytes = mutate(Buffer.from(spell(message, random, 0.97)), random);
      const alone = { ...peek(bytes, 0, bytes.length) };
      expect(alone.scanned).toBeLessThanOrEqual(bytes.length);
      const among = Buffer.concat([Buffer.from('"}'), bytes, Buffer.from('"}],"id":1}')]);
      const { idStart, idEnd } = alone;
      const shifted = idStart < 0 ? {} : { idStart: idStart + 2, idEnd: idEnd + 2 };
      expect({ ...peek(among, 2, 2 + bytes.length) }).toEqual({ ...alone, ...shifted });
    }),
    { ...BUDGET, interruptAfterTimeLimit: 4_000 },
  );
});
