import { describe, expect, it } from 'vitest';
import type { WireFault } from '../../../proxy/wire/frame.js';
import { scan, type Scan } from '../../../proxy/wire/scan.js';

const BEFORE = '"}]';

function read(text: string | Buffer): Scan | WireFault {
  // Something before and behind: offsets must count in the buffer, and nothing beyond the end be read.
  const body = Buffer.from(text as string);
  const buffer = Buffer.concat([Buffer.from(BEFORE), body, Buffer.from('"}]')]);
  return scan(buffer, BEFORE.length, BEFORE.length + body.length);
}

function accepted(text: string): Scan {
  const seen = read(text);
  if ('reason' in seen) throw new Error(seen.message);
  return seen;
}

function token(text: string, start: number, end: number): string {
  return Buffer.from(BEFORE + text).toString('utf8', start, end);
}

const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
const withParam = (value: string): string => `{"jsonrpc":"2.0","id":5,"method":"m","params":{"x":${value}}}`;

describe('a client’s message', () => {
  it('gives the places of everything', () => {
    const text = '{"jsonrpc":"2.0","id":"é","method":"session.send","params":{"prompt":"hi","sessionId":"s-1","mode":null}}';
    const seen = accepted(text);
    expect(seen).toMatchObject({
      kind: 'request', method: 'session.send', sessionId: 's-1', paramKeys: ['prompt', 'sessionId', 'mode'], isError: false,
    });
    expect(token(text, seen.idStart, seen.idEnd)).toBe('"é"');
    expect(token(text, seen.methodStart, seen.methodEnd)).toBe('"session.send"');
    expect(token(text, seen.sessionIdStart, seen.sessionIdEnd)).toBe('"s-1"');
    expect(token(text, seen.paramsStart, seen.paramsEnd)).toBe('{"prompt":"hi","sessionId":"s-1","mode":null}');
  });

  it('means the same in another order, with white space and escapes', () => {
    const text = ' { "p\\u0061rams" : { "session\\u0049d" : "s\\u002d1" , "\\u0061" : [ ] } ,\r\n\t"method":"session\\u002esend","id":-7,"jsonrpc":"2\\u002e0"} \n';
    const seen = accepted(text);
    expect(seen).toMatchObject({ kind: 'request', method: 'session.send', sessionId: 's-1', paramKeys: ['sessionId', 'a'] });
    expect(token(text, seen.idStart, seen.idEnd)).toBe('-7');
    expect(token(text, seen.sessionIdStart, seen.sessionIdEnd)).toBe('"s\\u002d1"');
  });

  it('without an id is a notification', () => {
    expect(accepted('{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}')).toMatchObject({ kind: 'notification', idStart: -1 });
  });

  it('with an outcome is a response', () => {
    expect(accepted('{"jsonrpc":"2.0","id":1,"result":null}')).toMatchObject({ kind: 'response', isError: false, method: '' });
    expect(accepted('{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}')).toMatchObject({ kind: 'response', isError: true });
  });

  it.each(['', ',"params":{}', ',"params":{ }', ',"params":null', ',"params":[]', ',"params":[ \n]'])('may have no parameters: %j', (rest) => {
    expect(accepted(`{"jsonrpc":"2.0","id":1,"method":"m"${rest}}`)).toMatchObject({ sessionId: undefined, paramKeys: [] });
  });

  it.each(['0', '-1', '9223372036854775807', '-9223372036854775808', '""', `"${'x'.repeat(256)}"`])('may have the id %s', (id) => {
    const text = `{"jsonrpc":"2.0","id":${id},"method":"m"}`;
    const { idStart, idEnd } = accepted(text);
    expect(token(text, idStart, idEnd)).toBe(id);
  });

  it.each(['0', '-0', '0.5', '1e308', '1E+2', '1e-999', '0e999', '1.7976931348623157e+308', '9'.repeat(308), 'true', 'false', 'null', '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\ude00"', '"日本"', '"\x7f"', nested(118), '{"a":[{},{"b":[]},1]}'])(
    'may have any value that the runtime reads: %s',
    (value) => {
      expect(accepted(withParam(value)).paramKeys).toEqual(['x']);
    },
  );

  it('may repeat keys below its parameters, which the proxy does not read', () => {
    expect(accepted(withParam('{"a":1,"a":2}')).paramKeys).toEqual(['x']);
  });
});

