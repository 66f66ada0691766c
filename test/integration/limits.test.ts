/** limits.*: what one client may take of Skyport, and what it is told beyond. */
import { beforeAll, describe, expect, it } from 'vitest';
import { FakeSite } from '../support/fake-site.js';
import { scopeOfEachTest, scopeOfSuite } from '../support/scope.js';
import type { WireClient, WireMessage } from '../support/wire-client.js';

const scope = scopeOfEachTest();

/** The error that a connection got before it was closed. */
async function lastWord(client: WireClient): Promise<WireMessage | undefined> {
  await client.closed;
  return client.messages.at(-1);
}

describe('limits of a client', () => {
  const suite = scopeOfSuite();
  const MAX_FRAME = 128 * 1024;
  let site: FakeSite;

  beforeAll(async () => {
    site = await FakeSite.start(suite, {
      users: ['alice', 'bob', 'carol'],
      config: { limits: { max_frame: '128KiB', requests_per_client: 3, sessions_per_user: 2, handshake_timeout: '1s' } },
    });
  });

  it('a request beyond limits.requests_per_client is refused until another one has been answered', async () => {
    const gate = site.fake.gate('models.list');
    const client = await site.wire();
    const waiting = [1, 2, 3].map(() => client.call('models.list'));
    await gate.until(3);
    const refused = await client.call('models.list');
    expect(refused.error).toMatchObject({ code: -32062, data: { name: 'SKYPORT_TOO_MANY_REQUESTS', retryable: true } });
    gate.pass();
    await Promise.race(waiting);
    const another = client.call('models.list');
    await gate.until(4);
    gate.openUp();
    for (const answer of await Promise.all([...waiting, another])) expect(answer.error).toBeUndefined();
  });

  it('the requests of one client leave those of another user alone', async () => {
    const gate = site.fake.gate('models.list');
    const [busy, other] = [await site.wire('alice'), await site.wire('bob')];
    const waiting = [1, 2, 3].map(() => busy.call('models.list'));
    await gate.until(3);
    expect((await other.call('commands.list')).error).toBeUndefined();
    gate.openUp();
    await Promise.all(waiting);
  });

  it('a user has limits.sessions_per_user sessions, over all of his clients, until one is deleted', async () => {
    const [one, two, other] = [await site.wire('bob'), await site.wire('bob'), await site.wire('carol')];
    await one.result('session.create', { sessionId: 'first' });
    await two.result('session.create', { sessionId: 'second' });
    const third = await one.call('session.create', { sessionId: 'third' });
    expect(third.error).toMatchObject({ code: -32061, data: { name: 'SKYPORT_TOO_MANY_SESSIONS' } });
    expect((await one.call('session.create', {})).error?.code).toBe(-32061);
    await other.result('session.create', { sessionId: 'of-another-user' });
    await two.result('session.create', { sessionId: 'first' });
    await one.result('session.delete', { sessionId: 'first' });
    await one.result('session.create', { sessionId: 'third' });
    expect(site.fake.requests.filter(({ method, params }) => method === 'session.create' && params.sessionId === 'third')).toHaveLength(1);
  });

  it('a client that says nothing is told so after limits.handshake_timeout, and cut; one that logged in stays', async () => {
    const [silent, known] = [await site.stranger(), await site.wire()];
    expect(await lastWord(silent)).toMatchObject({ id: null, error: { code: -32050, data: { name: 'SKYPORT_HANDSHAKE_TIMEOUT' } } });
    expect((await known.call('ping')).error).toBeUndefined();
  });

  it('half a header does not keep a connection open beyond limits.handshake_timeout', async () => {
    const client = await site.stranger();
    client.sendBytes('Content-Length: 10');
    expect((await lastWord(client))?.error).toMatchObject({ data: { name: 'SKYPORT_HANDSHAKE_TIMEOUT' } });
  });

  it('a frame of limits.max_frame bytes passes', async () => {
    const client = await site.wire();
    const shell = JSON.stringify({ jsonrpc: '2.0', id: 'full', method: 'ping', params: { message: '' } });
    client.sendText(shell.replace('""', `"${'x'.repeat(MAX_FRAME - shell.length)}"`));
    const answer = await client.until((message) => message.id === 'full');
    expect((answer.result as { message: string }).message).toHaveLength('pong: '.length + MAX_FRAME - shell.length);
  });

  it('a frame that promises one byte more is refused by its header, before its body has come', async () => {
    const client = await site.wire();
    client.sendBytes(`Content-Length: ${MAX_FRAME + 1}\r\n\r\n`);
    expect(await lastWord(client)).toMatchObject({ id: null, error: { code: -32600, data: { name: 'SKYPORT_FRAME_TOO_LARGE' } } });
  });

  it('a client that has not logged in may send no more than 64 KiB in a frame', async () => {
    const client = await site.stranger();
    client.sendBytes(`Content-Length: ${64 * 1024 + 1}\r\n\r\n`);
    expect((await lastWord(client))?.error).toMatchObject({ data: { name: 'SKYPORT_FRAME_TOO_LARGE' } });
  });

  it.each([
    ['larger than 8 KiB', `X-Long: ${'x'.repeat(9_000)}`],
    ['whose length is not strict decimal digits', 'Content-Length: +5\r\n\r\nhello'],
    ['without a length', 'Content-Type: application/json\r\n\r\n{}'],
    ['with two lengths', 'Content-Length: 5\r\nContent-Length: 6\r\n\r\n'],
  ])('a header %s is answered and the connection closed', async (_name, header) => {
    const client = await site.wire();
    client.sendBytes(header);
    expect(await lastWord(client)).toMatchObject({ id: null, error: { code: -32600, data: { name: 'SKYPORT_FRAME_INVALID' } } });
  });
});

it('a client beyond limits.clients is told so at its first request, whatever that is, and cut', async () => {
  const site = await FakeSite.start(scope, { config: { limits: { clients: 2 } } });
  const [first] = [await site.wire(), await site.wire()];
  for (const method of ['connect', 'ping', 'session.create']) {
    const third = await site.stranger();
    const answer = await third.call(method, {}, `first-${method}`);
    expect(answer.error).toMatchObject({ code: -32060, data: { name: 'SKYPORT_TOO_MANY_CLIENTS', retryable: true } });
    await third.closed;
  }
  expect((await first.call('ping')).error).toBeUndefined();
  await first.stop();
  await site.until(({ clients }) => clients.connected === 1);
  expect((await (await site.wire()).call('ping')).error).toBeUndefined();
});
