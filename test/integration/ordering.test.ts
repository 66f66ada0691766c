/** The order of a session's writes, held against a fake server whose answers wait at a gate. */
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { FakeSite } from '../support/fake-site.js';
import { scopeOfEachTest, scopeOfSuite } from '../support/scope.js';
import type { WireClient, WireMessage } from '../support/wire-client.js';

const suite = scopeOfSuite();
const scope = scopeOfEachTest();
let site: FakeSite;
/** A session of its own for each test. */
let sessionId: string;
let tests = 0;

beforeAll(async () => {
  site = await FakeSite.start(suite, { config: { sessions: { linger: '0s' } } });
});

beforeEach(() => {
  sessionId = `session-${++tests}`;
});

async function attached(method: 'session.create' | 'session.resume' = 'session.create'): Promise<WireClient> {
  const client = scope.own(await site.wire());
  await client.result(method, { sessionId });
  return client;
}

/** A read that reaches the server behind everything that was sent before on this client's link. */
async function barrier(client: WireClient): Promise<void> {
  await client.result('session.metadata.activity', { sessionId });
}

function send(client: WireClient, prompt: string): Promise<WireMessage> {
  return client.call('session.send', { sessionId, prompt });
}

/** What the server has got of this session, in order: prompts of sends, names of the others. */
function arrived(...methods: string[]): unknown[] {
  return site.fake.requests
    .filter((request) => request.params.sessionId === sessionId && methods.includes(request.method))
    .map((request) => (request.method === 'session.send' ? request.params.prompt : request.method));
}

it('five pipelined sends reach the server one at a time, in the order they came', async () => {
  const gate = site.fake.gate('session.send');
  scope.after(() => gate.openUp());
  const client = await attached();
  const prompts = ['one', 'two', 'three', 'four', 'five'];
  const answers = prompts.map((prompt) => send(client, prompt));
  for (let count = 1; count <= prompts.length; count++) {
    await gate.until(count);
    await barrier(client);
    expect(arrived('session.send')).toEqual(prompts.slice(0, count));
    gate.pass();
  }
  for (const answer of await Promise.all(answers)) expect(answer.error).toBeUndefined();
  expect(site.fake.overlaps).toEqual([]);
});

it('the answers of pipelined sends come in the order of the sends', async () => {
  const client = await attached();
  await Promise.all(['a', 'b', 'c', 'd', 'e'].map((prompt, index) => client.call('session.send', { sessionId, prompt }, `send-${index}`)));
  const order = client.messages.map((message) => message.id).filter((id) => String(id).startsWith('send-'));
  expect(order).toEqual(['send-0', 'send-1', 'send-2', 'send-3', 'send-4']);
});

it('neither reads nor other sessions wait for a write', async () => {
  const gate = site.fake.gate('session.name.set');
  scope.after(() => gate.openUp());
  const client = await attached();
  const other = `${sessionId}-other`;
  await client.result('session.create', { sessionId: other });
  const waiting = [1, 2].map(() => client.call('session.name.set', { sessionId, name: 'n' }));
  await gate.until(1);
  await client.result('session.name.get', { sessionId });
  await client.result('session.send', { sessionId: other, prompt: 'not held up' });
  expect(arrived('session.name.set')).toHaveLength(1);
  gate.openUp();
  await Promise.all(waiting);
});

it('a read does not overtake the create of its session', async () => {
  const gate = site.fake.gate('session.create');
  const client = scope.own(await site.wire());
  const created = client.call('session.create', { sessionId });
  const read = client.call('session.name.get', { sessionId });
  await gate.until(1);
  await client.call('ping');
  expect(arrived('session.create', 'session.name.get')).toEqual(['session.create']);
  gate.openUp();
  expect((await created).error).toBeUndefined();
  expect((await read).error).toBeUndefined();
});

it('a long call waits its turn but holds no later write', async () => {
  const [send1, compact] = [site.fake.gate('session.send'), site.fake.gate('session.history.compact')];
  scope.after(() => (send1.openUp(), compact.openUp()));
  const client = await attached();
  const before = send(client, 'before');
  const long = client.call('session.history.compact', { sessionId });
  const after = client.call('session.name.set', { sessionId, name: 'after' });
  await send1.until(1);
  await barrier(client);
  expect(arrived('session.send', 'session.history.compact', 'session.name.set')).toEqual(['before']);
  send1.openUp();
  expect((await before).error).toBeUndefined();
  expect((await after).error).toBeUndefined();
  expect(arrived('session.send', 'session.history.compact', 'session.name.set')).toEqual(['before', 'session.history.compact', 'session.name.set']);
  compact.openUp();
  expect((await long).error).toBeUndefined();
});

it('an abort overtakes no send that came before it', async () => {
  const gate = site.fake.gate('session.send');
  scope.after(() => gate.openUp());
  const client = await attached();
  const sends = [send(client, 'one'), send(client, 'two')];
  const abort = client.call('session.abort', { sessionId });
  await gate.until(1);
  await barrier(client);
  expect(arrived('session.send', 'session.abort')).toEqual(['one']);
  gate.pass();
  await gate.until(2);
  await barrier(client);
  expect(arrived('session.send', 'session.abort')).toEqual(['one', 'two']);
  gate.pass();
  expect((await abort).error).toBeUndefined();
  expect(arrived('session.send', 'session.abort')).toEqual(['one', 'two', 'session.abort']);
  await Promise.all(sends);
});

