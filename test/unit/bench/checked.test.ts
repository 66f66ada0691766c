/** A fast wrong proxy fails the bench: what the clients of the load find behind proxies that are wrong. */
import { expect, test } from 'vitest';
import { Backend } from '../../../bench/load/backend.js';
import { Crowd, type Outcome } from '../../../bench/load/crowd.js';
import { MESSAGE_OF_300 } from '../../../bench/load/frames.js';
import { now } from '../../../bench/load/orders.js';
import { stream } from '../../../bench/load/streams.js';
import { WrongProxy, type Wrong } from './wrong-proxy.js';

const CLIENTS = 2;
const EVENTS = 50;

/** One session with its client's requests, or its stream; the other client only has a session. */
async function through(wrong: Wrong, isStreamed: (text: string) => boolean, work: (crowd: Crowd, backend: Backend) => Promise<Outcome>): Promise<Outcome> {
  const backend = new Backend({});
  const proxy = await WrongProxy.start(await backend.listen(), wrong, isStreamed);
  const crowd = new Crowd();
  try {
    await crowd.open({ host: '127.0.0.1', port: proxy.port, clients: CLIENTS, sessions: CLIENTS, run: 'abcdef01' });
    return await work(crowd, backend);
  } finally {
    await crowd.close();
    proxy.stop();
    backend.close();
  }
}

function streamed(wrong: Wrong): Promise<Outcome> {
  return through(wrong, (text) => text.includes('message_delta'), async (crowd, backend) => {
    crowd.expect({ bytes: MESSAGE_OF_300 });
    const start = now();
    const { sent } = await stream(backend, { first: 0, count: 1, seconds: 0.05, bytes: MESSAGE_OF_300, rate: EVENTS * 20, start });
    return crowd.received({ sent, start, patience: 300 });
  });
}

function answered(wrong: Wrong): Promise<Outcome> {
  return through(wrong, (text) => text.includes('"processing"'), (crowd) => crowd.askPaced({ rate: 1000, seconds: 0.05, start: now(), patience: 300 }));
}

test('a stream through a proxy that is right has no mistakes', async () => {
  expect(await streamed('nothing')).toMatchObject({ messages: EVENTS, wrong: [] });
});

test('events that are dropped are counted as lost', async () => {
  expect((await streamed('drops')).wrong).toEqual(['5 lost']);
});

test('events that come twice are counted as repeated', async () => {
  expect((await streamed('repeats')).wrong).toEqual(['5 repeated']);
});

test('events that come after later ones are counted as reordered', async () => {
  // The last one is held back for ever.
  expect((await streamed('reorders')).wrong).toEqual(['1 lost', '4 reordered']);
});

test('events that come to somebody else are counted as misrouted, and miss at their client', async () => {
  expect((await streamed('misroutes')).wrong).toEqual(['5 lost', '5 misrouted']);
});

test('events that cannot be read are counted as strange', async () => {
  expect((await streamed('garbles')).wrong).toEqual(['5 lost', '5 strange']);
});

test('requests through a proxy that is right are all answered', async () => {
  expect(await answered('nothing')).toMatchObject({ messages: EVENTS, wrong: [] });
});

test('answers that are dropped are counted as unanswered', async () => {
  expect((await answered('drops')).wrong).toEqual(['5 unanswered']);
});

test('answers that come twice are counted as strange', async () => {
  expect((await answered('repeats')).wrong).toEqual(['5 strange']);
});

test('answers that come to somebody else are found at both clients', async () => {
  const { wrong } = await answered('misroutes');
  expect(wrong.length).toBeGreaterThan(0);
});
