import net, { type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createUpgrade, listenHttp } from '../../../proxy/clients/listeners.js';
import { createHttp } from '../../../proxy/observe/http.js';
import { channels, type LoginFailed } from '../../../proxy/channels.js';
import { scopeOfEachTest } from '../../support/scope.js';
import { WireClient } from '../../support/wire-client.js';
import { until } from '../wire/sockets.js';
import { Front, LIMITS, tokensOf } from './front.js';

const scope = scopeOfEachTest();

/** An HTTP listener with /rpc beside a front's TCP listener. */
async function webFront(): Promise<{ front: Front; port: number; accepted: net.Socket[] }> {
  const front = await Front.open(scope, { logins: { tokens: tokensOf('alice') } });
  const server = createHttp({
    snapshot: () => { throw new Error('not asked for here'); },
    metrics: { render: () => Promise.resolve(''), contentType: 'text/plain' },
    onUpgrade: createUpgrade(front.services),
  });
  const accepted: net.Socket[] = [];
  server.on('connection', (socket) => accepted.push(socket));
  const bound = await listenHttp(server, { host: '127.0.0.1', port: 0 });
  scope.after(() => bound.close());
  return { front, port: (server.address() as AddressInfo).port, accepted };
}

const UPGRADE = 'GET /rpc HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
  + 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n';

describe('a WebSocket client', () => {
  it('may show its token at the upgrade', async () => {
    const { port } = await webFront();
    const client = scope.own(await WireClient.webSocket(`ws://127.0.0.1:${port}/rpc`, { headers: { authorization: 'Bearer token-of-alice' } }));
    expect((await client.call('ping')).error).toBeUndefined();
  });

  it('may connect as on TCP', async () => {
    const { port } = await webFront();
    const client = scope.own(await WireClient.webSocket(`ws://127.0.0.1:${port}/rpc`));
    expect((await client.call('ping')).error?.code).toBe(-32001);
    expect((await client.login('token-of-alice')).error).toBeUndefined();
  });

  it('with a wrong token at the upgrade is refused', async () => {
    const { port } = await webFront();
    const socket = net.connect(port, '127.0.0.1');
    scope.after(() => void socket.destroy());
    socket.write(`${UPGRADE}Authorization: Bearer wrong\r\n\r\n`);
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk.toString()));
    await new Promise((resolve) => socket.once('close', resolve));
    expect(answer).toMatch(/^HTTP\/1\.1 401 /);
  });

  it('that breaks its connection while its refusal is held back harms nobody', async () => {
    const { front, port, accepted } = await webFront();
    const failures: LoginFailed[] = [];
    const subscriber = (failure: LoginFailed): void => void failures.push(failure);
    channels.loginFailed.subscribe(subscriber);
    scope.after(() => channels.loginFailed.unsubscribe(subscriber));
    const count = front.services.throttle.failure.bind(front.services.throttle);
    front.services.throttle.failure = (...failure) => ({ ...count(...failure), delayMs: 500 });
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(`${UPGRADE}Authorization: Bearer wrong\r\n\r\n`);
    await until(() => failures.length === 1);
    socket.resetAndDestroy();
    await until(() => accepted.every(({ destroyed }) => destroyed));
    const client = await front.client('token-of-alice');
    expect((await client.call('ping')).error).toBeUndefined();
  });
});

describe('a full house', () => {
  it('answers the first request of one too many with the reason', async () => {
    const front = await Front.open(scope);
    front.services.limits = { ...LIMITS, clients: 1 };
    await front.client();
    const late = await front.stranger();
    expect((await late.call('connect')).error).toMatchObject({ code: -32060, message: 'Too many clients' });
    await late.closed;
    expect(front.services.roster.size).toBe(1);
  });

  it('lets the next one in when somebody has left', async () => {
    const front = await Front.open(scope);
    front.services.limits = { ...LIMITS, clients: 1 };
    const first = await front.client();
    await first.stop();
    await until(() => front.services.roster.size === 0);
    expect((await (await front.stranger()).login()).error).toBeUndefined();
  });
});
