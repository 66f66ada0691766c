/**
 * What an `http` listener answers: /healthz for whoever restarts Skyport, /readyz for whoever sends it
 * clients, /metrics for Prometheus; /rpc is handed to the WebSocket transport. Everything else is
 * refused with a small JSON body. No request may have a body of its own.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { channels } from '../channels.js';
import type { Metrics } from './metrics.js';
import { notReadyReasons, type Snapshot } from './snapshot.js';

/** Milliseconds a peer may take for the headers, and for the whole of a request. */
const HEADERS_TIMEOUT = 5_000;
const REQUEST_TIMEOUT = 10_000;
const KEEP_ALIVE_TIMEOUT = 5_000;
const HEADER_MAX = 8 * 1024;

export const RPC_PATH = '/rpc';

export interface HttpOptions {
  snapshot: () => Snapshot;
  metrics: Pick<Metrics, 'render' | 'contentType'>;
  /** Takes over the socket of a WebSocket upgrade on /rpc: from here on it is the receiver's. */
  onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /**
   * The web pages that may open /rpc, as `scheme://host`. A browser sends an Origin, and sends it to
   * loopback as well: without this check any page that a user visits could speak for that user.
   */
  origins?: readonly string[];
}

/** A server that is not listening yet; the caller binds and closes it. */
export function createHttp(options: HttpOptions): Server {
  const server = createServer({
    headersTimeout: HEADERS_TIMEOUT,
    requestTimeout: REQUEST_TIMEOUT,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT,
    // Node looks for late requests this often; its default of 30 s would outlast the limits above.
    connectionsCheckingInterval: HEADERS_TIMEOUT,
    maxHeaderSize: HEADER_MAX,
  }, (request, response) => void answer(request, response, options));
  server.on('upgrade', (request, socket, head) => upgrade(request, socket, head, options));
  return server;
}

async function answer(request: IncomingMessage, response: ServerResponse, options: HttpOptions): Promise<void> {
  if (hasBody(request)) return refuseBody(response);
  const page = PAGES.get(pathOf(request));
  if (page === undefined) return sendJson(response, 404, { error: 'Not found', paths: [...PAGES.keys()] });
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return sendJson(response, 405, { error: 'Method not allowed' });
  }
  try {
    await page(response, options);
  } catch (error) {
    channels.bug.publish({ where: 'observe/http', error });
    if (!response.headersSent) sendJson(response, 500, { error: 'Internal error' });
    else response.destroy();
  }
}

type Page = (response: ServerResponse, options: HttpOptions) => void | Promise<void>;

const PAGES: ReadonlyMap<string, Page> = new Map<string, Page>([
  ['/healthz', (response, { snapshot }) => {
    const { version, startedAt } = snapshot();
    sendJson(response, 200, { status: 'ok', version, uptimeSeconds: Math.floor((Date.now() - startedAt) / 1000) });
  }],
  ['/readyz', (response, { snapshot }) => {
    const reasons = notReadyReasons(snapshot());
    if (reasons.length === 0) sendJson(response, 200, { status: 'ready' });
    else sendJson(response, 503, { status: 'not ready', reasons });
  }],
  ['/metrics', async (response, { metrics }) => {
    const text = await metrics.render();
    response.writeHead(200, { 'Content-Type': metrics.contentType, 'Content-Length': Buffer.byteLength(text) });
    response.end(text);
  }],
  [RPC_PATH, (response) => {
    response.setHeader('Upgrade', 'websocket');
    response.setHeader('Connection', 'Upgrade');
    sendJson(response, 426, { error: 'JSON-RPC is spoken here over WebSocket' });
  }],
]);

function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, options: HttpOptions): void {
  const { origin } = request.headers;
  if (pathOf(request) !== RPC_PATH) return refuseUpgrade(socket, '404 Not Found', 'Not found');
  if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
    return refuseUpgrade(socket, '400 Bad Request', 'Only an upgrade to websocket is understood');
  }
  if (origin !== undefined && !options.origins?.includes(origin)) {
    return refuseUpgrade(socket, '403 Forbidden', 'Pages of this origin may not connect');
  }
  options.onUpgrade(request, socket, head);
}

function pathOf(request: IncomingMessage): string {
  const url = request.url ?? '';
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

function hasBody(request: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  return encoding !== undefined || (length !== undefined && Number(length) !== 0);
}

/** The body is not read, so the connection cannot be used for another request. */
function refuseBody(response: ServerResponse): void {
  response.setHeader('Connection', 'close');
  sendJson(response, 413, { error: 'A request must not have a body' });
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text), 'Cache-Control': 'no-store',
  });
  response.end(text);
}

function refuseUpgrade(socket: Duplex, status: string, error: string): void {
  const text = `${JSON.stringify({ error })}\n`;
  // The peer may be gone already; nobody else listens for the error of this socket.
  socket.on('error', () => {});
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`, () => socket.destroy());
}
