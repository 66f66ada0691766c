/**
 * 100,000 hostile frames against the real Skyport, while somebody else works on it: nothing crashes,
 * no session is crossed in either direction, every request is answered once, no memory is left behind.
 */
import { beforeAll, expect, it, onTestFailed } from 'vitest';
import { METHODS } from '../../proxy/protocol/catalogue.js';
import type { Snapshot } from '../../proxy/observe/snapshot.js';
import { Attacker } from '../support/attacker.js';
import { FakeSite } from '../support/fake-site.js';
import type { FakeServer } from '../support/fake-server.js';
import { frame } from '../support/framing.js';
import { HostileFrames, paramsNaming, SITES } from '../support/hostile-frames.js';
import { MemoryGauge } from '../support/memory-gauge.js';
import { scopeOfSuite } from '../support/scope.js';
import { echo, SECRET, Victim } from '../support/victim.js';
import { randomFrom } from './wire-messages.js';

const FRAMES = 100_000;
const BATCH = 200;
/** Connections that attack at once. */
const ATTACKERS = 12;
/** Of so many connections one never logs in, one speaks WebSocket, and one is gone before it is answered. */
const STRANGERS = 10;
const WEB_SOCKETS = 7;
const DESERTERS = 4;
/** The same frames in every run, so that a failure is news; `FUZZ_SEED=$RANDOM` looks for others. */
const SEED = Number(process.env.FUZZ_SEED ?? 20_261_122);
const MIB = 1024 * 1024;

/** Alice's sessions: the attacker has learned the id of the first and knows nothing of the second. */
const KNOWN = 'alice-known';
const UNKNOWN = 'alice-unknown-5d0c3c2e';
const OWN = Array.from({ length: 8 }, (_, index) => `mallory-${index}`);

const suite = scopeOfSuite();
const gauge = new MemoryGauge();
let site: FakeSite;

beforeAll(async () => {
  site = await FakeSite.start(suite, {
    servers: 2,
    users: ['alice', 'mallory'],
    environment: gauge.environment,
    config: { limits: { max_frame: '128KiB', requests_per_client: 64 }, sessions: { linger: '300ms', writers: 'free' }, routing: { policy: 'round_robin' }, log: { level: 'info' } },
  });
  for (const fake of site.fakes) {
    echo(fake);
    answerWithEverybodys(fake);
    // Slow enough that clients come and go while their sessions are made and taken down.
    for (const [method, milliseconds] of Object.entries({ create: 2, resume: 4, detach: 5, delete: 3, abort: 1 })) fake.delay(`session.${method}`, milliseconds);
  }
});

