import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { frameOf } from '../../../proxy/wire/frame.js';
import { slabs } from '../../../proxy/wire/slab.js';
import { SOFT_LIMIT } from '../../../proxy/wire/transport.js';
import { WebSocketTransport } from '../../../proxy/wire/websocket.js';
import { Owner, until } from './sockets.js';

const opened: (() => void)[] = [];

afterEach(() => {
  for (const close of opened.splice(0)) close();
});

interface WebSocketPair {
  transport: WebSocketTransport;
  far: WebSocket;
  owner: Owner;
  socket: Socket;
}

/** A transport on a server's side that listens, and the WebSocket of its peer. */
async function webSocketPair(prepare: (owner: Owner) => void = () => undefined, closeCode?: (reason: string) => number, listens = true): Promise<WebSocketPair> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', maxPayload: 1 << 20 });
  await once(server, 'listening');
  const far = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  opened.push(() => {
    far.terminate();
    for (const client of server.clients) client.terminate();
    server.close();
  });
  const owner = new Owner();
  prepare(owner);
  const connected = new Promise<WebSocketPair>((resolve) => {
    server.on('connection', (ws: WebSocket, { socket }: IncomingMessage) => {
      const transport = new WebSocketTransport(ws, socket, { maxFrame: 1000, closeCode });
      if (listens) transport.listen(owner);
      resolve({ transport, far, owner, socket });
    });
  });
  await once(far, 'open');
  return connected;
}

function received(far: WebSocket): string[] {
  const texts: string[] = [];
  far.on('message', (data, isBinary) => texts.push(`${isBinary ? 'binary' : 'text'} ${(data as Buffer).toString()}`));
  return texts;
}

const numbered = (n: number): string => JSON.stringify({ n, pad: 'x'.repeat(1000) });

/** Sends until as many bytes wait. */
async function stuff({ transport, far }: WebSocketPair, bytes: number): Promise<number> {
  far.pause();
  let n = 0;
  while (transport.bufferedBytes < bytes) {
    for (let i = 0; i < 20; i++) transport.sendText(numbered(n++));
    await new Promise(setImmediate);
  }
  return n;
}

