/**
 * Opens connections to a CLI server: TCP, then `connect` with our token and the profile's params.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { Intake } from '../wire/intake.js';
import { TcpTransport } from '../wire/tcp.js';
import { isRefusal, refuse, type Refusal } from '../protocol/errors.js';
import { Link, type LinkEvents } from './link.js';
import type { Profile } from './profile.js';

export interface Address {
  readonly host: string;
  readonly port: number;
  readonly token?: string;
  /** Where the server works, where that is known. */
  readonly workingDirectory?: string;
}

/** What a CLI server answers to `connect`. */
export interface ConnectResult {
  readonly ok: true;
  readonly protocolVersion: number;
  readonly version: string;
  readonly taskKinds?: readonly string[];
}

export interface DialOptions {
  readonly address: Address;
  readonly profile: Profile;
  /** Milliseconds for the whole of it. */
  readonly timeout: number;
  /** Bytes of the largest frame that a server may send. */
  readonly maxFrame: number;
  readonly nudge: boolean;
  readonly events: LinkEvents;
}

/** How opening a link failed: by the network or the server's silence, or by its own word. */
export type DialFailure =
  | { readonly kind: 'network'; readonly reason: string; readonly refusedByPeer: boolean }
  | { readonly kind: 'answer'; readonly code: number; readonly message: string };

/**
 * A TCP connection, or why there is none.
 * @param timeout milliseconds
 * @param intake reads it; the socket is paused then
 */
export function openSocket(address: Address, timeout: number, intake?: Intake): Promise<Socket | DialFailure> {
  return new Promise((resolve) => {
    const to = { host: address.host, port: address.port, noDelay: true };
    const socket = connectTcp(intake === undefined ? to : { ...to, onread: intake.onread });
    if (intake !== undefined) socket.pause();
    const fail = (reason: string, refusedByPeer: boolean): void => {
      clearTimeout(deadline);
      socket.destroy();
      resolve({ kind: 'network', reason, refusedByPeer });
    };
    const deadline = setTimeout(() => fail('connect timed out', false), timeout);
    const onError = (error: NodeJS.ErrnoException): void => fail(error.code ?? error.message, error.code === 'ECONNREFUSED');
    socket.once('error', onError);
    socket.once('connect', () => {
      clearTimeout(deadline);
      socket.off('error', onError);
      resolve(socket);
    });
  });
}

/** A link whose server has accepted our `connect`. A failure leaves nothing open. */
export async function dial(o: DialOptions): Promise<{ link: Link; result: ConnectResult } | DialFailure> {
  const started = performance.now();
  const intake = new Intake();
  const socket = await openSocket(o.address, o.timeout, intake);
  if ('kind' in socket) return socket;
  const transport = new TcpTransport(socket, { maxFrame: o.maxFrame, trusted: true, intake });
  const link = new Link(transport, o.profile.key, o.events, o.nudge);
  const left = Math.max(1, o.timeout - (performance.now() - started));
  const answer = await link.call('connect', { ...o.profile.params, token: o.address.token }, left);
  if (isRefusal(answer)) {
    link.close('connect was not answered');
    return { kind: 'network', reason: answer.message, refusedByPeer: false };
  }
  if (!answer.ok) {
    link.close('connect was refused');
    return { kind: 'answer', ...answer.error };
  }
  const result = readConnectResult(answer.result);
  if (isRefusal(result)) {
    link.close('connect was answered with something else');
    return { kind: 'network', reason: result.message, refusedByPeer: false };
  }
  link.connected = result;
  return { link, result };
}

function readConnectResult(value: unknown): ConnectResult | Refusal {
  const result = value as Partial<ConnectResult> | null;
  if (result && typeof result.protocolVersion === 'number' && typeof result.version === 'string') {
    return result as ConnectResult;
  }
  return refuse('SKYPORT_BACKEND_PROTOCOL', 'The answer to connect has no version');
}

export function sameAddress(a: Address, b: Address): boolean {
  return a.host === b.host && a.port === b.port && a.token === b.token;
}