/** Servers know no owners: what fans out is answered with alice's sessions, wherever a result can name one. */
function answerWithEverybodys(fake: FakeServer): void {
  for (const { name, resultIds } of METHODS.filter(({ route }) => route === 'fanout')) {
    const result: Record<string, unknown> = { note: name };
    const list: unknown[] = [];
    for (const path of resultIds) {
      const [head = '', field] = path.split('.');
      const [key, form] = [head.replace(/[[{].*/, ''), head.replace(/^[^[{]*/, '')];
      const entry = (id: string): unknown => (field === undefined ? id : { [field]: id, summary: id === KNOWN || id === UNKNOWN ? SECRET : '' });
      const all = [KNOWN, UNKNOWN, OWN[0]!];
      if (key === '') list.push(...all.map(entry));
      else result[key] = form === '[]' ? all.map(entry) : form === '{}' ? Object.fromEntries(all.map((id) => [id, 1])) : UNKNOWN;
    }
    fake.answer(name, () => ({ result: list.length > 0 ? list : result }));
  }
}

/** A frame that ends the connection, and what must come before the end. */
const ENDINGS = [
  { bytes: 'Content-Length: 99999999\r\n\r\n', error: 'SKYPORT_FRAME_TOO_LARGE' },
  { bytes: 'Content-Length: 131073\r\n\r\n', error: 'SKYPORT_FRAME_TOO_LARGE' },
  { bytes: 'Content-Length: 0x10\r\n\r\n', error: 'SKYPORT_FRAME_INVALID' },
  { bytes: 'Content-Length: -1\r\n\r\n', error: 'SKYPORT_FRAME_INVALID' },
  { bytes: 'Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}', error: 'SKYPORT_FRAME_INVALID' },
  { bytes: 'GET / HTTP/1.1\r\nHost: skyport\r\n\r\n', error: 'SKYPORT_FRAME_INVALID' },
  { bytes: `X: ${'x'.repeat(9_000)}`, error: 'SKYPORT_FRAME_INVALID' },
  { bytes: '\u0000\u0001\u0002\n', error: 'SKYPORT_FRAME_INVALID' },
  // No more than half a frame, and the connection is gone.
  { bytes: 'Content-Length: 90\r\n\r\n{"jsonrpc":"2.0","id":1,"method":"session.delete","params":{"sessionId":"', error: undefined },
  { bytes: 'Content-Le', error: undefined },
  { bytes: '', error: undefined },
];

/** One connection's attack, from the first frame to its end. @returns what was wrong */
async function attack(number: number): Promise<string[]> {
  const random = randomFrom(SEED + number);
  const frames = new HostileFrames(random, { own: OWN, foreign: [KNOWN, KNOWN, `mallory-${100 + number}`] });
  const webSocket = number % WEB_SOCKETS === 3;
  const attacker = await Attacker.dial({ address: webSocket ? `${site.skyport.http.replace('http', 'ws')}/rpc` : site.skyport.address, token: 'token-of-mallory' });
  let bodies = [...[0, 1, 2].map((n) => creation(n, frames.pick(OWN))), ...Array.from({ length: BATCH - 3 }, () => frames.next())];
  if (webSocket) bodies = bodies.map((body) => Buffer.from(body.toString('utf8')));
  await attacker.send(bodies, () => 1 + frames.below(random() < 0.1 ? 40 : 16_000));
  if (number % DESERTERS === 1) {
    attacker.drop();
    return leaks(attacker.received).map((what) => `connection ${number}: ${what}`);
  }
  // It comes last, so when it is answered all that is answered at once has been.
  await attacker.send([Buffer.from('{"jsonrpc":"2.0","id":"the last","method":"ping"}')], () => Infinity);
  await attacker.answered();
  const wrong = attacker.mistakes();
  const { bytes, error } = frames.pick(ENDINGS);
  if (attacker.framed && error !== undefined) {
    attacker.sendRaw(Buffer.from(bytes, 'latin1'));
    await attacker.cut();
    if (!attacker.received.at(-1)!.includes(error)) wrong.push(`${bytes.slice(0, 60)} was answered ${attacker.received.at(-1)}`);
  } else {
    if (attacker.framed) attacker.sendRaw(Buffer.from(bytes));
    else attacker.sendRaw(Buffer.from([0xff, 0xfe]));
    attacker.drop();
  }
  return [...wrong, ...leaks(attacker.received)].map((what) => `connection ${number}: ${what}`);
}

/** Sessions of the attacker's own make the rest go further: several of his connections share each. */
function creation(n: number, sessionId: string): Buffer {
  return Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: `creation ${n}`, method: 'session.create', params: { sessionId } }));
}

/** The attack of somebody who has no token: frames, and gone. */
async function attackAsStranger(number: number): Promise<string[]> {
  const random = randomFrom(SEED + number);
  const frames = new HostileFrames(random, { own: OWN, foreign: [KNOWN] });
  const attacker = await Attacker.dial({ address: site.skyport.address });
  for (let n = 0; n < BATCH; n++) attacker.sendRaw(frame(frames.next()));
  if (random() < 0.5) attacker.sendRaw(Buffer.from(frames.pick(ENDINGS).bytes, 'latin1'));
  await new Promise((resolve) => setTimeout(resolve, 50 + frames.below(400)));
  attacker.drop();
  const served = attacker.received.filter((text) => !text.includes('"error":'));
  return [...served, ...leaks(attacker.received)].map((what) => `stranger ${number}: ${what}`);
}

/** How an answer may name the session that was asked for; an unknown one is named in the same way. */
const ECHOES = [
  /^"error":\{"code":-32603,"message":"Session not found for sessionId: (?:[^"\\]|\\.)*","data":\{"name":"SKYPORT_SESSION_NOT_OWNED","side":"client","retryable":false\}\}$/,
  /^"result":\{"success":false,"error":"Not running in TUI\+server mode - cannot set foreground session (?:[^"\\]|\\.)*"\}$/,
  /^"result":\[\{"sessionId":"(?:[^"\\]|\\.)*","status":"notFound"\}\]$/,
  /^"result":\{"sessions":\[\{"sessionId":"(?:[^"\\]|\\.)*","isDetached":false\}\]\}$/,
  /^"result":\{"freedBytes":\{"(?:[^"\\]|\\.)*":0\}\}$/,
];

/** Whether an id stands anywhere in a message as a whole: a mutated one like `alicealice-known` is another. */
function names(message: unknown, id: string): boolean {
  if (typeof message === 'string') return new RegExp(`(?<![A-Za-z0-9_-])${id}(?![A-Za-z0-9_-])`).test(message);
  if (typeof message !== 'object' || message === null) return false;
  return Object.entries(message).some(([key, value]) => names(key, id) || names(value, id));
}

