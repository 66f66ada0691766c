import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Intake } from '../../../proxy/wire/intake.js';
import { TcpTransport } from '../../../proxy/wire/tcp.js';
import type { Frame } from '../../../proxy/wire/frame.js';
import { bodyOf, framed } from './frames.js';
import { Owner, until } from './sockets.js';

const open: Socket[] = [];

afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
});

/** A transport that reads by an intake and does not listen yet, and its peer. */
async function pair(): Promise<{ transport: TcpTransport; far: Socket; near: Socket }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const intake = new Intake();
  const near = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', onread: intake.onread });
  near.pause();
  const [far] = await accepted;
  if (near.connecting) await once(near, 'connect');
  server.close();
  far.on('error', () => undefined);
  open.push(near, far);
  return { transport: new TcpTransport(near, { maxFrame: 1 << 24, trusted: true, intake }), far, near };
}

/** Some turns of the event loop. */
async function turns(): Promise<void> {
  for (let i = 0; i < 200; i++) await new Promise(setImmediate);
}

describe('a transport with an intake', () => {
  it('has what came before it listened', async () => {
    const { transport, far, near } = await pair();
    far.write(framed('{"n":1}'));
    await turns();
    expect(near.bytesRead).toBe(0);
    const owner = new Owner();
    transport.listen(owner);
    await until(() => owner.bodies.length === 1);
    expect(owner.bodies).toEqual(['{"n":1}']);
  });

  it('gives frames that are whole while they are handed out, though all sockets read into one place', async () => {
    const sides = await Promise.all([pair(), pair()]);
    const seen: string[][] = [[], []];
    const texts = sides.map((_, side) => Array.from({ length: 400 }, (_, n) => JSON.stringify({ side, n, x: String(n % 10).repeat((n * 37) % 3000) })));
    sides.forEach(({ transport }, side) => {
      const owner = new Owner();
      owner.onFrame = (frame) => void seen[side]!.push(bodyOf(frame));
      transport.listen(owner);
    });
    for (let n = 0; n < 400; n++) sides.forEach(({ far }, side) => far.write(framed(texts[side]![n]!)));
    await until(() => seen.every((bodies) => bodies.length === 400));
    expect(seen).toEqual(texts);
  });

  it('puts a large frame into one buffer of about its size', async () => {
    const { transport, far } = await pair();
    const kept: Frame[] = [];
    const owner = new Owner();
    owner.onFrame = (frame) => void kept.push({ ...frame });
    transport.listen(owner);
    const text = JSON.stringify('0123456789'.repeat(300_000));
    far.write(framed('{}') + framed(text) + framed('[]'));
    await until(() => kept.length === 3);
    expect(bodyOf(kept[1]!)).toBe(text);
    const { byteLength } = kept[1]!.buffer.buffer;
    expect(byteLength).toBeGreaterThanOrEqual(kept[1]!.end);
    expect(byteLength).toBeLessThan(kept[1]!.end * 2);
  });

  it('reads nothing while it is paused', async () => {
    const { transport, far } = await pair();
    const owner = new Owner();
    const frame = framed(JSON.stringify('x'.repeat(100_000)));
    owner.onFrame = () => transport.pause();
    transport.listen(owner);
    for (let i = 0; i < 100; i++) far.write(frame);
    await until(() => transport.framesIn > 0);
    const { bytesIn } = transport;
    await turns();
    expect([transport.bytesIn, transport.framesIn]).toEqual([bytesIn, 1]);
    owner.onFrame = () => undefined;
    transport.resume();
    await until(() => transport.framesIn === 100);
    expect(transport.bytesIn).toBe(100 * frame.length);
  });

  it('sees its peer end', async () => {
    const { transport, far } = await pair();
    const owner = new Owner();
    transport.listen(owner);
    far.end(framed('{}'));
    await until(() => owner.closes.length === 1);
    expect([owner.bodies, owner.closes[0]!.reason]).toEqual([['{}'], 'peer_closed']);
  });

  it('can be destroyed while it hands out a frame', async () => {
    const { transport, far } = await pair();
    const owner = new Owner();
    owner.onFrame = () => transport.destroy('enough');
    transport.listen(owner);
    far.write(framed('{}').repeat(50_000));
    await until(() => owner.closes.length === 1);
    expect([transport.framesIn, owner.closes[0]!.reason]).toEqual([1, 'enough']);
  });
});
