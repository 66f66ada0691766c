/** More clients than a CLI server has connections for. */
import net from 'node:net';
import { expect, it } from 'vitest';
import { startRuntime } from '../support/runtime.js';
import { scopeOfEachTest } from '../support/scope.js';
import { turn } from '../support/sdk.js';
import { Site } from '../support/site.js';
import { WireClient } from '../support/wire-client.js';

const scope = scopeOfEachTest();

const CLIENTS = 200;
/** What a CLI server takes; the next one is accepted and closed. */
const CONNECTIONS = 128;

it(`${CLIENTS} clients of one CLI server, each with a session and a turn of its own, all work`, { timeout: 60_000 }, async () => {
  const site = await Site.start(scope, { servers: 1, config: { limits: { sessions_per_user: CLIENTS } } });
  const clients = Array.from({ length: CLIENTS }, (_, n) => site.client(n % 2 === 0 ? 'alice' : 'bob'));
  const said = await Promise.all(clients.map(async (client, n) => {
    const session = await client.createSession(site.session());
    return (await turn(session, `I am client ${n}`)).text;
  }));
  expect(said).toEqual(clients.map((_, n) => `answer 1: I am client ${n}`));
  const { clients: connected, sessions, backends } = await site.status();
  expect([connected.connected, sessions.attached]).toEqual([CLIENTS, CLIENTS]);
  expect(backends[0]!.links).toBeLessThanOrEqual(backends[0]!.linksMax);
});

it('clients that each tell something else about themselves share the links all the same', async () => {
  const site = await Site.start(scope, { servers: 1, config: { links: { max: 8 } } });
  const clients = await Promise.all(Array.from({ length: 40 }, async (_, n) => {
    const client = scope.own(await WireClient.tcp(site.skyport.address));
    const clientInfo = { editorName: `app-${n}`, editorVersion: '1.0.0' };
    expect((await client.call('connect', { token: 'token-of-alice', clientInfo })).error).toBeUndefined();
    return client;
  }));
  await Promise.all(clients.map(async (client, n) => {
    await client.result('session.create', site.params({ sessionId: `of-app-${n}` }));
    await client.result('session.send', { sessionId: `of-app-${n}`, prompt: 'hello' });
    await client.untilEvent(`of-app-${n}`, 'session.idle');
  }));
  expect((await site.backend('cli-1'))!.links).toBeLessThanOrEqual(8);
});

it('a session takes as many clients as there may be links, and one more when one has left', async () => {
  const site = await Site.start(scope, { servers: 1, config: { links: { base: 1, max: 3 } } });
  const first = await site.wire();
  await first.result('session.create', site.params({ sessionId: 'crowded' }));
  const join = async () => {
    const client = await site.wire();
    return { client, answer: await client.call('session.resume', site.params({ sessionId: 'crowded' })) };
  };
  const joined = [await join(), await join()];
  expect(joined.map(({ answer }) => answer.error)).toEqual([undefined, undefined]);
  expect((await join()).answer.error?.data).toMatchObject({ name: 'SKYPORT_SESSION_BUSY', retryable: true });
  await joined[0]!.client.stop();
  await site.until((status) => status.backends[0]!.links < 3);
  const last = await join();
  expect(last.answer.error).toBeUndefined();
  await last.client.result('session.send', { sessionId: 'crowded', prompt: 'room for one more' });
  await Promise.all([first, joined[1]!.client, last.client].map((client) => client.untilEvent('crowded', 'session.idle')));
});

it(`a CLI server without Skyport takes ${CONNECTIONS} of them`, async () => {
  const { port } = scope.own(await startRuntime());
  const open = new Set<net.Socket>();
  const closed = new Promise<void>((resolve) => {
    for (let n = 0; n <= CONNECTIONS; n++) {
      const socket = net.connect(port, '127.0.0.1');
      open.add(socket);
      scope.after(() => socket.destroy());
      socket.on('error', () => undefined).on('close', () => {
        open.delete(socket);
        resolve();
      });
    }
  });
  await closed;
  expect(open.size).toBe(CONNECTIONS);
});