/** Frames that tell of alice: anything but that the id which the attacker named was named by him. */
function leaks(received: readonly string[]): string[] {
  const echoes = (text: string): boolean => ECHOES.some((echo) => echo.test(text.replace(/^\{"jsonrpc":"2\.0","id":("(?:[^"\\]|\\.)*"|-?\d+|null)\s*,/, '').slice(0, -1)));
  return received
    .filter((text) => names(JSON.parse(text), UNKNOWN) || text.includes(SECRET) || (names(JSON.parse(text), KNOWN) && !echoes(text)))
    .map((text) => `tells of alice: ${text.slice(0, 300)}`);
}

it("somebody else's session is answered like one that does not exist, wherever in a call an id may stand", async () => {
  const [alice, mallory] = [await site.wire('alice'), await site.wire('mallory')];
  await alice.result('session.create', { sessionId: KNOWN, model: SECRET });
  await alice.result('session.log', { sessionId: KNOWN, message: SECRET });
  await mallory.result('session.create', { sessionId: OWN[0] });
  // A create of an id that nobody has makes the session.
  for (const { spec: { name, life }, path } of SITES.filter(({ spec: { life } }) => life !== 'create')) {
    const answers = await Promise.all([KNOWN, 'nobodys-own'].map(async (id, n) => {
      const token = `${name} ${path} ${life} ${n}`;
      mallory.sendText(`{"jsonrpc":"2.0","id":"${token}","method":"${name}","params":${paramsNaming(path, id, OWN[0]!)}}`);
      const { error, result } = await mallory.until((message) => message.id === token);
      return JSON.stringify({ name, path, error, result }).replaceAll(id, 'ID').replace(/"timestamp":"[^"]*"/, '');
    }));
    expect(answers[0]).toBe(answers[1]);
  }
  expect(site.fakes.flatMap(({ requests }) => requests).filter(({ text }) => text.includes(KNOWN)).map(({ method }) => method)).toEqual(['session.create', 'session.log']);
  await Promise.all([alice.result('session.delete', { sessionId: KNOWN }), mallory.result('session.delete', { sessionId: OWN[0] })]);
  await Promise.all([alice.stop(), mallory.stop()]);
  for (const { requests } of site.fakes) requests.length = 0;
});

it(`${FRAMES} hostile frames crash nothing, cross no session, leave no request unanswered and no memory taken`, async () => {
  onTestFailed(async () => {
    console.error(`FUZZ_SEED=${SEED}`);
    console.error(JSON.stringify(await site.status().catch(String)));
  });
  const { pid } = site.skyport;
  const clients = [await site.wire('alice'), await site.wire('alice')];
  for (const sessionId of [KNOWN, UNKNOWN]) {
    await clients[0]!.result('session.create', { sessionId, model: SECRET });
    await clients[1]!.result('session.resume', { sessionId, model: SECRET });
  }
  const alice = new Victim(site.fakes, clients, [KNOWN, UNKNOWN]);
  const connections = FRAMES / BATCH;
  const one = (number: number): Promise<string[]> => (number % STRANGERS === 0 ? attackAsStranger(number) : attack(number));

  const before = await (await Promise.all([one(1), one(2)]), gauge.read());
  alice.start();
  const wrong: string[] = [];
  let next = 0;
  await Promise.all(Array.from({ length: ATTACKERS }, async () => {
    while (next < connections && wrong.length < 5) {
      const number = next++;
      wrong.push(...(await one(number)));
      // The servers ask the attacker, too, and end his turns; what he makes of it is his own business.
      for (const fake of site.fakes) {
        fake.ask(OWN[number % OWN.length]!, 'userInput.request', { question: 'mallory?' });
        fake.event(OWN[number % OWN.length]!, 'session.idle', { aborted: number % 2 === 0 });
      }
    }
  }));
  await alice.rest();

  expect(wrong.slice(0, 5)).toEqual([]);
  expect(alice.mistakes).toEqual([]);
  // More than she could have made if one answered call in a hundred were never forgotten.
  expect(alice.calls).toBeGreaterThan(200);
  expect(intruders(alice)).toEqual([]);
  expect(site.skyport.pid).toBe(pid);
  expect(site.skyport.log.filter(({ event }) => event === 'bug')).toEqual([]);

  await site.until((status) => status.clients.connected === clients.length);
  for (const client of clients) await client.stop();
  await site.until(isEmpty);
  const after = await gauge.read();
  expect(after.heapUsed + after.external - before.heapUsed - before.external).toBeLessThan(16 * MIB);
}, 400_000);

/** Nothing is left of any client: the sessions are on the servers' disks, or nowhere. */
function isEmpty({ clients, sessions, backends }: Snapshot): boolean {
  const perBackend = backends.map(({ requestsWaiting, sessionsAttached, turnsOpen }) => requestsWaiting + sessionsAttached + turnsOpen);
  return clients.connected === 0 && sessions.byState.stored === sessions.total && perBackend.every((left) => left === 0);
}

/** Requests that name alice's sessions, reached a server, and are not hers. */
function intruders(alice: Victim): string[] {
  return site.fakes.flatMap((fake) => fake.requests)
    .filter(({ method, params }) => [KNOWN, UNKNOWN].some((id) => names({ method, params }, id)))
    .filter((request) => !alice.owns(request))
    .map(({ text }) => text.slice(0, 300));
}
