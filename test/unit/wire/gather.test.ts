import { describe, expect, it } from 'vitest';
import { writeBatch } from '../../../proxy/wire/gather.js';
import { sizeOf, type Piece } from '../../../proxy/wire/outbox.js';
import { socketPair, until } from './sockets.js';

const piece = (text: string, header?: string): Piece => {
  const buffer = Buffer.from(`<<${text}>>`);
  return { header: header === undefined ? undefined : Buffer.from(header), buffer, from: 2, to: buffer.length - 2 };
};
const textOf = (batch: Piece[]): string =>
  batch.map(({ header, buffer, from, to }) => (header?.toString() ?? '') + buffer.toString('latin1', from, to)).join('');

/** What a batch is in the end, and what it should be. */
async function sent(batches: Piece[][]): Promise<{ received: string; expected: string }> {
  const [near, far] = await socketPair();
  let received = '';
  far.setEncoding('latin1').on('data', (text: string) => (received += text));
  const expected = batches.map(textOf).join('');
  let written = 0;
  for (const batch of batches) {
    const bytes = writeBatch(near, batch, () => written++);
    expect(bytes).toBe(batch.reduce((sum, one) => sum + sizeOf(one), 0));
  }
  await until(() => received.length >= expected.length && written === batches.length);
  return { received, expected };
}

describe('a batch', () => {
  it.each([
    ['one piece', [piece('a')]],
    ['one piece with a header', [piece('a', 'h')]],
    ['small pieces', [piece('a'), piece('b', 'h'), piece('c')]],
    ['a large one between small ones', [piece('a'), piece('b'), piece('L'.repeat(100_000), 'h'), piece('c', 'i'), piece('d')]],
    ['large ones', [piece('L'.repeat(5_000)), piece('M'.repeat(5_000), 'h')]],
    ['a small one before a large one', [piece('a'), piece('L'.repeat(5_000))]],
    ['more than a block', Array.from({ length: 100 }, (_, n) => piece(`${n}.`.repeat(1_000)))],
  ])('arrives as it was, in order: %s', async (_, batch) => {
    const { received, expected } = await sent([batch]);
    expect(received === expected).toBe(true);
  });

  it('of any sizes arrives in order after others', async () => {
    let seed = 1;
    const random = (below: number): number => (seed = (seed * 48271) % 2147483647) % below;
    const batches = Array.from({ length: 60 }, (_, b) => Array.from({ length: 1 + random(30) }, (_unused, n) => {
      return piece(`${b}.${n} `.repeat(1 + random(random(10) === 0 ? 3_000 : 40)), random(4) === 0 ? `h${n}` : undefined);
    }));
    const { received, expected } = await sent(batches);
    expect(received === expected).toBe(true);
  });

  it('that the kernel has not taken is not overwritten by the next one of another socket', async () => {
    const [slow, slowFar] = await socketPair();
    slowFar.pause();
    let expected = '';
    for (let n = 0; slow.writableLength === 0; n++) {
      const batch = [piece(`${n};`.repeat(500)), piece(`${n}:`.repeat(500))];
      expected += textOf(batch);
      writeBatch(slow, batch, () => undefined);
    }
    for (let n = 0; n < 40; n++) {
      const batch = [piece(`s${n};`.repeat(300)), piece('t')];
      expected += textOf(batch);
      writeBatch(slow, batch, () => undefined);
      const other = [piece('x'.repeat(900)), piece('y'.repeat(900))];
      expect(await sent([other])).toEqual({ received: textOf(other), expected: textOf(other) });
    }
    let received = '';
    slowFar.setEncoding('latin1').on('data', (text: string) => (received += text)).resume();
    await until(() => received.length >= expected.length);
    expect(received === expected).toBe(true);
  });

  it('to a socket that was destroyed is lost, without harm', async () => {
    const [near] = await socketPair();
    near.destroy();
    let failed = false;
    near.on('error', () => undefined);
    writeBatch(near, [piece('a'), piece('b')], ((error?: Error) => (failed = error !== undefined)) as () => void);
    await until(() => failed);
    expect(failed).toBe(true);
  });
});
