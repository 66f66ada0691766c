import fc from 'fast-check';
import { expect, it } from 'vitest';
import { scan, type Scan } from '../../proxy/wire/scan.js';
import { id, json, key, Members, members, mutate, objectOf, randomFrom, sessionId, spell, stringOf, text, type Json } from './wire-messages.js';

const BUDGET = { numRuns: 1_000_000, interruptAfterTimeLimit: 5_000 };
const jsonrpc: [string, Json] = ['jsonrpc', '2.0'];
const params = fc.oneof({ weight: 8, arbitrary: members(json, { sessionId }, key.filter((name) => name !== 'sessionId')) }, { weight: 1, arbitrary: fc.constantFrom<Json>(null, []) });
const method = fc.oneof(fc.constant('session.send'), text.filter((name) => Buffer.byteLength(name) <= 20));
const error = members(json, { code: fc.integer(), message: text });

const call = fc.record({ id, method, params }, { requiredKeys: ['method'] }).map((parts): [string, Json][] => Object.entries(parts));
const answer = fc.tuple(id, fc.oneof(json.map((value): [string, Json] => ['result', value]), error.map((value): [string, Json] => ['error', value])));
const clientMessage = fc.oneof(
  call.map((parts) => new Members([jsonrpc, ...parts])),
  answer.map(([value, outcome]) => new Members([jsonrpc, ['id', value], outcome])),
);

/** What `scan` promises, by way of a full parse. */
function view(message: unknown): object {
  const top = objectOf(message)!;
  const inside = objectOf(top.params);
  const kind = top.method === undefined ? 'response' : Object.hasOwn(top, 'id') ? 'request' : 'notification';
  return {
    kind, id: top.id, method: top.method ?? '', params: top.params, sessionId: stringOf(inside?.sessionId),
    paramKeys: Object.keys(inside ?? {}).sort(), isError: kind === 'response' && Object.hasOwn(top, 'error'),
  };
}

function viewOf(buffer: Buffer, seen: Scan): object {
  const at = (start: number, end: number): unknown => (start < 0 ? undefined : JSON.parse(buffer.toString('utf8', start, end)));
  expect(at(seen.sessionIdStart, seen.sessionIdEnd)).toBe(seen.sessionId);
  expect(at(seen.methodStart, seen.methodEnd) ?? '').toBe(seen.method);
  const { kind, method: name, sessionId: session, paramKeys, isError } = seen;
  return {
    kind, id: at(seen.idStart, seen.idEnd), method: name, params: at(seen.paramsStart, seen.paramsEnd), sessionId: session,
    paramKeys: [...paramKeys].sort(), isError,
  };
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function parse(bytes: Buffer): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(decoder.decode(bytes)) as unknown };
  } catch {
    return undefined;
  }
}

it('scan reads every message as JSON.parse does', () => {
  fc.assert(
    fc.property(clientMessage, fc.integer(), fc.constantFrom(1, 0.95), (message, seed, plain) => {
      const written = spell(message, randomFrom(seed), plain);
      const buffer = Buffer.from(`"}]${written}"}]`);
      const seen = scan(buffer, 3, buffer.length - 3);
      if ('reason' in seen) throw new Error(`${seen.message}: ${written}`);
      expect(viewOf(buffer, seen)).toEqual(view(JSON.parse(written)));
    }),
    BUDGET,
  );
});

it('scan takes of mutated messages only what JSON.parse takes, and reads it the same', () => {
  fc.assert(
    fc.property(clientMessage, fc.integer(), (message, seed) => {
      const random = randomFrom(seed);
      const bytes = mutate(Buffer.from(spell(message, random, 0.97)), random);
      const seen = scan(bytes, 0, bytes.length);
      const parsed = parse(bytes);
      if (!('reason' in seen)) {
        expect(parsed).toBeDefined();
        expect(viewOf(bytes, seen)).toEqual(view(parsed!.value));
      } else if (seen.idToken !== undefined) {
        expect(parsed).toBeDefined();
        expect(JSON.parse(seen.idToken)).toEqual(objectOf(parsed!.value)!.id);
      }
    }),
    { ...BUDGET, interruptAfterTimeLimit: 8_000 },
  );
});

it('scan refuses a second key of any name, in any spelling, at the top and in params', () => {
  fc.assert(
    fc.property(clientMessage, json, fc.nat(), fc.integer(), (message, value, pick, seed) => {
      const inside = message.entries.find(([name]) => name === 'params')?.[1];
      const places = [message, ...(inside instanceof Members && inside.entries.length > 0 ? [inside] : [])];
      const place = places[pick % places.length]!;
      const [name] = place.entries[pick % place.entries.length]!;
      const random = randomFrom(seed);
      const twice = new Members([...place.entries, [name, value]]);
      const whole = place === message ? twice : new Members(message.entries.map(([n, v]) => [n, v === inside ? twice : v]));
      const bytes = Buffer.from(spell(whole, random, random() < 0.5 ? 1 : 0.8));
      expect(scan(bytes, 0, bytes.length)).toMatchObject({ reason: 'invalid_request' });
    }),
    BUDGET,
  );
});
