/** Two thousand clients on one server: nobody is dropped, nothing is lost, and an idle one costs little. */
import { expect, it } from 'vitest';
import { FakeServerChild } from '../support/fake-server-child.js';
import { FakeSite } from '../support/fake-site.js';
import { MemoryGauge } from '../support/memory-gauge.js';
import { scopeOfEachTest } from '../support/scope.js';
import type { WireClient } from '../support/wire-client.js';

const CLIENTS = 2_000;
const USERS = ['alice', 'bob', 'carol', 'dave'];
/** So many dial at once. */
const DIALLING = 50;

const scope = scopeOfEachTest();

/** Does something for each number below `count`, a few at a time. @returns the results, by number */
async function each<T>(count: number, step: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  await Promise.all(Array.from({ length: DIALLING }, async () => {
    for (let index = next++; index < count; index = next++) results[index] = await step(index);
  }));
  return results;
}

function connect(site: FakeSite, index: number): Promise<WireClient> {
  return site.wire(USERS[index % USERS.length]);
}

it(`${CLIENTS} clients with a running stream each get every event once, in order, and nobody else's`, async () => {
  const server = scope.own(await FakeServerChild.start({ token: 'secret' }));
  const site = await FakeSite.start(scope, {
    servers: 0,
    users: USERS,
    config: { backends: [{ name: 'cli-1', url: `tcp://${server.address}`, token: 'secret' }], limits: { sessions_per_user: CLIENTS } },
  });
  const EVENTS = 60;
  const clients = await each(CLIENTS, async (index) => {
    const client = await connect(site, index);
    await client.result('session.create', { sessionId: `session-${index}` });
    return client;
  });
  const prompt = JSON.stringify({ events: EVENTS, bytes: 300, rate: 5 });
  await Promise.all(clients.map((client, index) => client.result('session.send', { sessionId: `session-${index}`, prompt })));
  const { sessions, backends, clients: counted } = await site.status();
  expect([counted.authenticated, sessions.turnsOpen]).toEqual([CLIENTS, CLIENTS]);
  expect(backends[0]!.links).toBeLessThanOrEqual(32);

  await Promise.all(clients.map((client, index) => client.untilEvent(`session-${index}`, 'session.idle')));
  const sequence = Array.from({ length: EVENTS }, (_, index) => index);
  const expected = ['user.message', ...sequence, 'session.idle'];
  for (const [index, client] of clients.entries()) {
    const events = client.events(`session-${index}`);
    expect(events.map(({ type, data }) => data.sequence ?? type)).toEqual(expected);
    expect(client.notifications()).toHaveLength(events.length);
  }
  // An answer proves that the connection is still there.
  await Promise.all(clients.map((client) => client.result('ping')));
  const stats = await server.stats();
  expect([stats.turnedAway, stats.overlaps]).toEqual([0, []]);
}, 60_000);

it(`an idle client that is logged in costs Skyport no more than 30 KB, with ${CLIENTS} of them`, async () => {
  const gauge = new MemoryGauge();
  const site = await FakeSite.start(scope, { users: USERS, environment: gauge.environment });
  // What the program loads and compiles with its first clients is no client's cost.
  for (const client of await each(DIALLING, (index) => connect(site, index))) await client.stop();
  await site.until(({ clients }) => clients.connected === 0);
  const before = await gauge.read();
  await each(CLIENTS, (index) => connect(site, index));
  const after = await gauge.read();
  expect((await site.status()).clients.authenticated).toBe(CLIENTS);
  expect((after.resident - before.resident) / CLIENTS).toBeLessThanOrEqual(30 * 1024);
  // The kernel may count what was freed and not given back: what is in use must fit, too.
  expect((after.heapUsed + after.external - before.heapUsed - before.external) / CLIENTS).toBeLessThanOrEqual(30 * 1024);
}, 60_000);