it('an abort is not stuck behind a long call, nor is what comes after it', async () => {
  const gate = site.fake.gate('session.commands.invoke');
  scope.after(() => gate.openUp());
  const client = await attached();
  const long = client.call('session.commands.invoke', { sessionId, name: 'deploy' });
  await gate.until(1);
  expect((await client.call('session.abort', { sessionId })).error).toBeUndefined();
  expect((await client.call('session.name.set', { sessionId, name: 'n' })).error).toBeUndefined();
  gate.openUp();
  expect((await long).error).toBeUndefined();
});

it('a send that waits for its turn to end does not hold the abort that ends it', async () => {
  const gate = site.fake.gate('session.send');
  scope.after(() => gate.openUp());
  const client = await attached();
  const waiting = client.call('session.send', { sessionId, prompt: 'long', wait: true });
  await gate.until(1);
  expect((await client.call('session.abort', { sessionId })).error).toBeUndefined();
  gate.openUp();
  expect((await waiting).error).toBeUndefined();
});

it('a queued request that is cancelled is answered so and never sent; one that was sent goes on', async () => {
  const gate = site.fake.gate('session.send');
  scope.after(() => gate.openUp());
  const client = await attached();
  const [sent, queued, later] = ['sent', 'queued', 'later'].map((prompt) => client.call('session.send', { sessionId, prompt }, prompt));
  await gate.until(1);
  client.notify('$/cancelRequest', { id: 'sent' });
  client.notify('$/cancelRequest', { id: 'queued' });
  client.notify('$/cancelRequest', { id: 'nobody' });
  expect((await queued)!.error).toMatchObject({ code: -32800, data: { name: 'SKYPORT_REQUEST_CANCELLED' } });
  gate.openUp();
  expect((await sent)!.error).toBeUndefined();
  expect((await later)!.error).toBeUndefined();
  expect(arrived('session.send')).toEqual(['sent', 'later']);
});

it('the queued writes of a client that dies are never sent, and hold nobody', async () => {
  const gate = site.fake.gate('session.send');
  scope.after(() => gate.openUp());
  const [dying, staying] = [await attached(), await attached('session.resume')];
  for (const prompt of ['sent', 'queued', 'queued too']) dying.call('session.send', { sessionId, prompt }).catch(() => undefined);
  await gate.until(1);
  await dying.call('ping');
  const others = send(staying, 'of the other');
  await staying.call('ping');
  await dying.stop();
  await site.until(({ clients }) => clients.connected === 1);
  gate.openUp();
  expect((await others).error).toBeUndefined();
  expect(arrived('session.send')).toEqual(['sent', 'of the other']);
});

it('a send that was passed on holds the line until it is answered, though its client is dead', async () => {
  const gate = site.fake.gate('session.send');
  scope.after(() => gate.openUp());
  const [dying, staying] = [await attached(), await attached('session.resume')];
  dying.call('session.send', { sessionId, prompt: 'of the dead' }).catch(() => undefined);
  await gate.until(1);
  await dying.stop();
  await site.until(({ clients }) => clients.connected === 1);
  const others = send(staying, 'of the living');
  await barrier(staying);
  expect(arrived('session.send')).toEqual(['of the dead']);
  gate.openUp();
  expect((await others).error).toBeUndefined();
});

it('the writes of two clients of one session go out in the order in which they came', async () => {
  const gate = site.fake.gate('session.name.set');
  scope.after(() => gate.openUp());
  const clients = [await attached(), await attached('session.resume')];
  const order = [0, 1, 1, 0, 1, 0];
  const name = (index: number) => `${index} of client ${order[index]}`;
  const answers: Promise<WireMessage>[] = [];
  for (const [index, who] of order.entries()) {
    answers.push(clients[who]!.call('session.name.set', { sessionId, name: name(index) }));
    await clients[who]!.call('ping');
  }
  for (let count = 1; count <= order.length; count++) {
    await gate.until(count);
    expect(gate.arrived.map(({ params }) => params.name)).toEqual(order.slice(0, count).map((_, index) => name(index)));
    gate.pass();
  }
  await Promise.all(answers);
  const writes = site.fake.requests.filter((request) => request.params.sessionId === sessionId && request.method === 'session.name.set');
  expect(new Set(writes.map(({ connection }) => connection)).size).toBe(2);
});

it('the sends of two clients of one session go out in the order in which they came, one client\'s after the other\'s turn', async () => {
  const gate = site.fake.gate('session.send');
  scope.after(() => gate.openUp());
  const clients = [await attached(), await attached('session.resume')];
  const answers = [send(clients[0]!, 'first'), send(clients[0]!, 'still the first')];
  await gate.until(1);
  answers.push(send(clients[1]!, 'second'));
  await clients[1]!.untilEvent(sessionId, 'session.custom_notification');
  gate.openUp();
  expect((await Promise.all(answers)).map(({ error }) => error)).toEqual([undefined, undefined, undefined]);
  expect(arrived('session.send')).toEqual(['first', 'still the first', 'second']);
});

it('a send to a session that nobody is attached to leaves no turn open', async () => {
  const [first, second] = [await attached(), scope.own(await site.wire())];
  await send(first, 'used, so that it is kept');
  await first.result('session.detach', { sessionId });
  expect((await send(second, 'from one who is not attached')).error).toBeUndefined();
  const { sessions, backends } = await site.status();
  expect([sessions.turnsOpen, backends[0]!.turnsOpen]).toEqual([0, 0]);
});
