import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Server } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createHttp } from '../../../proxy/observe/http.js';
import type { Snapshot } from '../../../proxy/observe/snapshot.js';
import { sampleBackend, sampleSnapshot } from './sample-snapshot.js';

let snapshot: Snapshot;
let renderMetrics: () => Promise<string>;
let upgraded: string[];
let server: Server;
let base: string;

beforeEach(async () => {
  snapshot = sampleSnapshot();
  renderMetrics = () => Promise.resolve('skyport_up 1\n');
  upgraded = [];
  server = createHttp({
    snapshot: () => snapshot,
    metrics: { contentType: 'text/plain; version=0.0.4', render: () => renderMetrics() },
    onUpgrade: (request, socket: Socket | import('node:stream').Duplex) => {
      upgraded.push(request.url ?? '');
      socket.end('HTTP/1.1 101 taken\r\n\r\n');
    },
    origins: ['https://app.example.com'],
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(() => new Promise((resolve) => {
  server.close(resolve);
  server.closeAllConnections();
}));

/** Sends raw bytes and gives all that comes back until the peer closes. */
function raw(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.on('data', (chunk) => { text += chunk.toString(); });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

const UPGRADE = 'Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';

test('/healthz answers 200 even when no backend is up', async () => {
  snapshot = sampleSnapshot({ backends: [], draining: true });
  const response = await fetch(`${base}/healthz`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('application/json');
  expect(await response.json()).toEqual({ status: 'ok', version: '9.8.7', uptimeSeconds: expect.any(Number) });
});

test('/readyz answers 200 when a backend is up', async () => {
  const response = await fetch(`${base}/readyz`);
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ status: 'ready' });
});

test('/readyz answers 503 with the reasons when none is up', async () => {
  snapshot = sampleSnapshot({ backends: [sampleBackend({ state: 'down' })] });
  const response = await fetch(`${base}/readyz`);
  expect(response.status).toBe(503);
  expect(await response.json()).toEqual({ status: 'not ready', reasons: ['no backend is up', 'backend cli-1 is down'] });
});

test('/metrics answers with the text and the type of the metrics', async () => {
  const response = await fetch(`${base}/metrics?from=prometheus`);
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4');
  expect(await response.text()).toBe('skyport_up 1\n');
});

test('metrics that fail are a 500 and nothing more', async () => {
  renderMetrics = () => Promise.reject(new Error('secret detail'));
  const response = await fetch(`${base}/metrics`);
  expect(response.status).toBe(500);
  expect(await response.json()).toEqual({ error: 'Internal error' });
});

test('HEAD gets the headers of GET', async () => {
  const response = await fetch(`${base}/readyz`, { method: 'HEAD' });
  expect(response.status).toBe(200);
  expect(await response.text()).toBe('');
});

test.each(['/', '/healthz/', '/metrics/x', '/toString', '/__proto__'])('%s is a 404 that lists what there is', async (path) => {
  const response = await fetch(base + path);
  expect(response.status).toBe(404);
  expect(await response.json()).toEqual({ error: 'Not found', paths: ['/healthz', '/readyz', '/metrics', '/rpc'] });
});

test('another method is a 405 that names the allowed ones', async () => {
  const response = await fetch(`${base}/metrics`, { method: 'DELETE' });
  expect(response.status).toBe(405);
  expect(response.headers.get('allow')).toBe('GET, HEAD');
});

test('a request with a body is refused and its connection closed', async () => {
  expect(await raw('GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello')).toMatch(/^HTTP\/1\.1 413 [^]*Connection: close/);
});

test('a chunked body is refused before its first chunk', async () => {
  expect(await raw('POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')).toMatch(/^HTTP\/1\.1 413 /);
});

test('headers over 8 KiB are refused', async () => {
  expect(await raw(`GET /healthz HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(9000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
});

test('a WebSocket upgrade of /rpc is passed on with its query', async () => {
  expect(await raw(`GET /rpc?a=1 HTTP/1.1\r\n${UPGRADE}\r\n`)).toBe('HTTP/1.1 101 taken\r\n\r\n');
  expect(upgraded).toEqual(['/rpc?a=1']);
});

test('an upgrade of another path is refused', async () => {
  expect(await raw(`GET /metrics HTTP/1.1\r\n${UPGRADE}\r\n`)).toMatch(/^HTTP\/1\.1 404 /);
  expect(upgraded).toEqual([]);
});

test('an upgrade of /rpc to another protocol is refused', async () => {
  expect(await raw('GET /rpc HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  expect(upgraded).toEqual([]);
});

test('a web page of an origin that is not listed may not open /rpc', async () => {
  expect(await raw(`GET /rpc HTTP/1.1\r\n${UPGRADE}Origin: https://evil.example\r\n\r\n`)).toMatch(/^HTTP\/1\.1 403 /);
  expect(upgraded).toEqual([]);
});

test('a web page of a listed origin may', async () => {
  await raw(`GET /rpc HTTP/1.1\r\n${UPGRADE}Origin: https://app.example.com\r\n\r\n`);
  expect(upgraded).toEqual(['/rpc']);
});

test('a plain GET of /rpc is told to upgrade', async () => {
  expect((await fetch(`${base}/rpc`)).status).toBe(426);
});
