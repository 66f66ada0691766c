import { describe, expect, it } from 'vitest';
import { FrameDecoder } from '../../../proxy/wire/decoder.js';
import type { Frame } from '../../../proxy/wire/frame.js';
import { frameOf } from '../../../proxy/wire/frame.js';
import { bodyOf, bytesOf, decode, framed } from './frames.js';

describe('a frame', () => {
  it('is decoded from one chunk without copying', () => {
    const chunk = Buffer.from(framed('{"a":"é"}'));
    const frames: Frame[] = [];
    new FrameDecoder({ maxFrame: 100, onFrame: (frame) => frames.push({ ...frame }) }).push(chunk);
    expect(frames).toEqual([{ buffer: chunk, start: 0, body: 22, end: 32 }]);
    expect(frames[0]!.buffer).toBe(chunk);
  });

  it('is decoded wherever it is split', () => {
    const text = framed('{"one":1}') + `X-A: b\r\ncontent-length:2\r\nContent-Type: x\r\n\r\n{}` + framed('{"two":"é"}');
    const bytes = Buffer.from(text);
    for (let i = 0; i <= bytes.length; i++) {
      for (let j = i; j <= bytes.length; j++) {
        const { bodies, fault } = decode([bytes.subarray(0, i), bytes.subarray(i, j), bytes.subarray(j)]);
        expect(fault).toBeUndefined();
        expect(bodies).toEqual(['{"one":1}', '{}', '{"two":"é"}']);
      }
    }
  });

  it('has its canonical header directly before the body, wherever it is split', () => {
    const bytes = Buffer.from(framed('{}') + 'A:1\r\nA:1\r\n' + framed('[1,2]'));
    for (let i = 0; i <= bytes.length; i++) {
      const seen: string[] = [];
      const decoder = new FrameDecoder({ maxFrame: 100, onFrame: (frame) => seen.push(bytesOf(frame)) });
      decoder.push(bytes.subarray(0, i));
      decoder.push(bytes.subarray(i));
      expect(seen).toEqual(['Content-Length: 2\r\n\r\n{}', 'Content-Length: 5\r\n\r\n[1,2]']);
    }
  });

  it.each([
    'content-length: 2\r\n\r\n{}',
    'Content-Length:2\r\n\r\n{}',
    'Content-Length: 02\r\n\r\n{}',
    'Content-Length: 2 \r\n\r\n{}',
    'Content-Length: 2\r\nContent-Type: x\r\n\r\n{}',
  ])('has start -1 behind another header than the canonical one: %j', (text) => {
    const frames: Frame[] = [];
    new FrameDecoder({ maxFrame: 100, onFrame: (frame) => frames.push({ ...frame }) }).push(Buffer.from(text));
    expect(frames.map((frame) => [frame.start, bodyOf(frame)])).toEqual([[-1, '{}']]);
  });

  it('keeps its bytes when later chunks come', () => {
    const kept: Frame[] = [];
    const decoder = new FrameDecoder({ maxFrame: 100, onFrame: (frame) => kept.push({ ...frame }) });
    const bytes = Buffer.from(framed('{"n":1}') + framed('{"n":2}') + framed('{"n":3}'));
    for (let i = 0; i < bytes.length; i += 10) decoder.push(Buffer.from(bytes.subarray(i, i + 10)));
    expect(kept.map(bodyOf)).toEqual(['{"n":1}', '{"n":2}', '{"n":3}']);
  });

  it('may be empty', () => {
    expect(decode(['Content-Length: 0\r\n\r\n', framed('{}')]).bodies).toEqual(['', '{}']);
    expect(decode(['Content-Length: 0\r', '\n\r\n', framed('{}')]).bodies).toEqual(['', '{}']);
  });

  it('of 16 MiB in chunks of one byte grows with what arrived', () => {
    const size = 16 << 20;
    let end = 0;
    const decoder = new FrameDecoder({ maxFrame: size, onFrame: (frame) => (end = frame.end - frame.body) });
    decoder.push(Buffer.from(`Content-Length: ${size}\r\n\r\n`));
    const byte = Buffer.from('x');
    for (let i = 0; i < size - 1; i++) decoder.push(byte);
    expect([end, decoder.buffered]).toEqual([0, size - 1 + 28]);
    decoder.push(byte);
    expect([end, decoder.buffered]).toEqual([size, 0]);
  });

  it('costs no memory that has not arrived', () => {
    const before = process.memoryUsage().arrayBuffers;
    const decoders = Array.from({ length: 64 }, () => {
      const decoder = new FrameDecoder({ maxFrame: 1 << 30, onFrame: () => undefined });
      decoder.push(Buffer.from('Content-Length: 1073741824\r\n\r\n{'));
      return decoder;
    });
    expect(decoders.map((decoder) => decoder.buffered)).toEqual(Array(64).fill(31));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 << 20);
  });

  it('made by frameOf decodes to the same bytes', () => {
    for (const json of ['{"a":"é"}', Buffer.from('{"a":"é"}')]) {
      const frame = frameOf(json);
      expect(bytesOf(frame)).toBe(Buffer.from(framed('{"a":"é"}')).toString('latin1'));
      expect(decode([frame.buffer]).bodies).toEqual(['{"a":"é"}']);
    }
  });
});

