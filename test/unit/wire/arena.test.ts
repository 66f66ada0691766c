/** What is read into the arena is gone with the next read: nobody may send or keep any of it but as a copy. */
import type { Socket } from 'node:net';
import { beforeEach, describe, expect, it } from 'vitest';
import { arena, BLOCK, freeBlocks, giveBack, lease, READ } from '../../../proxy/wire/arena.js';
import type { Frame } from '../../../proxy/wire/frame.js';
import { Outbox, sizeOf, type Piece } from '../../../proxy/wire/outbox.js';
import { TcpTransport } from '../../../proxy/wire/tcp.js';
import { framed } from './frames.js';
import { arenaPair, Owner, POISON, tcpPair, until } from './sockets.js';

let blocks = 0;

beforeEach(() => {
  blocks = freeBlocks();
});

/** A socket of a server, and a transport that reads what comes from it into the arena. */
async function source(onFrame: (frame: Frame) => void): Promise<{ far: Socket; transport: TcpTransport }> {
  const { near, far, intake } = await arenaPair();
  const transport = new TcpTransport(near, { maxFrame: 1 << 24, trusted: true, intake });
  const owner = new Owner();
  owner.onFrame = onFrame;
  transport.listen(owner);
  return { far, transport };
}

function bodies(side: number): string[] {
  return Array.from({ length: 600 }, (_, n) => JSON.stringify({ side, n, x: String.fromCharCode(97 + side).repeat(((n * 37) % 900) * (n % 50 === 0 ? 40 : 1)) }));
}

function textOf(pieces: readonly Piece[]): string {
  return pieces.map(({ header, buffer, from, to }) => (header?.toString() ?? '') + buffer.toString('latin1', from, to)).join('');
}

describe('frames in the arena', () => {
  it('reach each peer whole, in order and nobody else, though the arena is overwritten after each read', async () => {
    const clients = await Promise.all([0, 1, 2].map(() => tcpPair()));
    const received = clients.map(() => '');
    clients.forEach(({ far }, side) => far.setEncoding('latin1').on('data', (text: string) => (received[side] += text)));
    const sources = await Promise.all(clients.map(({ transport }) => source((frame) => transport.sendFrame(frame))));
    const expected = clients.map((_, side) => bodies(side).map(framed).join(''));
    sources.forEach(({ far }, side) => far.write(expected[side]!));
    await until(() => received.every((text, side) => text.length >= expected[side]!.length));
    expect(received.map((text, side) => text === expected[side])).toEqual([true, true, true]);
    await until(() => clients.every(({ transport }) => transport.bufferedBytes === 0));
    expect(freeBlocks()).toBe(blocks);
  });

  it('wait in memory of their own for a peer that does not read, and reach it whole once it does', async () => {
    const slow = await tcpPair();
    const quick = await tcpPair();
    slow.far.pause();
    let slowText = '';
    let quickText = '';
    slow.far.setEncoding('latin1');
    quick.far.setEncoding('latin1').on('data', (text: string) => (quickText += text));
    let frames = 0;
    const { far } = await source((frame) => {
      (frames++ % 2 === 0 ? slow : quick).transport.sendFrame(frame);
    });
    let slowExpected = '';
    let quickExpected = '';
    for (let round = 0; slow.transport.bufferedBytes < 1 << 20; round++) {
      for (const body of bodies(round % 20)) {
        far.write(framed(body) + framed(`"${body.length}"`));
        slowExpected += framed(body);
        quickExpected += framed(`"${body.length}"`);
      }
      await until(() => quickText.length === quickExpected.length);
    }
    expect(quickText === quickExpected).toBe(true);
    // What waits has left the arena; only what the socket itself has may be there.
    expect(blocks - freeBlocks()).toBeLessThanOrEqual(6);
    slow.far.on('data', (text: string) => (slowText += text)).resume();
    await until(() => slowText.length >= slowExpected.length);
    expect(slowText === slowExpected).toBe(true);
    await until(() => freeBlocks() === blocks);
  });

  it('do not keep a block for each turn in which a peer that does not read gets one', async () => {
    const slow = await tcpPair();
    slow.far.pause();
    const { far, transport } = await source((frame) => slow.transport.sendFrame(frame));
    const send = async (body: string): Promise<void> => {
      far.write(framed(body));
      await until(() => transport.bytesIn === far.bytesWritten);
      await new Promise(setImmediate);
    };
    let expected = '';
    const large = JSON.stringify('l'.repeat(16_000));
    for (; slow.transport.bufferedBytes === 0; expected += framed(large)) await send(large);
    const before = freeBlocks();
    for (let n = 0; n < 120; n++) {
      const body = JSON.stringify({ n, x: 'y'.repeat(250) });
      await send(body);
      expected += framed(body);
    }
    expect(slow.transport.bufferedBytes).toBeGreaterThan(120 * 250);
    expect(before - freeBlocks()).toBeLessThanOrEqual(1);
    let text = '';
    slow.far.setEncoding('latin1').on('data', (some: string) => (text += some)).resume();
    await until(() => text.length >= expected.length);
    expect(text === expected).toBe(true);
    await until(() => freeBlocks() === blocks);
  });

  it('free their blocks when the peer they wait for is cut', async () => {
    const slow = await tcpPair();
    slow.far.pause();
    const { far, transport } = await source((frame) => slow.transport.sendFrame(frame));
    const text = bodies(1).map(framed).join('');
    while (slow.transport.bufferedBytes < 1 << 20) {
      far.write(text);
      await until(() => transport.bytesIn === far.bytesWritten);
      await new Promise(setImmediate);
    }
    slow.transport.destroy('enough');
    await until(() => slow.owner.closes.length === 1);
    expect(freeBlocks()).toBe(blocks);
  });
});

