import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FrameDecoder } from '../../proxy/wire/decoder.js';
import { frameOf, type WireFault } from '../../proxy/wire/frame.js';
import { peek } from '../../proxy/wire/peek.js';
import { scan } from '../../proxy/wire/scan.js';
import { mutate, randomFrom } from './wire-messages.js';

const LIMITS = { maxFrame: 300, maxHeader: 120 };

interface Decoded {
  frames: string[];
  fault: WireFault | undefined;
}

/** Decodes; `cuts` says how long each next chunk is. */
function decode(bytes: Buffer, cuts: () => number): Decoded {
  const frames: string[] = [];
  const decoder = new FrameDecoder({
    ...LIMITS,
    onFrame: ({ buffer, start, body, end }) => {
      frames.push(buffer.toString('latin1', body, end));
      if (start >= 0) expect(buffer.toString('latin1', start, body)).toBe(`Content-Length: ${end - body}\r\n\r\n`);
    },
  });
  let fault: WireFault | undefined;
  for (let at = 0; at < bytes.length && fault === undefined; ) {
    const to = Math.min(bytes.length, at + cuts());
    // A copy, so that a frame cannot look right by reading beyond its chunk.
    fault = decoder.push(Buffer.from(bytes.subarray(at, to)));
    at = to;
  }
  return { frames, fault };
}

const header = fc.oneof(
  fc.constant(''),
  fc.constantFrom('A:1\r\n', 'Content-Type: application/vscode-jsonrpc; charset=utf-8\r\n', 'X-Long: ' + 'x'.repeat(60) + '\r\n'),
);
const spelling = fc.constantFrom('Content-Length: ', 'content-length:', 'CONTENT-LENGTH:\t ', 'Content-Length: 0');
const frame = fc.tuple(header, spelling, header, fc.string({ maxLength: 320, unit: 'binary-ascii' })).map(
  ([before, name, after, body]) => `${before}${name}${body.length}\r\n${after}\r\n${body}`,
);

/** Like `decode`, from one buffer that each chunk overwrites: frames are read when they are handed out. */
function decodeShared(bytes: Buffer, cuts: () => number): Decoded {
  const frames: string[] = [];
  const decoder = new FrameDecoder({
    ...LIMITS, trusted: true,
    onFrame: ({ buffer, body, end }) => void frames.push(buffer.toString('latin1', body, end)),
  });
  const shared = Buffer.alloc(bytes.length);
  let fault: WireFault | undefined;
  for (let at = 0; at < bytes.length && fault === undefined; ) {
    const to = Math.min(bytes.length, at + cuts());
    bytes.copy(shared, 0, at, to);
    fault = decoder.push(shared, 0, to - at);
    shared.fill(0x21);
    at = to;
  }
  return { frames, fault };
}

it('a stream is decoded the same however it is split', () => {
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 6 }), fc.boolean(), fc.integer(), fc.integer({ min: 1, max: 400 }), (frames, hostile, seed, longest) => {
      const random = randomFrom(seed);
      const whole = Buffer.from(frames.join(''), 'latin1');
      const bytes = hostile ? mutate(whole, random) : whole;
      const atOnce = decode(bytes, () => bytes.length);
      expect(decode(bytes, () => 1)).toEqual(atOnce);
      expect(decode(bytes, () => 1 + Math.floor(random() * longest))).toEqual(atOnce);
      expect(decodeShared(bytes, () => 1)).toEqual(atOnce);
      expect(decodeShared(bytes, () => 1 + Math.floor(random() * longest))).toEqual(atOnce);
    }),
    { numRuns: 1_000_000, interruptAfterTimeLimit: 6_000 },
  );
});

it('100,000 mutated frames, cut anywhere, are decoded, scanned and peeked without an exception', () => {
  const seeds = [
    '{"jsonrpc":"2.0","id":1,"method":"session.send","params":{"sessionId":"s-1","prompt":"h\\u00e9llo \\"x\\"","attachments":[{"a":[1,2.5e3,null,true]}]}}',
    '{"jsonrpc":"2.0","method":"session.event","params":{"sessionId":"s-1","event":{"type":"assistant.message","data":{"content":"é"}}}}',
    '{"params":{"event":{"data":{},"type":"t"},"session\\u0049d":"s"},"method":"session.event","jsonrpc":"2.0"}',
    '{"jsonrpc":"2.0","id":"a-1","result":{"content":[{}],"x":-0.0}}',
    '{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"no"}}',
  ].map((body) => frameOf(body).buffer);
  const random = randomFrom(20_26);
  let frames = 0;
  let taken = 0;
  const outcomes = new Set<string>();
  for (let n = 0; n < 100_000; n++) {
    const whole = seeds[n % seeds.length]!;
    const body = whole.indexOf('{');
    // Half of them keep a header that fits, so that it is the message that is hostile.
    const bytes = n % 2 === 0 ? frameOf(mutate(whole.subarray(body), random)).buffer : mutate(whole, random);
    const decoder = new FrameDecoder({
      ...LIMITS,
      onFrame: ({ buffer, body: from, end }) => {
        frames++;
        const seen = scan(buffer, from, end);
        outcomes.add('reason' in seen ? seen.reason : seen.kind);
        if (!('reason' in seen)) taken++;
        peek(buffer, from, end);
      },
    });
    const cut = Math.floor(random() * bytes.length);
    const fault = decoder.push(bytes.subarray(0, cut)) ?? decoder.push(bytes.subarray(cut));
    if (fault !== undefined) outcomes.add(fault.reason);
  }
  expect(frames).toBeGreaterThan(50_000);
  expect(taken).toBeLessThan(frames);
  expect([...outcomes].sort()).toEqual(
    ['bad_header', 'bad_length', 'frame_too_large', 'header_too_large', 'invalid_request', 'missing_length', 'notification', 'parse_error', 'request', 'response'].sort(),
  );
});