describe('a decoder', () => {
  it('takes maxFrame from the next header on', () => {
    const decoder: FrameDecoder = new FrameDecoder({ maxFrame: 2, onFrame: () => (decoder.maxFrame = 9) });
    expect(decoder.push(Buffer.from(framed('{}') + framed('{"ab":12}')))).toBeUndefined();
    expect(decoder.push(Buffer.from(framed('{"ab":123}')))?.reason).toBe('frame_too_large');
  });

  it('can be stopped from onFrame', () => {
    const seen: string[] = [];
    const decoder: FrameDecoder = new FrameDecoder({
      maxFrame: 99,
      onFrame: (frame) => {
        seen.push(bodyOf(frame));
        decoder.stop();
      },
    });
    expect(decoder.push(Buffer.from(framed('{"n":1}') + framed('{"n":2}')))).toBeUndefined();
    expect(decoder.push(Buffer.from(framed('{"n":3}')))).toBeUndefined();
    expect([seen, decoder.buffered]).toEqual([['{"n":1}'], 0]);
  });

  it('knows nothing of what others read between its chunks, wherever those are cut', () => {
    const mine = Buffer.from(framed('{"mine":"é"}') + 'A:1\r\nContent-Length: 2\r\n\r\n{}');
    const theirs = Buffer.from('B:2\r\ncontent-length:  7\r\n\r\n{"n":2}' + framed('[]'));
    for (let i = 0; i <= mine.length; i++) {
      const seen: string[][] = [[], []];
      const [own, other] = seen.map((bodies) => new FrameDecoder({ maxFrame: 100, onFrame: (frame) => bodies.push(bodyOf(frame)) })) as [FrameDecoder, FrameDecoder];
      own.push(mine.subarray(0, i));
      other.push(theirs.subarray(0, i % theirs.length));
      expect(decode([framed('1') + 'nonsense\r\n']).fault?.reason).toBe('bad_header');
      own.push(mine.subarray(i));
      other.push(theirs.subarray(i % theirs.length));
      expect(seen).toEqual([['{"mine":"é"}', '{}'], ['{"n":2}', '[]']]);
    }
  });

  it('has its own limit of a header, whatever that of others is', () => {
    const text = `A: ${'x'.repeat(40)}\r\n${framed('{}')}`;
    for (const split of [0, 20]) {
      const chunks = [text.slice(0, split), text.slice(split)];
      expect(decode(chunks, { maxHeader: 40 }).fault?.reason).toBe('header_too_large');
      expect(decode(chunks, { maxHeader: 80 }).bodies).toEqual(['{}']);
    }
  });

  it('is dead after a fault and repeats it', () => {
    const seen: string[] = [];
    const decoder = new FrameDecoder({ maxFrame: 99, onFrame: (frame) => seen.push(bodyOf(frame)) });
    const fault = decoder.push(Buffer.from(framed('{}') + 'nonsense\r\n'));
    expect([fault?.reason, seen]).toEqual(['bad_header', ['{}']]);
    expect(decoder.push(Buffer.from(framed('{}')))).toBe(fault);
    expect([seen.length, decoder.buffered]).toEqual([1, 0]);
  });

  const faults: [string, string, string][] = [
    ['a sign', 'Content-Length: +2\r\n\r\n{}', 'bad_length'],
    ['a minus', 'Content-Length: -2\r\n\r\n{}', 'bad_length'],
    ['hexadecimal', 'Content-Length: 0x2\r\n\r\n{}', 'bad_length'],
    ['a fraction', 'Content-Length: 2.0\r\n\r\n{}', 'bad_length'],
    ['an exponent', 'Content-Length: 2e0\r\n\r\n{}', 'bad_length'],
    ['a space inside', 'Content-Length: 1 2\r\n\r\n{}', 'bad_length'],
    ['no digits', 'Content-Length: \r\n\r\n{}', 'bad_length'],
    ['eleven digits', 'Content-Length: 00000000002\r\n\r\n{}', 'bad_length'],
    ['two lengths', 'Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}', 'bad_length'],
    ['two lengths in two spellings', 'Content-Length: 2\r\ncontent-LENGTH: 2\r\n\r\n{}', 'bad_length'],
    ['a list of lengths', 'Content-Length: 2, 2\r\n\r\n{}', 'bad_length'],
    ['no length', 'Content-Type: x\r\n\r\n{}', 'missing_length'],
    ['an empty header', '\r\n{}', 'missing_length'],
    ['a bare line feed', 'Content-Length: 2\n\r\n{}', 'bad_header'],
    ['a bare carriage return', 'Content-Length: 2\r\r\n{}', 'bad_header'],
    ['a line without colon', 'GET / HTTP/1.1\r\n', 'bad_header'],
    ['a line without name', ': 2\r\n\r\n{}', 'bad_header'],
    ['a space before the colon', 'Content-Length : 2\r\n\r\n{}', 'bad_header'],
    ['a folded line', 'A: b\r\n Content-Length: 2\r\n\r\n{}', 'bad_header'],
    ['a NUL', 'A: \0\r\nContent-Length: 2\r\n\r\n{}', 'bad_header'],
    ['JSON without a header', '{"jsonrpc":"2.0"}\r\n\r\n', 'bad_header'],
    ['a body over the limit', 'Content-Length: 101\r\n\r\n', 'frame_too_large'],
    ['a body far over the limit', 'Content-Length: 9999999999\r\n\r\n', 'frame_too_large'],
  ];
  it.each(faults)('refuses %s, wherever it is split', (_name, text, reason) => {
    const bytes = Buffer.from(framed('{}') + text);
    for (let i = 0; i <= bytes.length; i++) {
      const { bodies, fault } = decode([bytes.subarray(0, i), bytes.subarray(i)], { maxFrame: 100 });
      expect([bodies, fault?.reason]).toEqual([['{}'], reason]);
    }
  });

  it('takes a header of exactly maxHeader bytes and none larger', () => {
    const header = (size: number): string => `A:${'x'.repeat(size - 25)}\r\nContent-Length: 2\r\n\r\n{}`.slice(0);
    const exact = header(64);
    expect(exact.indexOf('{}')).toBe(64);
    for (let i = 0; i <= 66; i++) {
      expect(decode([exact.slice(0, i), exact.slice(i)], { maxHeader: 64 }).bodies).toEqual(['{}']);
      expect(decode([header(65).slice(0, i), header(65).slice(i)], { maxHeader: 64 }).fault?.reason).toBe('header_too_large');
    }
    expect(decode([framed('{}')], { maxHeader: 21 })).toEqual({ bodies: ['{}'], fault: undefined });
    expect(decode([framed('{}')], { maxHeader: 20 }).fault?.reason).toBe('header_too_large');
  });

  it('gives up on an endless header at maxHeader', () => {
    const decoder = new FrameDecoder({ maxFrame: 100, onFrame: () => undefined });
    let pushed = 0;
    while (decoder.push(Buffer.from('A:1\r\n')) === undefined) pushed += 5;
    expect(pushed).toBeLessThanOrEqual(8192);
    expect(pushed).toBeGreaterThan(8192 - 10);
  });
});