describe('refused as no JSON', () => {
  it.each([
    ['nothing', ''],
    ['blanks', '  '],
    ['a byte order mark', '\ufeff{"jsonrpc":"2.0","method":"m"}'],
    ['invalid UTF-8', Buffer.from('{"jsonrpc":"2.0","id":1,"method":"\xff"}', 'latin1')],
    ['a surrogate as UTF-8', Buffer.from('{"jsonrpc":"2.0","id":1,"method":"\xed\xa0\x80"}', 'latin1')],
    ['an overlong form', Buffer.from('{"jsonrpc":"2.0","id":1,"method":"\xc0\xa2"}', 'latin1')],
    ['trailing bytes', '{"jsonrpc":"2.0","id":1,"method":"m"}x'],
    ['a second message', '{"jsonrpc":"2.0","id":1,"method":"m"}{}'],
    ['a trailing comma', '{"jsonrpc":"2.0","id":1,"method":"m",}'],
    ['a trailing comma in params', withParam('1,')],
    ['a control character in a string', withParam('"\n"')],
    ['a NUL in a string', withParam('"\0"')],
    ['an unknown escape', withParam('"\\x41"')],
    ['half an escape', withParam('"\\u00e"')],
    ['an open string', '{"jsonrpc":"2.0","id":1,"method":"m'],
    ['an open object', '{"jsonrpc":"2.0","id":1,"method":"m"'],
    ['mixed brackets', withParam('[1}')],
    ['mixed brackets the other way', withParam('{"a":1]')],
    ['a leading zero', withParam('01')],
    ['a plus', withParam('+1')],
    ['a bare minus', withParam('-')],
    ['a bare point', withParam('1.')],
    ['a bare exponent', withParam('1e')],
    ['NaN', withParam('NaN')],
    ['a half literal', withParam('tru')],
    ['a key without quotes', '{jsonrpc:"2.0","id":1,"method":"m"}'],
    ['a number as key', '{"jsonrpc":"2.0","id":1,"method":"m","params":{1:2}}'],
    ['single quotes', "{'jsonrpc':'2.0'}"],
    ['a comment', '{"jsonrpc":"2.0",/**/"id":1,"method":"m"}'],
    ['two values', '{"jsonrpc":"2.0","id":1 2,"method":"m"}'],
    ['a non-breaking space', '{"jsonrpc":"2.0",\u00a0"id":1,"method":"m"}'],
  ])('%s', (_name, text) => {
    expect(read(text)).toEqual({ reason: 'parse_error', message: expect.any(String) as string });
  });

  it.each([
    ['half a pair', withParam('"\\ud800"')],
    ['half a pair before text', withParam('"\\ud800x"')],
    ['half a pair before another escape', withParam('"\\ud800\\n"')],
    ['the second half of a pair', withParam('"\\udc00"')],
    ['a pair in the wrong order', withParam('"\\udc00\\ud800"')],
    ['half a pair in a key', withParam('{"\\ud800":1}')],
    ['121 levels', withParam(nested(119))],
    ['300 levels', withParam(nested(298))],
    ['121 levels of objects', withParam('{"a":'.repeat(119) + '1' + '}'.repeat(119))],
    ['a number out of range', withParam('1e999')],
    ['a negative number out of range', withParam('-1e309')],
    ['a long number out of range', withParam('9'.repeat(309))],
  ])('but answerable, since the runtime would answer nobody: %s', (_name, text) => {
    expect(read(text)).toMatchObject({ reason: 'parse_error', idToken: '5' });
  });

  it('without an id when the rest is no JSON either', () => {
    expect(read(withParam('"\\ud800"') + ']')).not.toHaveProperty('idToken');
  });
});

