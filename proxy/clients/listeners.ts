/**
 * Where clients come in: TCP listeners, and WebSocket on the HTTP listeners' /rpc.
 */
import type { IncomingMessage } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Server as HttpServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { channels } from '../channels.js';
import { errorReply, isRefusal, refuse } from '../protocol/errors.js';
import { isWireFault, type Frame } from '../wire/frame.js';
import { scan, type Scan } from '../wire/scan.js';
import { TcpTransport } from '../wire/tcp.js';
import type { Transport } from '../wire/transport.js';
import { WebSocketTransport } from '../wire/websocket.js';
import { Client, HANDSHAKE_FRAME } from './client.js';
import { paramsOf } from './params.js';
import type { Services } from './services.js';

/** Connections that are being told that there are too many; more are closed without a word. */
const TURNED_AWAY_MAX = 256;
/** Milliseconds that one of those has to say something. */
const TURNED_AWAY_WAIT = 2_000;

let turnedAway = 0;

export interface Bound {
  /** `host:port`, as bound. */
  readonly address: string;
  /** Stops accepting; connections stay. */
  close(): void;
}

/**
 * Listens for SDK clients.
 * @param as the user that every client of this listener is
 * @throws the system's error when the address cannot be bound
 */
export async function listenTcp(
  services: Services,
  where: { host: string; port: number },
  as: string | undefined,
): Promise<Bound> {
  const server = createServer({ noDelay: true, keepAlive: true }, (socket: Socket) => {
    const transport = new TcpTransport(socket, { maxFrame: HANDSHAKE_FRAME });
    accept(services, transport, `tcp ${name}`, as);
  });
  await bind(server, where);
  const name = addressOf(server);
  channels.lifecycle.publish({ phase: 'listening', listener: 'tcp', address: name });
  return { address: name, close: () => server.close() };
}

/** Binds a server of observe/http. */
export async function listenHttp(server: HttpServer, where: { host: string; port: number }): Promise<Bound> {
  await bind(server, where);
  const name = addressOf(server);
  channels.lifecycle.publish({ phase: 'listening', listener: 'http', address: name });
  const close = (): void => {
    server.close();
    server.closeIdleConnections();
  };
  return { address: name, close };
}

/**
 * Takes over WebSocket upgrades. A client may give its token in `connect`, as on TCP, or as
 * `Authorization: Bearer` of the upgrade.
 */
export function createUpgrade(
  services: Services,
): (request: IncomingMessage, socket: Duplex, head: Buffer) => void {
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: services.limits.max_frame });
  return (request, socket, head) => {
    const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    // Until the upgrade is through nobody else listens to this socket, and an unheard error ends the process.
    const onError = (): void => void socket.destroy();
    socket.on('error', onError);
    void admit(services, token, socket).then((principal) => {
      if (principal === 'refused' || socket.destroyed) return;
      socket.off('error', onError);
      server.options.maxPayload = services.limits.max_frame;
      server.handleUpgrade(request, socket, head, (webSocket) => {
        const maxFrame = principal ? services.limits.max_frame : HANDSHAKE_FRAME;
        const transport = new WebSocketTransport(webSocket, request.socket, { maxFrame, closeCode });
        accept(services, transport, `http ${request.socket.localAddress}:${request.socket.localPort}`, undefined, principal);
      });
    });
  };
}

/** RFC 6455, 7.4.1: 1001 going away, 1008 policy violation, 1013 try again later (IANA registry). */
function closeCode(reason: string): number {
  if (reason === 'SKYPORT_SHUTTING_DOWN') return 1001;
  return reason === 'SKYPORT_CLIENT_TOO_SLOW' || reason === 'SKYPORT_TOO_MANY_CLIENTS' ? 1013 : 1008;
}

async function admit(services: Services, token: string | undefined, socket: Duplex): Promise<ReturnType<typeof login>> {
  if (token === undefined) return undefined;
  const remote = `${(socket as Socket).remoteAddress}:${(socket as Socket).remotePort}`;
  const principal = login(services, token);
  if (principal !== 'refused') {
    services.throttle.success(remote);
    return principal;
  }
  const { delayMs } = services.throttle.failure(remote, Date.now(), { failures: 0 });
  channels.loginFailed.publish({ clientId: 'upgrade', remote, reason: 'SKYPORT_AUTHENTICATION_FAILED', delayMs, cut: true });
  await new Promise((resolve) => setTimeout(resolve, delayMs));
  socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  return 'refused';
}

function login(services: Services, token: string): Client['principal'] | 'refused' {
  const principal = services.authenticator.login(token);
  return isRefusal(principal) ? 'refused' : principal;
}

function accept(
  services: Services,
  transport: Transport,
  listener: string,
  as: string | undefined,
  principal?: Client['principal'],
): void {
  if (services.draining) turnAway(transport, 'SKYPORT_SHUTTING_DOWN');
  else if (services.roster.clientCount < services.limits.clients) new Client(transport, services, listener, as, principal);
  else turnAway(transport, 'SKYPORT_TOO_MANY_CLIENTS', (frame, scanned) => {
    // Another Skyport brings clients that have been counted where they are.
    const { token } = paramsOf(frame, scanned);
    if (scanned.method !== 'connect' || typeof token !== 'string' || !services.authenticator.isPeers(token)) return false;
    new Client(transport, services, listener, as).onMessage(frame, scanned);
    return true;
  });
}

/**
 * Answers the first request with the reason, so that the SDK's caller gets to read it.
 * @param admits takes the connection over after all
 */
function turnAway(
  transport: Transport, name: 'SKYPORT_TOO_MANY_CLIENTS' | 'SKYPORT_SHUTTING_DOWN', admits: (frame: Frame, scanned: Scan) => boolean = () => false,
): void {
  channels.refusal.publish({ name });
  if (turnedAway >= TURNED_AWAY_MAX) {
    transport.listen({ onFrame: () => undefined, onClose: () => undefined });
    transport.destroy(name);
    return;
  }
  turnedAway++;
  const deadline = setTimeout(() => transport.end(name, errorReply('null', refuse(name)), 1_000), TURNED_AWAY_WAIT);
  transport.listen({
    onFrame: (frame) => {
      const scanned = scan(frame.buffer, frame.body, frame.end);
      if (!isWireFault(scanned) && admits(frame, scanned)) {
        clearTimeout(deadline);
        turnedAway--;
        return;
      }
      const idToken = isWireFault(scanned) || scanned.idStart < 0 ? 'null' : frame.buffer.toString('utf8', scanned.idStart, scanned.idEnd);
      clearTimeout(deadline);
      transport.end(name, errorReply(idToken, refuse(name)), 1_000);
    },
    onClose: () => {
      clearTimeout(deadline);
      turnedAway--;
    },
  });
}

function bind(server: Server, where: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: where.host, port: where.port, backlog: 1024 }, () => {
      server.off('error', reject);
      // Running out of file descriptors shows here; the listener goes on when some are free again.
      server.on('error', (error) => channels.bug.publish({ where: 'listener', error }));
      resolve();
    });
  });
}

function addressOf(server: Server): string {
  const { address, port, family } = server.address() as AddressInfo;
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
}
