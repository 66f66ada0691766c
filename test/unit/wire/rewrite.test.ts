import { describe, expect, it } from 'vitest';
import { frameOf, type Frame } from '../../../proxy/wire/frame.js';
import { withId, withNumber, withParams, withSessionId } from '../../../proxy/wire/rewrite.js';
import { scan, type Scan } from '../../../proxy/wire/scan.js';
import { bodyOf, bytesOf, framed } from './frames.js';

function read(frame: Frame): Scan {
  const seen = scan(frame.buffer, frame.body, frame.end);
  if ('reason' in seen) throw new Error(seen.message);
  return seen;
}

function reId(json: string, token: string | Buffer): { before: Frame; after: Frame } {
  const before = frameOf(json);
  const { idStart, idEnd } = read(before);
  return { before, after: withId(before, idStart, idEnd, token) };
}

describe('another id', () => {
  it.each([
    ['"abc"', '7', '7    '],
    ['1234', '5678', '5678'],
    ['1234', '"é"', '"é"'],
    ['1234', Buffer.from('9'), '9   '],
  ])('that is not longer is written in place: %s becomes %s', (old, token, written) => {
    const { before, after } = reId(`{"jsonrpc":"2.0","id":${old},"method":"m"}`, token);
    expect(after).toBe(before);
    const body = `{"jsonrpc":"2.0","id":${written},"method":"m"}`;
    expect(Buffer.from(bytesOf(after), 'latin1').toString()).toBe(framed(body));
  });

  it.each(['123', '"é"', Buffer.from('1234567')])('that is longer makes a new frame: %s', (token) => {
    const json = '{"jsonrpc":"2.0","id":7,"method":"m","params":{"a":"é"}}';
    const { before, after } = reId(json, token);
    expect(bodyOf(before)).toBe(json);
    expect(after.buffer.toString()).toBe(framed(json.replace('"id":7', `"id":${String(token)}`)));
    expect([after.start, after.end]).toEqual([0, after.buffer.length]);
  });

  it('is put into a frame without a header in place or with a new one', () => {
    const frame: Frame = { buffer: Buffer.from('{"id":"ab","result":1}'), start: -1, body: 0, end: 22 };
    expect(withId(frame, 6, 10, '1')).toBe(frame);
    expect(bodyOf(frame)).toBe('{"id":1   ,"result":1}');
    expect(withId(frame, 6, 7, '"ab"').buffer.toString()).toBe(framed('{"id":"ab"   ,"result":1}'));
  });

  it('leaves the neighbours in the buffer alone', () => {
    const text = framed('{"id":1,"result":1}');
    const buffer = Buffer.from(text + text + text);
    const size = text.length;
    const frame: Frame = { buffer, start: size, body: size + 22, end: 2 * size };
    withId(frame, size + 22 + 6, size + 22 + 7, '2');
    expect(buffer.toString()).toBe(text + text.replace('"id":1', '"id":2') + text);
  });
});

describe('another id that is a number', () => {
  const ids = [0, 7, 9, 10, 99, 100, 1_000_000_000, 9_999_999_999, 999_999_999_999_999];

  it.each(ids)('is written as its text would be: %d', (id) => {
    for (const old of ['1', '12345678901', '"x"', `"${'u'.repeat(36)}"`]) {
      for (const rest of ['', ',"params":{"a":"é"}', `,"params":{"a":"${'b'.repeat(900)}"}`, `,"params":{"a":"${'b'.repeat(20_000)}"}`]) {
        const json = `{"jsonrpc":"2.0","id":${old},"method":"m"${rest}}`;
        const { after } = reId(json, String(id));
        const frame = frameOf(json);
        const { idStart, idEnd } = read(frame);
        expect(bytesOf(withNumber(frame, idStart, idEnd, id)) === bytesOf(after)).toBe(true);
        if (String(id).length > old.length) expect(bodyOf(frame)).toBe(json);
      }
    }
  });

  it('leaves what was made before as it is', () => {
    const made: { bytes: Frame; text: string }[] = [];
    for (let id = 1_000_000_000; id < 1_000_000_400; id++) {
      const frame = frameOf(`{"id":1,"x":"${'y'.repeat(id % 300)}"}`);
      made.push({ bytes: { ...withNumber(frame, frame.body + 6, frame.body + 7, id) }, text: framed(`{"id":${id},"x":"${'y'.repeat(id % 300)}"}`) });
    }
    for (const { bytes, text } of made) expect(bytesOf(bytes)).toBe(text);
  });
});

describe('other params', () => {
  const request = (rest: string): Frame => frameOf(`{"jsonrpc":"2.0","id":1,${rest}}`);

  it('and another method take the place of the old ones, in whichever order they come', () => {
    for (const rest of ['"method":"session.create","params":{"a":1}', '"params":{"a":1},"method":"session.create"']) {
      const frame = request(rest);
      const after = withParams(frame, read(frame), { method: 'session.resume', params: '{"é":2}' });
      expect(after.buffer.toString()).toBe(framed(bodyOf(frame).replace('create', 'resume').replace('{"a":1}', '{"é":2}')));
    }
  });

  it('are added when there are none', () => {
    const frame = request('"method":"ping"');
    expect(bodyOf(withParams(frame, read(frame), { params: '{}' }))).toBe('{"jsonrpc":"2.0","id":1,"method":"ping","params":{}}');
    const both = withParams(frame, read(frame), { params: '{}', method: 'a"b' });
    expect(bodyOf(both)).toBe('{"jsonrpc":"2.0","id":1,"method":"a\\"b","params":{}}');
  });

  it.each([
    ['"method":"m"', '"method":"m","params":{"sessionId":"s"}'],
    ['"method":"m","params":null', '"method":"m","params":{"sessionId":"s"}'],
    ['"method":"m","params":[ ]', '"method":"m","params":{"sessionId":"s"}'],
    ['"method":"m","params":{ }', '"method":"m","params":{"sessionId":"s"}'],
    ['"method":"m","params":{ "a":1}', '"method":"m","params":{"sessionId":"s", "a":1}'],
    ['"params":{"a":{"sessionId":"x"}},"method":"m"', '"params":{"sessionId":"s","a":{"sessionId":"x"}},"method":"m"'],
    ['"method":"m","params":{"a":1,"session\\u0049d":"long","b":2}', '"method":"m","params":{"a":1,"session\\u0049d":"s","b":2}'],
  ])('get a session id: %s', (rest, expected) => {
    const frame = request(rest);
    const before = bodyOf(frame);
    const after = withSessionId(frame, read(frame), 's');
    expect(after.buffer.toString()).toBe(framed(`{"jsonrpc":"2.0","id":1,${expected}}`));
    expect(bodyOf(frame)).toBe(before);
    expect(read(after).sessionId).toBe('s');
  });
});
