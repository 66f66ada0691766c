import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { frameOf, type Frame } from '../../../proxy/wire/frame.js';
import type { Outbox } from '../../../proxy/wire/outbox.js';
import { TcpTransport } from '../../../proxy/wire/tcp.js';
import { SOFT_LIMIT } from '../../../proxy/wire/transport.js';
import { decode, framed } from './frames.js';
import { Owner, socketPair, tcpPair, until } from './sockets.js';

/** Everything that arrives at a socket. */
function received(socket: Socket): { text(): string; ended: Promise<unknown> } {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  return { text: () => Buffer.concat(chunks).toString(), ended: once(socket, 'end') };
}

/** The sizes of what is written to a socket in one write or writev. */
function writesOf(transport: TcpTransport): number[] {
  const { socket } = transport as unknown as { socket: Socket };
  const sizes: number[] = [];
  const { _write, _writev } = socket;
  socket._write = (chunk: Buffer, encoding, done) => {
    sizes.push(chunk.length);
    _write.call(socket, chunk, encoding, done);
  };
  socket._writev = (chunks, done) => {
    sizes.push(chunks.reduce((sum, { chunk }) => sum + (chunk as Buffer).length, 0));
    _writev!.call(socket, chunks, done);
  };
  return sizes;
}

const numbered = (n: number, size: number): string => JSON.stringify({ n, pad: 'x'.repeat(size) });

describe('frames that come in', () => {
  it('reach the owner, and are counted', async () => {
    const { transport, far, owner } = await tcpPair();
    const text = framed('{"n":1}') + framed('{"n":2}') + framed('{"n":3}');
    far.write(text);
    await until(() => owner.bodies.length === 3);
    expect(owner.bodies).toEqual(['{"n":1}', '{"n":2}', '{"n":3}']);
    expect([transport.framesIn, transport.bytesIn]).toEqual([3, text.length]);
    expect(transport.remote).toBe(`127.0.0.1:${far.localPort}`);
  });

  it('wait for listen', async () => {
    const [near, far] = await socketPair();
    const transport = new TcpTransport(near, { maxFrame: 100 });
    far.write(framed('{"n":1}'));
    await new Promise(setImmediate);
    const owner = new Owner();
    transport.listen(owner);
    await until(() => owner.bodies.length === 1);
    expect(owner.bodies).toEqual(['{"n":1}']);
  });

  it('wait while the transport is paused, however often', async () => {
    const { transport, far, owner } = await tcpPair();
    transport.pause();
    transport.pause();
    far.write(framed('{"n":1}'));
    const other = await tcpPair();
    other.far.write(framed('{}'));
    await until(() => other.owner.bodies.length === 1);
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(owner.bodies).toEqual([]);
    transport.resume();
    await until(() => owner.bodies.length === 1);
  });

  it('stop at once when the owner destroys the transport', async () => {
    const { transport, far, owner } = await tcpPair((o) => {
      const { onFrame } = o;
      o.onFrame = (frame) => {
        onFrame(frame);
        transport.destroy('enough');
      };
    });
    far.write(framed('{"n":1}') + framed('{"n":2}'));
    await until(() => owner.closes.length === 1);
    expect([owner.bodies, owner.closes]).toEqual([['{"n":1}'], [{ reason: 'enough' }]]);
  });
});