describe('a WebSocket', () => {
  it('has a large frame of a server to itself, whoever else sends it', async () => {
    const { transport, far } = await webSocketPair();
    const texts = received(far);
    const slab = slabs.lease(300_000).fill('a');
    const lease = slabs.leaseOf(slab)!;
    lease.take();
    transport.sendFrame({ buffer: slab, start: -1, body: 0, end: 300_000 });
    lease.left();
    expect(slabs.lease(300_000) === slab).toBe(false);
    await until(() => texts.length === 1);
    expect(texts[0] === `text ${'a'.repeat(300_000)}`).toBe(true);
  });

  it('carries a message in a text message, both ways', async () => {
    const { transport, far, owner } = await webSocketPair();
    const texts = received(far);
    far.send('{"n":"é"}');
    far.send('{"n":2}');
    await until(() => owner.bodies.length === 2);
    transport.sendText('{"m":"é"}');
    transport.sendFrame(frameOf('{"m":2}'));
    await until(() => texts.length === 2);
    expect([owner.bodies, owner.starts]).toEqual([['{"n":"é"}', '{"n":2}'], [-1, -1]]);
    expect(texts).toEqual(['text {"m":"é"}', 'text {"m":2}']);
    expect([transport.framesIn, transport.bytesIn, transport.framesOut, transport.bytesOut]).toEqual([2, 17, 2, 17]);
    expect(transport.remote).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  it('sends what one turn makes in one write', async () => {
    const { transport, far, socket } = await webSocketPair();
    const texts = received(far);
    let writes = 0;
    const writev = socket._writev!.bind(socket);
    socket._writev = (chunks, done) => {
      writes++;
      writev(chunks, done);
    };
    for (let n = 0; n < 10; n++) transport.sendText(`${n}`);
    await until(() => texts.length === 10);
    expect([texts, writes]).toEqual([Array.from({ length: 10 }, (_, n) => `text ${n}`), 1]);
  });

  it('waits while it is paused', async () => {
    const { transport, far, owner } = await webSocketPair();
    transport.pause();
    transport.pause();
    far.send('{"n":1}');
    const other = await webSocketPair();
    other.far.send('{}');
    await until(() => other.owner.bodies.length === 1);
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(owner.bodies).toEqual([]);
    transport.resume();
    await until(() => owner.bodies.length === 1);
  });

  it('waits for listen', async () => {
    const { transport, far, owner } = await webSocketPair(undefined, undefined, false);
    far.send('{"n":1}');
    const other = await webSocketPair();
    other.far.send('{}');
    await until(() => other.owner.bodies.length === 1);
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    transport.listen(owner);
    await until(() => owner.bodies.length === 1);
  });

  it('that ends while paused sees the peer follow', async () => {
    const { transport, owner } = await webSocketPair();
    transport.pause();
    transport.end('done', undefined, 60_000);
    await until(() => owner.closes.length === 1);
    expect(owner.closes).toEqual([{ reason: 'done' }]);
  });

  it('bounds what is in the socket, and loses nothing when the peer reads again', async () => {
    const pair = await webSocketPair();
    const { far, owner, socket } = pair;
    const texts = received(far);
    const frames = await stuff(pair, 2 << 20);
    expect([owner.drains, socket.writableLength <= 2 * SOFT_LIMIT + 4000]).toEqual([0, true]);
    far.resume();
    await until(() => texts.length === frames);
    expect(texts).toEqual(Array.from({ length: frames }, (_, n) => `text ${numbered(n)}`));
    await until(() => owner.drains === 1);
  });

  it('gives the last text to a slow peer, and not what had not begun to leave', async () => {
    const pair = await webSocketPair();
    const { transport, far, owner } = pair;
    const texts = received(far);
    const frames = await stuff(pair, 1 << 20);
    transport.end('too_slow', '{"last":1}', 60_000);
    far.resume();
    const [code, reason] = (await once(far, 'close')) as [number, Buffer];
    expect([code, reason.toString(), texts.at(-1)]).toEqual([1008, 'too_slow', 'text {"last":1}']);
    expect(texts.length).toBeLessThan(frames);
    await until(() => owner.closes.length === 1);
    expect(owner.closes).toEqual([{ reason: 'too_slow' }]);
  });

  it('is terminated when the grace is over', async () => {
    const pair = await webSocketPair();
    await stuff(pair, 1 << 20);
    pair.transport.end('too_slow', '{"last":1}', 1);
    await until(() => pair.owner.closes.length === 1);
    expect([pair.owner.closes, pair.transport.bufferedBytes]).toEqual([[{ reason: 'too_slow' }], 0]);
  });

  it('closes with the code that the owner has for the reason, and as much of the reason as fits', async () => {
    const { transport, far } = await webSocketPair(undefined, (reason) => (reason.startsWith('busy') ? 1013 : 1008));
    transport.end(`busy ${'x'.repeat(200)}`);
    const [code, reason] = (await once(far, 'close')) as [number, Buffer];
    expect([code, reason.toString()]).toEqual([1013, `busy ${'x'.repeat(118)}`]);
  });

  it('takes no binary message', async () => {
    const { transport, far, owner } = await webSocketPair((o) => (o.onFault = (fault) => transport.end('bad_frame', JSON.stringify(fault.reason))));
    const texts = received(far);
    far.send(Buffer.from('{}'));
    far.send('{}');
    const [code] = (await once(far, 'close')) as [number];
    expect([code, texts, owner.bodies]).toEqual([1008, ['text "not_text"'], []]);
    await until(() => owner.closes.length === 1);
    expect(owner.closes).toMatchObject([{ reason: 'bad_frame', fault: { reason: 'not_text' } }]);
  });

  it('takes no message over maxFrame', async () => {
    const { transport, far, owner } = await webSocketPair((o) => (o.onFault = () => transport.end('bad_frame')));
    far.send('x'.repeat(1000));
    far.send('x'.repeat(1001));
    const [code] = (await once(far, 'close')) as [number];
    await until(() => owner.closes.length === 1);
    expect([code, owner.bodies.length, owner.closes[0]!.fault!.reason]).toEqual([1009, 1, 'frame_too_large']);
  });

  it('tells of what the WebSocket server itself refused', async () => {
    const { far, owner } = await webSocketPair();
    far.send('x'.repeat((1 << 20) + 1));
    const [code] = (await once(far, 'close')) as [number];
    await until(() => owner.closes.length === 1);
    expect([code, owner.closes]).toMatchObject([1009, [{ reason: 'fault', fault: { reason: 'frame_too_large' } }]]);
  });

  it('does not wait long for the good-bye of a peer that was refused', { timeout: 15_000 }, async () => {
    const { far, owner } = await webSocketPair();
    far.send('x'.repeat((1 << 20) + 1));
    far.pause();
    await until(() => owner.closes.length === 1);
    expect(owner.closes).toMatchObject([{ reason: 'fault', fault: { reason: 'frame_too_large' } }]);
  });

  it('tells once that the peer left', async () => {
    const { transport, far, owner } = await webSocketPair();
    far.close(1000);
    await until(() => owner.closes.length > 0);
    transport.destroy('late');
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect([owner.closes, transport.closed]).toEqual([[{ reason: 'peer_closed' }], true]);
  });

  it('tells that the connection broke', async () => {
    const { far, owner } = await webSocketPair();
    (far as unknown as { _socket: Socket })._socket.resetAndDestroy();
    await until(() => owner.closes.length > 0);
    expect(owner.closes).toMatchObject([{ reason: 'reset' }]);
  });

  it('is destroyed with the reason given, not within the call', async () => {
    const { transport, owner } = await webSocketPair();
    transport.destroy('enough');
    expect([owner.closes, transport.closed]).toEqual([[], true]);
    await until(() => owner.closes.length === 1);
    expect(owner.closes).toEqual([{ reason: 'enough' }]);
  });
});
