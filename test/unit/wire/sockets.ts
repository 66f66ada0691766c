import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach } from 'vitest';
import { reading } from '../../../proxy/wire/arena.js';
import { Intake } from '../../../proxy/wire/intake.js';
import type { CloseCause } from '../../../proxy/wire/transport.js';
import { TcpTransport, type TcpEvents } from '../../../proxy/wire/tcp.js';
import { bodyOf } from './frames.js';

/** What the arena is overwritten with: in no text. */
export const POISON = 0xee;

const open: Socket[] = [];

afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
});

/** Two ends of one TCP connection over loopback; both are destroyed after the test. */
export async function socketPair(): Promise<[near: Socket, far: Socket]> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const far = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(far, 'connect');
  const [near] = await accepted;
  server.close();
  open.push(near, far);
  far.on('error', () => undefined);
  return [near, far];
}

/**
 * As `socketPair`, for a near socket that is read into the arena; that is overwritten after each read, as the next read may do.
 * The near socket is paused.
 */
export async function arenaPair(): Promise<{ near: Socket; far: Socket; intake: Intake }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const intake = new Intake();
  const { buffer, callback } = intake.onread;
  const near = connect({
    port: (server.address() as AddressInfo).port, host: '127.0.0.1',
    onread: { buffer, callback: (count, bytes) => {
      const readOn = callback(count, bytes);
      reading.fill(POISON);
      return readOn;
    } },
  });
  near.pause();
  const [far] = await accepted;
  if (near.connecting) await once(near, 'connect');
  server.close();
  far.on('error', () => undefined);
  open.push(near, far);
  return { near, far, intake };
}

/** Waits, turn by turn of the event loop, until it holds. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}

/** What a transport's owner sees. */
export class Owner implements TcpEvents {
  bodies: string[] = [];
  starts: number[] = [];
  closes: CloseCause[] = [];
  drains = 0;
  nudgeFulls = 0;

  onFrame: TcpEvents['onFrame'] = (frame) => {
    this.bodies.push(bodyOf(frame));
    this.starts.push(frame.start);
  };

  onFault: TcpEvents['onFault'];

  onDrain = (): void => {
    this.drains++;
  };

  onNudgeFull = (): void => {
    this.nudgeFulls++;
  };

  onClose = (cause: CloseCause): void => {
    this.closes.push(cause);
  };
}

export interface Pair {
  transport: TcpTransport;
  far: Socket;
  owner: Owner;
}

/** A transport that listens, and the bare socket of its peer. */
export async function tcpPair(prepare: (owner: Owner) => void = () => undefined): Promise<Pair> {
  const [near, far] = await socketPair();
  const transport = new TcpTransport(near, { maxFrame: 1 << 20 });
  const owner = new Owner();
  prepare(owner);
  transport.listen(owner);
  return { transport, far, owner };
}
