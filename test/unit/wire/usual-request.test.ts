import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isWireFault, type WireFault } from '../../../proxy/wire/frame.js';
import { scan, type Scan } from '../../../proxy/wire/scan.js';
import { mutate, randomFrom } from '../../fuzz/wire-messages.js';

/** By the strict reader alone: a message that begins with a blank is no usual one. Places are those without it. */
function strictly(body: Buffer): Scan | WireFault {
  const seen = scan(Buffer.concat([Buffer.from(' '), body]), 0, body.length + 1);
  if (isWireFault(seen)) return seen;
  const moved = { ...seen };
  for (const place of ['idStart', 'idEnd', 'methodStart', 'methodEnd', 'paramsStart', 'paramsEnd', 'sessionIdStart', 'sessionIdEnd'] as const) {
    if (moved[place] >= 0) moved[place]--;
  }
  return moved;
}

/** In a buffer of its own, so that nothing but its bytes is there to know it by. */
const alone = (body: Buffer): Scan | WireFault => scan(Buffer.from(body), 0, body.length);

const usual = (id: string, method: string, session: string, rest = '}}'): Buffer =>
  Buffer.from(`{"jsonrpc":"2.0","id":${id},"method":"${method}","params":{"sessionId":"${session}"${rest}`);

describe('a request as the SDKs write it', () => {
  it.each(['0', '17', '1000000001', '999999999999999999', '"4f1c09ab-0000-4000-8000-000000000017"', '""'])('is read as by the strict reader, with the id %s', (id) => {
    const body = usual(id, 'session.getMessages', 'one');
    expect(alone(body)).toEqual(strictly(body));
    expect(alone(body)).toMatchObject({ kind: 'request', method: 'session.getMessages', sessionId: 'one', paramKeys: ['sessionId'] });
  });

  it.each(['00', '01', '-0', '1.0', '1e3', '', 'null', '9223372036854775808', `"${'x'.repeat(257)}"`, '"a\\u0062"', '"\t"'])('is judged as by the strict reader, with the id %j', (id) => {
    const body = usual(id, 'session.getMessages', 'one');
    expect(alone(body)).toEqual(strictly(body));
  });

  it.each([
    ',"prompt":"hi"}}', ', "prompt" : [1,{"a":"\\u00e9é"}] } }', '} }', '}}\n', '},"more":1}', '},"id":2}', '},"params":{}}', '},"result":1}',
    ',"sessionId":"two"}}', ',"session\\u0049d":"two"}}', ',"a":1,"a":2}}', ',}}', ',"a"}}', '}', '', '}}}', '}}{}', '\\u0041"}}', ',"p":"\\ud800"}}', ',"p":1e999}}',
  ])('is judged as by the strict reader, with %j behind the session', (rest) => {
    const body = usual('5', 'session.send', 'one', rest);
    expect(alone(body)).toEqual(strictly(body));
  });

  it('may not hold what is no UTF-8 behind its session', () => {
    const body = Buffer.concat([usual('5', 'session.send', 'one', ',"prompt":"'), Buffer.from([0xc0, 0xa2]), Buffer.from('"}}')]);
    expect(alone(body)).toMatchObject({ reason: 'parse_error' });
  });

  it('is known again, whatever its id is and wherever it lies', () => {
    const session = '4f1c09ab-0000-4000-8000-000000000042';
    for (const [before, id] of [['', '1'], ['x', '22'], ['xyz', '"a"'], ['{"jsonrpc"', '4444444444']] as const) {
      const body = usual(id, 'session.metadata.isProcessing', session);
      const seen = scan(Buffer.concat([Buffer.from(before), body, Buffer.from('}}')]), before.length, before.length + body.length) as Scan;
      expect({ ...seen, idStart: seen.idStart - before.length }).toMatchObject({ method: 'session.metadata.isProcessing', sessionId: session, idStart: 22 });
      expect(Buffer.from(before + body.toString()).toString('latin1', seen.idStart, seen.idEnd)).toBe(id);
      expect(Buffer.from(before + body.toString()).toString('latin1', seen.paramsStart, seen.paramsEnd)).toBe(`{"sessionId":"${session}"}`);
    }
  });

  it('is not taken for one that differs in a single byte, at whatever place', () => {
    const known = usual('7', 'session.metadata.isProcessing', '4f1c09ab-0000-4000-8000-000000000043');
    expect(alone(known)).toEqual(strictly(known));
    for (let at = 0; at < known.length; at++) {
      for (const byte of [0x00, 0x20, 0x22, 0x31, 0x5c, 0x61, 0xff]) {
        const other = Buffer.from(known);
        other[at] = byte;
        expect(alone(other)).toEqual(strictly(other));
        expect(alone(known)).toMatchObject({ method: 'session.metadata.isProcessing' });
      }
    }
  });

  it('is read as by the strict reader, mutated or not, once and again', () => {
    const id = fc.oneof(fc.nat().map(String), fc.uuid().map((text) => JSON.stringify(text)), fc.constantFrom('0', '00', '""', 'true'));
    const method = fc.constantFrom('session.send', 'session.getMessages', 'm', 's'.repeat(129));
    const session = fc.oneof(fc.uuid(), fc.constantFrom('', 'a', 'é', 's'.repeat(200)));
    const rest = fc.oneof(fc.constant('}}'), fc.json().map((value) => `,"x":${value}}}`));
    fc.assert(fc.property(id, method, session, rest, fc.boolean(), fc.integer(), (i, m, s, r, isWhole, seed) => {
      const body = isWhole ? usual(i, m, s, r) : mutate(usual(i, m, s, r), randomFrom(seed));
      const expected = strictly(body);
      expect(alone(body)).toEqual(expected);
      expect(alone(body)).toEqual(expected);
    }), { numRuns: 3_000 });
  });
});
