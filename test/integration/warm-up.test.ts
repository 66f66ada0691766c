/** `fleet.warm_up`: spares that have done the work of a first turn, on the real runtime. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { SessionLifecycleEvent } from '@github/copilot-sdk';
import { expect, it } from 'vitest';
import { scopeOfEachTest } from '../support/scope.js';
import { turn } from '../support/sdk.js';
import { Site } from '../support/site.js';
import type { LogLine } from '../support/skyport.js';

const scope = scopeOfEachTest();
const WARM_UP = /skyport-warm-up/;

/** One spare, whose warm-up the log tells of. */
function start(fleet: object = {}): Promise<Site> {
  return Site.start(scope, {
    config: (place) => ({
      fleet: { count: 0, isolation: 'per_user', spares: 1, working_directory: `${place.directory}/work`, env: { COPILOT_OFFLINE: 'true' }, ...fleet },
      log: { level: 'debug' },
    }),
  });
}

function isWarmUp(step: string, backend?: string): (line: LogLine) => boolean {
  return (line) => line.event === 'backend_warm_up' && line['step'] === step && (backend === undefined || line['backend'] === backend);
}

/** Files below a directory in which a pattern is found, in their names or what they hold. */
function found(directory: string, pattern: RegExp): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => pattern.test(entry.name) || (entry.isFile() && pattern.test(readFileSync(path.join(entry.parentPath, entry.name), 'latin1'))))
    .map(({ name }) => name);
}

it('gets a spare warm, and its user finds nothing of it', async () => {
  const site = await start();
  const warm = await site.skyport.logged(isWarmUp('warm'));
  const [spare] = (await site.status()).backends;
  expect([warm['backend'], spare!.tenancy]).toEqual([spare!.name, 'spare']);
  expect(await site.sessions()).toEqual([]);
  expect(found(path.join(site.skyport.directory, 'data'), WARM_UP)).toEqual([]);

  const client = site.client('alice');
  const told: SessionLifecycleEvent[] = [];
  await client.start();
  client.onLifecycle((event) => { told.push(event); });
  const session = await client.createSession(site.session());
  expect((await turn(session, 'hello')).text).toBe('answer 1: hello');
  expect((await site.status()).backends.find(({ user }) => user === 'alice')).toMatchObject({ name: spare!.name, pid: spare!.pid });
  expect((await client.listSessions()).map(({ sessionId }) => sessionId)).toEqual([session.sessionId]);
  expect([...new Set(told.map(({ sessionId }) => sessionId))]).toEqual([session.sessionId]);
  expect((await session.getEvents()).filter(({ type }) => type === 'user.message')).toHaveLength(1);
  const metrics = await (await fetch(`${site.skyport.http}/metrics`)).text();
  expect(metrics.split('\n').filter((line) => /^skyport_turns_total\{/.test(line)).map((line) => Number(line.split(' ').at(-1))).reduce((sum, count) => sum + count, 0)).toBe(1);
  expect(found(path.join(site.skyport.directory, 'data'), WARM_UP)).toEqual([]);
});

it('does not keep anybody waiting who comes in the midst of it', async () => {
  const site = await start();
  await site.skyport.logged(isWarmUp('begun'));
  const [spare] = (await site.status()).backends;
  process.kill(spare!.pid!, 'SIGSTOP');
  const client = site.client('alice');
  const coming = client.createSession(site.session());
  try {
    await site.until(({ backends }) => backends.some(({ name, user }) => name === spare!.name && user === 'alice'));
  } finally {
    process.kill(spare!.pid!, 'SIGCONT');
  }
  const session = await coming;
  expect((await turn(session, 'hello')).text).toBe('answer 1: hello');
  expect((await client.listSessions()).map(({ sessionId }) => sessionId)).toEqual([session.sessionId]);
  await site.skyport.logged(isWarmUp('warm', spare!.name));
  expect((await turn(session, 'again')).text).toBe('answer 2: again');
  expect((await site.status()).backends.find(({ user }) => user === 'alice')).toMatchObject({ name: spare!.name, pid: spare!.pid });
  expect(found(path.join(site.skyport.directory, 'data'), WARM_UP)).toEqual([]);
});

it('makes do without a turn where a proxy would be asked', async () => {
  const site = await start({ env: { COPILOT_OFFLINE: 'true', NO_PROXY: '127.0.0.1' } });
  await site.skyport.logged(isWarmUp('warm'));
  const session = await site.client('alice').createSession(site.session());
  expect((await turn(session, 'hello')).text).toBe('answer 1: hello');
});

it('does not take place with fleet.warm_up: false', async () => {
  const site = await start({ warm_up: false });
  await site.until(({ backends }) => backends.some(({ tenancy, state }) => tenancy === 'spare' && state === 'up'));
  const session = await site.client('alice').createSession(site.session());
  expect((await turn(session, 'hello')).text).toBe('answer 1: hello');
  expect(site.skyport.log.filter(({ event }) => event === 'backend_warm_up')).toEqual([]);
});
