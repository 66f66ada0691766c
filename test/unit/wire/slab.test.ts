import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FrameDecoder } from '../../../proxy/wire/decoder.js';
import { headerOf, type Frame } from '../../../proxy/wire/frame.js';
import { Intake } from '../../../proxy/wire/intake.js';
import { keepBytes, LARGE, Slabs, slabs } from '../../../proxy/wire/slab.js';
import { TcpTransport } from '../../../proxy/wire/tcp.js';
import { Owner, socketPair, until } from './sockets.js';

const MIB = 1_048_576;
const open: Socket[] = [];
let given: Buffer[] = [];

beforeEach(() => {
  given = [];
  const { giveBack } = slabs;
  // Whoever still reads a slab that was given back is found out by this.
  vi.spyOn(slabs, 'giveBack').mockImplementation((slab) => {
    given.push(slab);
    giveBack.call(slabs, slab.fill('!'));
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  for (const socket of open.splice(0)) socket.destroy();
  for (let n = 0; n < 20; n++) slabs.sweep();
});

/** A link as it is read, and the server at its other end. */
async function link(onFrame: (frame: Frame) => void): Promise<{ server: Socket; near: TcpTransport; owner: Owner }> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const accepted = once(listener, 'connection') as Promise<[Socket]>;
  const intake = new Intake();
  const socket = connect({ port: (listener.address() as AddressInfo).port, host: '127.0.0.1', onread: intake.onread });
  socket.pause();
  const [server] = await accepted;
  if (socket.connecting) await once(socket, 'connect');
  listener.close();
  server.on('error', () => undefined);
  open.push(socket, server);
  const near = new TcpTransport(socket, { maxFrame: 64 * MIB, trusted: true, intake });
  const owner = new Owner();
  owner.onFrame = onFrame;
  near.listen(owner);
  return { server, near, owner };
}

/** A client as it is written to, and what it has heard. */
async function client(): Promise<{ transport: TcpTransport; far: Socket; heard: Buffer[]; owner: Owner }> {
  const [near, far] = await socketPair();
  const transport = new TcpTransport(near, { maxFrame: MIB });
  const owner = new Owner();
  transport.listen(owner);
  const heard: Buffer[] = [];
  const decoder = new FrameDecoder({ maxFrame: 64 * MIB, onFrame: ({ buffer, body, end }) => heard.push(Buffer.from(buffer.subarray(body, end))) });
  far.on('data', (chunk: Buffer) => void decoder.push(chunk));
  return { transport, far, heard, owner };
}

/** The n-th message; none is like another one in any part. */
function message(n: number, size: number): Buffer {
  return Buffer.alloc(size, `<message ${n}>`);
}

function framed(body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(headerOf(body.length)), body]);
}

function same(heard: readonly Buffer[], expected: readonly Buffer[]): boolean {
  return heard.length === expected.length && heard.every((body, n) => body.equals(expected[n]!));
}

describe('a slab', () => {
  it('has the size that is asked for and less than twice as much, new or used', () => {
    const pool = new Slabs();
    for (let size = LARGE; size < 20 * MIB; size = Math.floor(size * 1.37) + 1) {
      const slab = pool.lease(size);
      expect(slab.length).toBeGreaterThanOrEqual(size);
      expect(slab.length).toBeLessThan(size * 2);
      expect(slab.buffer.byteLength).toBe(slab.length);
      pool.giveBack(slab);
    }
  });

  it('is used again by who needs one like it, the last one first', () => {
    const pool = new Slabs();
    const [first, second] = [pool.lease(MIB), pool.lease(MIB)];
    pool.giveBack(first);
    pool.giveBack(second);
    expect([pool.lease(MIB - 1000), pool.lease(MIB), pool.lease(MIB)].map((slab) => [first, second].indexOf(slab))).toEqual([1, 0, -1]);
  });

  it('is let go when idle ones would take more than their bound, the oldest first', () => {
    const pool = new Slabs({ idle: 2 * MIB, sweeps: 1 });
    const leased = [pool.lease(MIB), pool.lease(MIB), pool.lease(MIB), pool.lease(4 * MIB)];
    for (const slab of leased) pool.giveBack(slab);
    expect(pool.idleBytes).toBe(2 * MIB);
    expect([pool.lease(MIB), pool.lease(MIB), pool.lease(MIB)].map((slab) => leased.indexOf(slab))).toEqual([2, 1, -1]);
  });

  it('that nobody has needed for some sweeps is let go', () => {
    const pool = new Slabs({ idle: 8 * MIB, sweeps: 2 });
    const slab = pool.lease(MIB);
    pool.giveBack(slab);
    pool.sweep();
    pool.sweep();
    expect(pool.idleBytes).toBe(MIB);
    pool.sweep();
    expect(pool.idleBytes).toBe(0);
    expect(pool.lease(MIB) === slab).toBe(false);
  });

  it.each([
    ['one taker that has let go', 1, false, 1],
    ['nobody', 0, false, 0],
    ['two takers', 2, false, 0],
    ['one taker, when somebody keeps the bytes', 1, true, 0],
  ])('of %s is given back or not', (_, takers, kept, times) => {
    const slab = slabs.lease(MIB);
    const lease = slabs.leaseOf(slab.subarray(5, LARGE + 5))!;
    for (let n = 0; n < takers; n++) lease.take();
    if (kept) keepBytes(slab);
    lease.left();
    lease.left();
    expect(given).toHaveLength(times);
  });
});

