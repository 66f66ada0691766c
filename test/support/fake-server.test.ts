import { expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import type { AddressInfo } from 'node:net';
import { FakeServer } from './fake-server.js';
import { FakeServerChild } from './fake-server-child.js';
import { scopeOfEachTest } from './scope.js';
import { WireClient } from './wire-client.js';

const scope = scopeOfEachTest();

async function attached(fake: { address: string }, sessionId = 's1', token?: string): Promise<WireClient> {
  const client = scope.own(await WireClient.tcp(fake.address));
  await client.login(token);
  await client.result('session.create', { sessionId });
  return client;
}

it('the fake server keeps the handshake of a real one', async () => {
  const fake = scope.own(await FakeServer.start({ token: 'secret', version: '9.9.9' }));
  const client = scope.own(await WireClient.tcp(fake.address));
  expect((await client.call('ping')).error?.code).toBe(-32001);
  expect((await client.login('wrong')).error?.code).toBe(-32002);
  expect((await client.login('secret')).result).toMatchObject({ ok: true, version: '9.9.9' });
  expect((await client.call('ping')).error).toBeUndefined();
});

it('the fake server refuses a token that it does not want', async () => {
  const fake = scope.own(await FakeServer.start());
  const client = scope.own(await WireClient.tcp(fake.address));
  expect((await client.login('unwanted')).error?.code).toBe(-32003);
});

it('the fake server accepts and closes the connection after the last', async () => {
  const fake = scope.own(await FakeServer.start({ maxConnections: 2 }));
  const clients = [await WireClient.tcp(fake.address), await WireClient.tcp(fake.address)];
  for (const client of clients) await scope.own(client).call('ping');
  const third = await WireClient.tcp(fake.address);
  await third.closed;
  expect([fake.open, fake.turnedAway]).toEqual([2, 1]);
});

it('the fake server sends events in order and of the size that is wanted, to the attached only', async () => {
  const fake = scope.own(await FakeServer.start());
  const [client, other] = [await attached(fake), await attached(fake, 's2')];
  await fake.emit('s1', 100, 500);
  await client.until((message) => (message.params?.event as { data?: { sequence?: number } })?.data?.sequence === 99);
  expect(client.events('s1').map((event) => event.data.sequence)).toEqual(Array.from({ length: 100 }, (_, index) => index));
  expect(client.frames.at(-1)).toHaveLength(500);
  expect(other.events('s1')).toEqual([]);
});

it('the fake server runs the turn that a prompt describes', async () => {
  const fake = scope.own(await FakeServer.start());
  const client = await attached(fake);
  await client.result('session.send', { sessionId: 's1', prompt: '{"events":20,"bytes":400,"rate":2000}' });
  await client.untilEvent('s1', 'session.idle');
  expect(client.events('s1').filter((event) => event.type === 'assistant.message_delta')).toHaveLength(20);
});

it('the fake server notices writes of one session that overlap', async () => {
  const fake = scope.own(await FakeServer.start());
  fake.delay('session.send', 20);
  const client = await attached(fake);
  await Promise.all([client.call('session.send', { sessionId: 's1', prompt: 'a' }), client.call('session.send', { sessionId: 's1', prompt: 'b' })]);
  expect(fake.overlaps).toEqual(['s1']);
  await client.call('session.send', { sessionId: 's1', prompt: 'c' });
  expect(fake.overlaps).toEqual(['s1']);
});

it('the fake server records each request with its connection and takes answers to its own', async () => {
  const fake = scope.own(await FakeServer.start());
  const client = await attached(fake);
  client.onRequest = (request) => client.answer(request, { yes: true });
  fake.ask('s1', 'userInput.request', { question: 'well?' });
  await client.until((message) => message.method === 'userInput.request');
  await client.call('ping');
  expect(fake.requests.map((request) => [request.connection, request.method])).toEqual([[1, 'connect'], [1, 'session.create'], [1, 'ping']]);
  expect(fake.answers.map((answer) => answer.text)).toEqual(['{"jsonrpc":"2.0","id":1,"result":{"yes":true}}']);
});

it('the fake server can hang and recover', async () => {
  const fake = scope.own(await FakeServer.start());
  const client = await attached(fake);
  fake.hang();
  const late = client.call('ping');
  await fake.until((request) => request.method === 'ping');
  expect(client.messages).toHaveLength(2);
  fake.recover();
  expect((await late).error).toBeUndefined();
});

it('the fake server runs in a process of its own', async () => {
  const fake = scope.own(await FakeServerChild.start({ token: 'secret' }));
  const client = await attached(fake, 's1', 'secret');
  await client.result('session.send', { sessionId: 's1', prompt: '{"events":5}' });
  await client.untilEvent('s1', 'session.idle');
  expect(await fake.stats()).toEqual({ open: 1, turnedAway: 0, overlaps: [] });
});

it('the wire client speaks WebSocket and says why it was closed', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await new Promise((resolve) => server.once('listening', resolve));
  scope.after(() => new Promise((resolve) => server.close(resolve)));
  server.on('connection', (socket) => socket.on('message', (data) => {
    const { id } = JSON.parse(String(data)) as { id: number };
    socket.send(JSON.stringify({ jsonrpc: '2.0', id, result: 'pong' }));
    socket.close(4001, 'enough');
  }));
  const client = await WireClient.webSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  expect(await client.result('ping')).toBe('pong');
  expect(await client.closed).toBe('4001 enough');
  await expect(client.call('ping')).rejects.toThrow(/4001 enough/);
});
