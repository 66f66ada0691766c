import { describe, expect, it } from 'vitest';
import { Outbox, sizeOf, type Piece } from '../../../proxy/wire/outbox.js';

const slab = (size: number): Buffer => Buffer.allocUnsafeSlow(size).fill('x');
const ranges = (pieces: Piece[]): [number, number][] => pieces.map(({ from, to }) => [from, to]);

describe('an outbox', () => {
  it('joins neighbours in one buffer on a byte stream, and only there', () => {
    const buffer = slab(100);
    for (const [joins, expected] of [[true, [[0, 20], [30, 40]]], [false, [[0, 10], [10, 20], [30, 40]]]] as const) {
      const outbox = new Outbox(joins);
      outbox.add(undefined, buffer, 0, 10);
      outbox.add(undefined, buffer, 10, 20);
      outbox.add(undefined, buffer, 30, 40);
      expect(outbox.bytes).toBe(30);
      expect(ranges(outbox.take(1000))).toEqual(expected);
      expect(outbox.bytes).toBe(0);
    }
  });

  it('does not join a frame that needs a header of its own', () => {
    const outbox = new Outbox(true);
    const buffer = slab(100);
    outbox.add(undefined, buffer, 0, 10);
    outbox.add(Buffer.from('header'), buffer, 10, 20);
    outbox.add(undefined, slab(5), 0, 5);
    expect(outbox.bytes).toBe(31);
    expect(outbox.take(1000).map(sizeOf)).toEqual([10, 16, 5]);
  });

  it('gives whole pieces in order, until they make enough', () => {
    const outbox = new Outbox(false);
    const buffer = slab(100);
    for (let at = 0; at < 100; at += 10) outbox.add(undefined, buffer, at, at + 10);
    expect(ranges(outbox.take(25))).toEqual([[0, 10], [10, 20], [20, 30]]);
    expect(outbox.bytes).toBe(70);
    outbox.own();
    expect(outbox.take(10).length).toBe(1);
    outbox.add(undefined, buffer, 0, 7);
    outbox.own();
    expect(outbox.take(1000).map(sizeOf)).toEqual([10, 10, 10, 10, 10, 10, 7]);
  });

  it('copies small frames out of their read buffers when they have to wait', () => {
    const outbox = new Outbox(true);
    for (let n = 0; n < 200; n++) {
      const buffer = slab(65536);
      buffer.write(`<${String(n).padStart(98)}>`, 500);
      outbox.add(n % 2 === 0 ? undefined : Buffer.from('header'), buffer, 500, 600);
      outbox.own();
    }
    const pieces = outbox.take(Infinity);
    const memory = new Set(pieces.map((piece) => piece.buffer.buffer));
    expect([...memory].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThanOrEqual(200 * 103 + 16384);
    const text = pieces.map(({ buffer, from, to }) => buffer.toString('latin1', from, to)).join('');
    expect(text).toBe(Array.from({ length: 200 }, (_, n) => `${n % 2 === 0 ? '' : 'header'}<${String(n).padStart(98)}>`).join(''));
  });

  it('copies those that come after some have left', () => {
    const outbox = new Outbox(false);
    for (let n = 0; n < 3; n++) {
      outbox.add(undefined, slab(65536), 0, 10);
      outbox.own();
    }
    outbox.take(20);
    outbox.add(undefined, slab(65536), 0, 10);
    outbox.own();
    expect(outbox.take(Infinity).map((piece) => piece.buffer.buffer.byteLength)).toEqual([16384, 16384]);
  });

  it('keeps a large frame where it is', () => {
    const outbox = new Outbox(true);
    const buffer = slab(65536);
    outbox.add(undefined, buffer, 0, 40000);
    outbox.add(undefined, slab(100000), 0, 20000);
    outbox.own();
    const [large, copied] = outbox.take(Infinity);
    expect(large!.buffer).toBe(buffer);
    expect(copied!.buffer.buffer.byteLength).toBe(20000);
  });

  it('forgets everything when it is cleared', () => {
    const outbox = new Outbox(true);
    outbox.add(undefined, slab(10), 0, 10);
    outbox.own();
    outbox.clear();
    expect([outbox.bytes, outbox.take(10)]).toEqual([0, []]);
  });
});