describe('frames that go out', () => {
  it('of one turn leave in one write', async () => {
    const { transport, far } = await tcpPair();
    const writes = writesOf(transport);
    const { text } = received(far);
    let expected = '';
    for (let n = 0; n < 50; n++) {
      const body = numbered(n, n === 25 ? 9000 : 10);
      expected += framed(body);
      if (n % 2 === 0) transport.sendText(body);
      else transport.sendFrame({ buffer: Buffer.from(body), start: -1, body: 0, end: body.length });
    }
    expect([writes, transport.bufferedBytes]).toEqual([[], expected.length]);
    await until(() => text().length === expected.length);
    expect(text()).toBe(expected);
    expect(writes).toEqual([expected.length]);
    expect([transport.framesOut, transport.bytesOut, transport.bufferedBytes]).toEqual([50, expected.length, 0]);
  });

  it('that lie next to each other leave as the one piece of memory they came in', async () => {
    const { transport, far } = await tcpPair();
    const { text } = received(far);
    const { socket } = transport as unknown as { socket: Socket };
    const written: Buffer[] = [];
    const write = socket._write.bind(socket);
    socket._write = (chunk: Buffer, encoding, done) => {
      written.push(chunk);
      write(chunk, encoding, done);
    };
    const source = Buffer.from(framed('{"n":1}') + framed('{"n":2}') + framed('{"n":3}') + framed('{"n":4}'));
    const size = source.length / 4;
    for (const n of [1, 2, 3]) transport.sendFrame({ buffer: source, start: n * size, body: n * size + 21, end: (n + 1) * size });
    await until(() => text().length === 3 * size);
    expect(text()).toBe(source.toString('latin1', size));
    expect(written.map((chunk) => [chunk.buffer === source.buffer, chunk.byteOffset - source.byteOffset, chunk.length])).toEqual([[true, size, 3 * size]]);
  });

  it('are forwarded from one transport to another byte by byte', async () => {
    const out = await tcpPair();
    const { text } = received(out.far);
    const into = await tcpPair((owner) => (owner.onFrame = (frame: Frame) => out.transport.sendFrame(frame)));
    let expected = '';
    for (let n = 0; n < 300; n++) expected += framed(numbered(n, (n * 37) % 4000));
    for (let at = 0; at < expected.length; at += 7777) into.far.write(expected.slice(at, at + 7777));
    await until(() => text().length >= expected.length);
    expect(text()).toBe(expected);
  });

  it('are not sent after the end', async () => {
    const { transport, far, owner } = await tcpPair();
    const { text, ended } = received(far);
    transport.sendText('{"n":1}');
    transport.end('done');
    transport.sendText('{"n":2}');
    await ended;
    await until(() => owner.closes.length === 1);
    expect([text(), transport.framesOut, owner.closes]).toEqual([framed('{"n":1}'), 1, [{ reason: 'done' }]]);
  });
});