describe('a large frame of a server', () => {
  it('is read, passed on and forgotten in one slab, again and again', async () => {
    const { transport, heard } = await client();
    const used = new Set<ArrayBufferLike>();
    const { server } = await link((frame) => {
      used.add(frame.buffer.buffer);
      transport.sendFrame(frame);
    });
    const messages = [0, 1, 2, 3, 4].map((n) => message(n, 3 * MIB + n));
    for (const [n, body] of messages.entries()) {
      server.write(framed(body));
      await until(() => heard.length === n + 1 && given.length === n + 1);
    }
    expect(same(heard, messages)).toBe(true);
    expect(used.size).toBe(1);
  });

  it('has its small neighbours before and behind it, wherever the reads end', async () => {
    const { transport, heard } = await client();
    const { server } = await link((frame) => transport.sendFrame(frame));
    const messages = Array.from({ length: 60 }, (_, n) => message(n, n % 3 === 1 ? LARGE + n * 20_011 : 7 + n * 31));
    server.write(Buffer.concat(messages.map(framed)));
    await until(() => heard.length === messages.length);
    expect(same(heard, messages)).toBe(true);
    expect(given.length).toBeGreaterThan(0);
  });

  it('waits unchanged for a client that does not read, while others are served', async () => {
    const [slow, quick] = [await client(), await client()];
    slow.far.pause();
    let next = 0;
    const { server } = await link((frame) => (next++ % 2 === 0 ? slow : quick).transport.sendFrame(frame));
    const messages = Array.from({ length: 12 }, (_, n) => message(n, 8 * MIB));
    for (const [n, body] of messages.entries()) {
      server.write(framed(body));
      await until(() => next === n + 1 && (n % 2 === 0 || quick.heard.length === (n + 1) / 2));
    }
    slow.far.resume();
    await until(() => slow.heard.length === 6);
    expect([same(slow.heard, messages.filter((_, n) => n % 2 === 0)), same(quick.heard, messages.filter((_, n) => n % 2 === 1))]).toEqual([true, true]);
  });

  it('is not used again when its client is cut while it leaves', async () => {
    const [cut, quick] = [await client(), await client()];
    cut.far.pause();
    let to = cut;
    const { server } = await link((frame) => to.transport.sendFrame(frame));
    server.write(framed(message(0, 8 * MIB)));
    await until(() => cut.transport.bytesOut > 0);
    cut.transport.destroy('cut');
    await until(() => cut.owner.closes.length === 1);
    to = quick;
    server.write(framed(message(1, 8 * MIB)));
    await until(() => quick.heard.length === 1 && given.length > 0);
    expect(same(quick.heard, [message(1, 8 * MIB)])).toBe(true);
    expect(given).toHaveLength(1);
  });

  it('is not used again when its client leaves in the middle of it', async () => {
    const gone = await client();
    gone.far.pause();
    const { server } = await link((frame) => gone.transport.sendFrame(frame));
    server.write(framed(message(0, 8 * MIB)));
    await until(() => gone.transport.bytesOut > 0);
    gone.far.destroy();
    await until(() => gone.owner.closes.length === 1);
    expect(given).toEqual([]);
  });

  it('is not used again when two clients have it', async () => {
    const both = [await client(), await client()];
    const { server } = await link((frame) => {
      for (const { transport } of both) transport.sendFrame(frame);
    });
    const messages = [message(0, MIB), message(1, MIB)];
    for (const body of messages) server.write(framed(body));
    await until(() => both.every(({ heard, transport }) => heard.length === 2 && transport.bufferedBytes === 0));
    expect(both.map(({ heard }) => same(heard, messages))).toEqual([true, true]);
    expect(given).toEqual([]);
  });

  it('is nobody’s when its server dies in the middle of it', async () => {
    const seen: Frame[] = [];
    const { server, owner } = await link((frame) => void seen.push(frame));
    server.write(framed(message(0, 8 * MIB)).subarray(0, 5 * MIB));
    await until(() => server.writableLength === 0);
    server.destroy();
    await until(() => owner.closes.length === 1);
    expect([seen, given]).toEqual([[], []]);
  });

  it('may be the last one that its reader wants', async () => {
    const { server, near, owner } = await link(() => near.destroy('enough'));
    server.write(Buffer.concat([0, 1, 2].map((n) => framed(message(n, MIB)))));
    await until(() => owner.closes.length === 1);
    expect([near.framesIn, owner.closes[0]!.reason, given]).toEqual([1, 'enough', []]);
  });

  it('reaches its client as it was sent, among any others, slow and quick', async () => {
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 48271) % 2147483647) % below;
    const clients = [await client(), await client(), await client()];
    const expected = clients.map((): Buffer[] => []);
    const route = (frame: Frame): void => clients[frame.buffer[frame.body]! - 0x30]!.transport.sendFrame(frame);
    const links = [await link(route), await link(route)];
    // A client's messages come by one link: their order is the link's.
    for (let n = 0; n < 150; n++) {
      const to = random(3);
      const body = message(n, 40 + (random(3) === 0 ? random(2 * MIB) : random(LARGE * 2)));
      body[0] = 0x30 + to;
      expected[to]!.push(body);
      links[to % 2]!.server.write(framed(body));
      const { far } = clients[random(3)]!;
      if (random(4) === 0) far.pause();
      else far.resume();
      if (random(3) === 0) await new Promise(setImmediate);
    }
    for (const { far } of clients) far.resume();
    await until(() => clients.every(({ heard }, at) => heard.length === expected[at]!.length));
    expect(clients.map(({ heard }, at) => same(heard, expected[at]!))).toEqual([true, true, true]);
    expect(given.length).toBeGreaterThan(10);
  });
});
