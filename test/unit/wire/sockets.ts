import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach } from 'vitest';
import type { CloseCause } from '../../../proxy/wire/transport.js';
import { TcpTransport, type TcpEvents } from '../../../proxy/wire/tcp.js';
import { bodyOf } from './frames.js';

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