describe('a peer that does not read', () => {
  const stuff = async (transport: TcpTransport, bytes: number): Promise<number> => {
    let n = 0;
    while (transport.bufferedBytes < bytes) {
      for (let i = 0; i < 20; i++) transport.sendText(numbered(n++, 1000));
      await new Promise(setImmediate);
    }
    return n;
  };

  it('makes bufferedBytes grow by what is sent, and loses nothing when it reads again', async () => {
    const { transport, far, owner } = await tcpPair();
    const frames = await stuff(transport, 2 << 20);
    expect(transport.closed).toBe(false);
    expect(owner.drains).toBe(0);
    const before = transport.bufferedBytes;
    transport.sendText('{}');
    expect(transport.bufferedBytes).toBe(before + framed('{}').length);
    const { text } = received(far);
    await until(() => owner.drains === 1 && transport.bufferedBytes === 0);
    await until(() => text().endsWith(framed('{}')));
    const { bodies } = decode([text()]);
    expect(bodies.length).toBe(frames + 1);
    expect(bodies.slice(0, -1)).toEqual(Array.from({ length: frames }, (_, n) => numbered(n, 1000)));
    expect(transport.bytesOut).toBe(text().length);
  });

  it('gets no more than SOFT_LIMIT and one batch into the socket’s own buffer', async () => {
    const { transport } = await tcpPair();
    await stuff(transport, 1 << 20);
    const { socket } = transport as unknown as { socket: Socket };
    expect(socket.writableLength).toBeLessThanOrEqual(2 * SOFT_LIMIT + 2000);
  });

  it('holds as much memory as is counted, though its frames came in large read buffers', async () => {
    const { transport } = await tcpPair();
    await stuff(transport, 512 << 10);
    for (let n = 0; n < 50; n++) {
      const slab = Buffer.allocUnsafeSlow(65536);
      transport.sendFrame({ buffer: slab, start: 100, body: 121, end: 400 });
      await new Promise(setImmediate);
    }
    const { outbox } = transport as unknown as { outbox: Outbox };
    const counted = outbox.bytes;
    const memory = new Set(outbox.take(Infinity).map((piece) => piece.buffer.buffer));
    expect([...memory].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThan(1.5 * counted);
  });

  it('still gets the last text, and not what had not begun to leave', async () => {
    const { transport, far, owner } = await tcpPair();
    const frames = await stuff(transport, 1 << 20);
    transport.end('too_slow', '{"last":1}', 60_000);
    const { text, ended } = received(far);
    await ended;
    const { bodies, fault } = decode([text()]);
    expect(fault).toBeUndefined();
    expect(bodies.at(-1)).toBe('{"last":1}');
    expect(bodies.length).toBeLessThan(frames);
    expect(bodies.slice(0, -1)).toEqual(bodies.slice(0, -1).map((_, n) => numbered(n, 1000)));
    await until(() => owner.closes.length === 1);
    expect(owner.closes).toEqual([{ reason: 'too_slow' }]);
  });

  it('is destroyed when the grace is over', async () => {
    const { transport, owner } = await tcpPair();
    await stuff(transport, 1 << 20);
    transport.end('too_slow', '{"last":1}', 1);
    await until(() => owner.closes.length === 1);
    expect([owner.closes, transport.bufferedBytes]).toEqual([[{ reason: 'too_slow' }], 0]);
  });

  it('does not hold up another peer', async () => {
    const slow = await tcpPair();
    await stuff(slow.transport, 1 << 20);
    const quick = await tcpPair();
    const { text } = received(quick.far);
    quick.transport.sendText('{}');
    await until(() => text() === framed('{}'));
    expect(slow.transport.bufferedBytes).toBeGreaterThanOrEqual(1 << 20);
  });

  it('has onDrain called also when one turn’s frames go to the kernel at once', async () => {
    const { transport, far, owner } = await tcpPair();
    far.resume();
    for (let n = 0; transport.bufferedBytes <= SOFT_LIMIT; n++) transport.sendText(numbered(n, 1000));
    await until(() => owner.drains === 1);
    expect(transport.bufferedBytes).toBe(0);
  });
});

describe('the end', () => {
  it('comes when the peer leaves', async () => {
    const { transport, far, owner } = await tcpPair();
    far.end();
    await until(() => owner.closes.length > 0);
    transport.destroy('late');
    transport.end('later', '{}');
    await new Promise(setImmediate);
    expect([owner.closes, transport.closed]).toEqual([[{ reason: 'peer_closed' }], true]);
  });

  it('comes when the peer resets', async () => {
    const { far, owner } = await tcpPair();
    far.resetAndDestroy();
    await until(() => owner.closes.length > 0);
    expect(owner.closes).toEqual([{ reason: 'reset', error: expect.objectContaining({ code: 'ECONNRESET' }) as Error }]);
  });

  it('is told once, and not within the call that caused it', async () => {
    const { transport, far, owner } = await tcpPair();
    far.resume();
    transport.end('first');
    transport.destroy('second');
    far.destroy();
    expect([owner.closes, transport.closed]).toEqual([[], true]);
    await until(() => owner.closes.length > 0);
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(owner.closes).toEqual([{ reason: 'first' }]);
  });

  it('of a paused transport comes when the peer follows', async () => {
    const { transport, far, owner } = await tcpPair();
    far.resume();
    transport.pause();
    transport.end('done', undefined, 60_000);
    await until(() => owner.closes.length > 0);
    expect(owner.closes).toEqual([{ reason: 'done' }]);
  });

  it('that came before listen is told', async () => {
    const [near, far] = await socketPair();
    const transport = new TcpTransport(near, { maxFrame: 100 });
    transport.destroy('early');
    await once(far.resume(), 'close');
    const owner = new Owner();
    transport.listen(owner);
    expect(owner.closes).toEqual([]);
    await until(() => owner.closes.length === 1);
    expect(owner.closes).toEqual([{ reason: 'early' }]);
  });

  it('gives what was sent before it to a peer that has stopped sending', async () => {
    const { transport, far } = await tcpPair((owner) => (owner.onFrame = () => transport.sendText('{"answer":1}')));
    const { text, ended } = received(far);
    far.end(framed('{"question":1}'));
    await ended;
    expect(text()).toBe(framed('{"answer":1}'));
  });
});

describe('a fault', () => {
  it('destroys the transport if nobody handles it', async () => {
    const { far, owner } = await tcpPair();
    far.write(framed('{"n":1}') + 'nonsense\r\n' + framed('{"n":2}'));
    await until(() => owner.closes.length > 0);
    expect(owner.bodies).toEqual(['{"n":1}']);
    expect(owner.closes).toEqual([{ reason: 'fault', fault: { reason: 'bad_header', message: expect.any(String) as string } }]);
  });

  it('destroys the transport if its handler does not end it', async () => {
    const { far, owner } = await tcpPair((o) => (o.onFault = () => undefined));
    far.write('nonsense\r\n');
    await until(() => owner.closes.length > 0);
    expect(owner.closes).toMatchObject([{ reason: 'fault', fault: { reason: 'bad_header' } }]);
  });

  it('can be answered a last time, though the peer goes on sending', async () => {
    const { transport, far, owner } = await tcpPair((o) => (o.onFault = (fault) => transport.end('bad_frame', JSON.stringify(fault.reason))));
    const { text, ended } = received(far);
    far.write(`Content-Length: 9999999999\r\n\r\n${'x'.repeat(1 << 20)}`);
    await ended;
    expect(text()).toBe(framed('"frame_too_large"'));
    await until(() => owner.closes.length > 0);
    expect(owner.closes).toMatchObject([{ reason: 'bad_frame', fault: { reason: 'frame_too_large' } }]);
  });

  it('is what maxFrame says at the time', async () => {
    const { transport, far, owner } = await tcpPair();
    transport.maxFrame = 10;
    expect(transport.maxFrame).toBe(10);
    far.write(framed('{"n":12345}'));
    await until(() => owner.closes.length > 0);
    expect(owner.closes[0]!.fault!.reason).toBe('frame_too_large');
  });
});

describe('a nudge', () => {
  afterEach(() => void vi.useRealTimers());

  it('is one header line of the next frame, which decodes with it', async () => {
    const { transport, far } = await tcpPair();
    const { text } = received(far);
    for (let n = 1; n <= 3; n++) {
      transport.nudge();
      transport.nudge();
      await until(() => text().length === 5 * n);
    }
    transport.sendText('{"n":1}');
    transport.sendText('{"n":2}');
    await until(() => text().includes('"n":2'));
    expect(text()).toBe('A:1\r\nA:1\r\nA:1\r\n' + framed('{"n":1}') + framed('{"n":2}'));
    expect(decode([text()])).toEqual({ bodies: ['{"n":1}', '{"n":2}'], fault: undefined });
  });

  it('is left out when a frame leaves in the same turn', async () => {
    const { transport, far } = await tcpPair();
    const { text } = received(far);
    transport.nudge();
    transport.sendFrame(frameOf('{"n":1}'));
    transport.nudge();
    await until(() => text().length > 0);
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(text()).toBe(framed('{"n":1}'));
  });

  it('follows others at once only a few times; then it waits a millisecond, and any frame takes its place', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    const { transport, far } = await tcpPair();
    const { text } = received(far);
    const burst = async (now: number): Promise<void> => {
      for (let n = 0; n < 20; n++) {
        transport.nudge(now);
        await new Promise(setImmediate);
      }
    };
    await burst(1000);
    await until(() => text().length === 8 * 5);
    vi.advanceTimersByTime(1);
    await until(() => text().length === 9 * 5);
    await burst(1001);
    transport.sendText('{}');
    await until(() => text().endsWith('{}'));
    vi.advanceTimersByTime(1);
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(text()).toBe('A:1\r\n'.repeat(9) + framed('{}'));
  });

  it('is not sent beyond 32 KiB of open header, until a frame goes out', async () => {
    const { transport, far, owner } = await tcpPair();
    const { text } = received(far);
    for (let now = performance.now(); owner.nudgeFulls === 0; now++) {
      transport.nudge(now);
      await new Promise(setImmediate);
    }
    const sent = transport.bytesOut;
    expect(sent).toBe(Math.floor((32 << 10) / 5) * 5);
    transport.nudge(Infinity);
    await new Promise(setImmediate);
    expect([transport.bytesOut, owner.nudgeFulls]).toEqual([sent, 1]);
    transport.sendText('{}');
    await new Promise(setImmediate);
    transport.nudge(performance.now() + 10_000);
    await until(() => text().endsWith('{}A:1\r\n'));
    expect(decode([text()], { maxHeader: 64 << 10 })).toEqual({ bodies: ['{}'], fault: undefined });
  });
});
