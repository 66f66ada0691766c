/** Backpressure both ways: who does not read stops his own stream, bounded in bytes, and nobody else's. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { FakeSite } from '../support/fake-site.js';
import { MemoryGauge } from '../support/memory-gauge.js';
import { scopeOfEachTest } from '../support/scope.js';
import type { WireClient, WireMessage } from '../support/wire-client.js';

const MIB = 1024 * 1024;
const scope = scopeOfEachTest();

/** The most memory that a process has had, in bytes. */
function peak(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}

/** All sessions on one link, and a server that may be slow without being taken for dead. */
const ONE_LINK = { links: { base: 1 }, health: { timeout: '1m', fall: 100 } };

async function attached(site: FakeSite, sessionId: string): Promise<WireClient> {
  const client = await site.wire();
  await client.result('session.create', { sessionId });
  return client;
}

function sequences(client: WireClient, sessionId: string): unknown[] {
  return client.events(sessionId).map(({ data }) => data.sequence);
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

/** Waits for the event with which a batch ends. */
async function untilBatch(client: WireClient, batch: number): Promise<void> {
  await client.until(({ params }) => (params?.event as { data?: { batch?: number } } | undefined)?.data?.batch === batch);
}

it('a client that stops reading is cut beyond limits.client_buffer and can read why, while others on its link go on', async () => {
  const site = await FakeSite.start(scope, { config: { ...ONE_LINK, limits: { max_frame: '1MiB', client_buffer: '4MiB' } } });
  const [slow, quick] = [await attached(site, 'slow'), await attached(site, 'quick')];
  expect([site.fake.attachedTo('slow'), site.fake.attachedTo('quick')]).toEqual([[expect.any(Number)], site.fake.attachedTo('slow')]);
  for (const [client, sessionId] of [[slow, 'slow'], [quick, 'quick']] as const) {
    await client.result('session.send', { sessionId, prompt: 'warm' });
    await client.untilEvent(sessionId, 'session.idle');
  }
  slow.stopReading();
  const before = peak(site.skyport.pid);

  const cut = site.skyport.logged((line) => line.event === 'client_closed' && line.reason === 'SKYPORT_CLIENT_TOO_SLOW');
  let batches = 0;
  while (site.fake.attachedTo('slow').length > 0) {
    await site.fake.emit('slow', 500, 4096);
    await site.fake.emit('quick', 100, 400);
    site.fake.event('quick', 'session.info', { batch: batches });
    await untilBatch(quick, batches++);
  }
  await cut;
  slow.readOn();
  await slow.closed;

  expect(slow.messages.at(-1)).toMatchObject({ id: null, error: { code: -32063, data: { name: 'SKYPORT_CLIENT_TOO_SLOW', retryable: true } } });
  const got = sequences(slow, 'slow').filter((sequence) => sequence !== undefined);
  expect(got.length).toBeGreaterThan(0);
  expect(got).toEqual(upTo(got.length).map((index) => index % 500));
  const others = sequences(quick, 'quick').filter((sequence) => sequence !== undefined);
  expect(others).toEqual(upTo(batches * 100).map((index) => index % 100));
  expect(peak(site.skyport.pid) - before).toBeLessThan(48 * MIB);
  expect((await quick.call('session.send', { sessionId: 'quick', prompt: 'still here' })).error).toBeUndefined();
  await (await site.wire()).result('session.resume', { sessionId: 'slow' });
});

it('a client that reads on before the bound is reached has missed nothing', async () => {
  const site = await FakeSite.start(scope, { config: ONE_LINK });
  const [slow, quick] = [await attached(site, 'slow'), await attached(site, 'quick')];
  slow.stopReading();
  await site.fake.emit('slow', 5_000, 4096);
  site.fake.event('quick', 'session.info', { batch: 0 });
  await untilBatch(quick, 0);
  expect(slow.events('slow')).toEqual([]);
  slow.readOn();
  site.fake.event('slow', 'session.info', { batch: 1 });
  await untilBatch(slow, 1);
  expect(sequences(slow, 'slow').filter((sequence) => sequence !== undefined)).toEqual(upTo(5_000));
});

it('what waits for a slow client costs about its own size, however thinly it was mixed with what went to others', async () => {
  const gauge = new MemoryGauge();
  const site = await FakeSite.start(scope, { config: ONE_LINK, environment: gauge.environment });
  const [slow, quick] = [await attached(site, 'slow'), await attached(site, 'quick')];
  slow.stopReading();
  const round = async (batch: number): Promise<void> => {
    for (let n = 0; n < 500; n++) {
      await site.fake.emit('slow', 1, 4096);
      await site.fake.emit('quick', 1, 32 * 1024);
    }
    site.fake.event('quick', 'session.info', { batch });
    await untilBatch(quick, batch);
  };
  // The first megabytes wait in the kernel.
  for (let batch = 0; batch < 3; batch++) await round(batch);
  const before = await gauge.read();
  for (let batch = 3; batch < 6; batch++) await round(batch);
  const after = await gauge.read();
  const waiting = 3 * 500 * 4096;
  expect(after.external + after.heapUsed - before.external - before.heapUsed).toBeLessThan(3 * waiting);
});

it('a server that stops reading makes those who write to it pause, and nothing is lost when it reads on', async () => {
  const site = await FakeSite.start(scope, { servers: 2, config: { ...ONE_LINK, routing: { policy: 'round_robin' } } });
  await site.until(({ backends }) => backends.every(({ state }) => state === 'up'));
  const [stuck, working] = site.fakes as [typeof site.fake, typeof site.fake];
  const writers = [await attached(site, 'one'), await attached(site, 'other'), await attached(site, 'two')];
  const other = writers.splice(1, 1)[0]!;
  expect([stuck.attachedTo('one'), stuck.attachedTo('two'), working.attachedTo('other')].map((links) => links.length)).toEqual([1, 1, 1]);
  const before = peak(site.skyport.pid);

  stuck.stopReading();
  const text = 'x'.repeat(256 * 1024);
  const answers: Promise<WireMessage>[] = [];
  for (let n = 0; n < 200; n++) {
    for (const [index, writer] of writers.entries()) {
      answers.push(writer.call('session.log', { sessionId: ['one', 'two'][index], message: `${n} ${text}` }));
    }
  }
  const sent = answers.length * text.length;
  const { bytes } = await settled(site);
  expect(bytes.clientIn).toBeLessThan(sent / 4);
  expect((await other.call('session.log', { sessionId: 'other', message: 'not held up' })).error).toBeUndefined();
  expect((await other.call('session.send', { sessionId: 'other', prompt: 'neither' })).error).toBeUndefined();
  expect(peak(site.skyport.pid) - before).toBeLessThan(sent / 2);

  stuck.readOn();
  for (const answer of await Promise.all(answers)) expect(answer.error).toBeUndefined();
  for (const sessionId of ['one', 'two']) {
    const logged = stuck.requests.filter(({ method, params }) => method === 'session.log' && params.sessionId === sessionId);
    expect(logged.map(({ params }) => params.message)).toEqual(upTo(200).map((n) => `${n} ${text}`));
  }
}, 60_000);

/** Waits until Skyport has stopped taking anything in from clients. */
async function settled(site: FakeSite): Promise<{ bytes: { clientIn: number } }> {
  for (let last = -1; ; ) {
    const status = await site.status();
    if (status.bytes.clientIn === last && last > 2 * MIB) return status;
    last = status.bytes.clientIn;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}