describe('an outbox of frames in the arena', () => {
  it('writes them one behind the other, and others that are small behind them', () => {
    const outbox = new Outbox(true);
    arena.write('abcdefgh', 0, 'latin1');
    outbox.add(undefined, arena, 0, 3);
    outbox.add(Buffer.from('H'), arena, 5, 8);
    outbox.add(undefined, Buffer.from('<xyz>'), 1, 4);
    arena.fill(POISON, 0, 8);
    expect(outbox.bytes).toBe(10);
    const pieces = outbox.take(Infinity);
    expect([textOf(pieces), pieces.length, freeBlocks()]).toEqual(['abcHfghxyz', 1, blocks - 1]);
    giveBack(pieces[0]!.from);
  });

  it('keeps each whole in one piece: in another block, or outside when it is larger than one', () => {
    const outbox = new Outbox(true);
    const sizes = [BLOCK - 10, 20, BLOCK, BLOCK + 1, READ, 5];
    let expected = '';
    sizes.forEach((size, n) => {
      arena.fill(97 + n, 0, size);
      outbox.add(undefined, arena, 0, size);
      expected += String.fromCharCode(97 + n).repeat(size);
    });
    arena.fill(POISON, 0, READ);
    const pieces = outbox.take(Infinity);
    expect(pieces.map(sizeOf)).toEqual(sizes);
    expect(pieces.map(({ buffer }) => buffer === arena)).toEqual([true, true, true, false, false, true]);
    expect(textOf(pieces) === expected).toBe(true);
    for (const { buffer, from } of pieces) if (buffer === arena) giveBack(from);
    expect(freeBlocks()).toBe(blocks);
  });

  it('gives its blocks back when it drops what waits, and when that has to wait', () => {
    const outbox = new Outbox(true);
    arena.fill(97, 0, 100);
    outbox.add(undefined, arena, 0, 100);
    outbox.own();
    expect(freeBlocks()).toBe(blocks);
    outbox.add(undefined, arena, 0, 100);
    expect(freeBlocks()).toBe(blocks - 1);
    outbox.clear();
    expect([freeBlocks(), outbox.bytes]).toEqual([blocks, 0]);
  });

  it('goes on outside of the arena when all blocks are leased, or frames do not join', () => {
    const leased: number[] = [];
    for (let at = lease(); at >= 0; at = lease()) leased.push(at);
    expect(new Set(leased).size).toBe(leased.length);
    for (const joins of [true, false]) {
      const outbox = new Outbox(joins);
      for (const letter of 'abc') {
        arena.fill(letter, 0, 50);
        outbox.add(undefined, arena, 0, 50);
      }
      arena.fill(POISON, 0, 50);
      const pieces = outbox.take(Infinity);
      expect([textOf(pieces), pieces.every(({ buffer }) => buffer !== arena)]).toEqual(['a'.repeat(50) + 'b'.repeat(50) + 'c'.repeat(50), true]);
    }
    for (const at of leased) giveBack(at + 7);
    expect(freeBlocks()).toBe(leased.length);
  });
});