describe('refused as no request', () => {
  it.each([
    ['a batch', '[{"jsonrpc":"2.0","id":1,"method":"m"}]'],
    ['an empty batch', '[]'],
    ['a string', '"x"'],
    ['null', 'null'],
    ['an empty object', '{}'],
  ])('%s', (_name, text) => {
    expect(read(text)).toEqual({ reason: 'invalid_request', message: expect.any(String) as string });
  });

  it.each([
    ['no jsonrpc', '{"id":5,"method":"m"}'],
    ['another jsonrpc', '{"jsonrpc":"1.0","id":5,"method":"m"}'],
    ['a number as jsonrpc', '{"jsonrpc":2.0,"id":5,"method":"m"}'],
    ['jsonrpc twice', '{"jsonrpc":"2.0","id":5,"method":"m","jsonrpc":"2.0"}'],
    ['method twice', '{"jsonrpc":"2.0","id":5,"method":"m","method":"m"}'],
    ['method twice in two spellings', '{"jsonrpc":"2.0","id":5,"method":"m","m\\u0065thod":"n"}'],
    ['params twice', '{"jsonrpc":"2.0","id":5,"method":"m","params":{},"params":{}}'],
    ['params twice, once null', '{"jsonrpc":"2.0","id":5,"method":"m","params":null,"params":{"sessionId":"a"}}'],
    ['an unknown key', '{"jsonrpc":"2.0","id":5,"method":"m","sessionId":"s"}'],
    ['a key in another case', '{"jsonrpc":"2.0","id":5,"method":"m","Params":{}}'],
    ['the empty key', '{"jsonrpc":"2.0","id":5,"method":"m","":{}}'],
    ['a very long key', `{"jsonrpc":"2.0","id":5,"method":"m","${'x'.repeat(1000)}":{}}`],
    ['a parameter twice', '{"jsonrpc":"2.0","id":5,"method":"m","params":{"sessionId":"a","sessionId":"a"}}'],
    ['a parameter twice in two spellings', '{"jsonrpc":"2.0","id":5,"method":"m","params":{"sessionId":"a","s\\u0065ssionId":"b"}}'],
    ['any parameter twice', '{"jsonrpc":"2.0","id":5,"method":"m","params":{"a":1,"b":2,"a":3}}'],
    ['__proto__ twice', '{"jsonrpc":"2.0","id":5,"method":"m","params":{"__proto__":1,"__proto__":3}}'],
    ['too many parameters', `{"jsonrpc":"2.0","id":5,"method":"m","params":{${Array.from({ length: 1001 }, (_, i) => `"${i}":0`).join()}}}`],
    ['a number as session', '{"jsonrpc":"2.0","id":5,"method":"m","params":{"sessionId":1}}'],
    ['null as session', '{"jsonrpc":"2.0","id":5,"method":"m","params":{"sessionId":null}}'],
    ['params of text', '{"jsonrpc":"2.0","id":5,"method":"m","params":"x"}'],
    ['params in a list', '{"jsonrpc":"2.0","id":5,"method":"m","params":[1]}'],
    ['params that are false', '{"jsonrpc":"2.0","id":5,"method":"m","params":false}'],
    ['a method and a result', '{"jsonrpc":"2.0","id":5,"method":"m","result":1}'],
    ['a method and an error', '{"jsonrpc":"2.0","id":5,"method":"m","error":{}}'],
    ['neither method nor outcome', '{"jsonrpc":"2.0","id":5}'],
    ['a method that is no string', '{"jsonrpc":"2.0","id":5,"method":1}'],
    ['a very long method', `{"jsonrpc":"2.0","id":5,"method":"${'m'.repeat(129)}"}`],
  ])('but answerable: %s', (_name, text) => {
    expect(read(text)).toMatchObject({ reason: 'invalid_request', idToken: '5' });
  });

  it.each([
    ['id twice', '{"jsonrpc":"2.0","id":5,"method":"m","id":5}'],
    ['id twice in two spellings', '{"jsonrpc":"2.0","id":5,"method":"m","i\\u0064":6}'],
    ...['null', 'true', '1.5', '1e2', '-0', '1.0', '[]', '{}', '9223372036854775808', '-9223372036854775809', '12345678901234567890123', `"${'x'.repeat(257)}"`].map(
      (id): [string, string] => [`the id ${id.slice(0, 30)}`, `{"jsonrpc":"2.0","id":${id},"method":"m"}`],
    ),
    ['a result and an error', '{"jsonrpc":"2.0","id":5,"result":1,"error":{}}'],
    ['two results', '{"jsonrpc":"2.0","id":5,"result":1,"result":1}'],
    ['a response with params', '{"jsonrpc":"2.0","id":5,"result":1,"params":{}}'],
    ['a response without an id', '{"jsonrpc":"2.0","result":1}'],
    ['an error of text', '{"jsonrpc":"2.0","id":5,"error":"x"}'],
    ['an error that is null', '{"jsonrpc":"2.0","id":5,"error":null}'],
  ])('and not answerable: %s', (_name, text) => {
    expect(read(text)).toEqual({ reason: 'invalid_request', message: expect.any(String) as string });
  });
});

it('a fault never holds what the client wrote', () => {
  for (const text of ['{"secret-key":"secret"}', withParam('"secret\\ud800"'), withParam('secret'), '{"jsonrpc":"secret","id":1,"method":"m"}']) {
    expect(JSON.stringify(read(text))).not.toContain('secret');
  }
});
