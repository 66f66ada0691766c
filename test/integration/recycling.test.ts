/** Managed servers that are replaced while people work on them: for their memory, and for a new `fleet.command`. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BackendSnapshot, Snapshot } from '../../proxy/observe/snapshot.js';
import { Chatter } from '../support/chatter.js';
import { RUNTIME_BINARY } from '../support/runtime.js';
import { scopeOfEachTest, type Scope } from '../support/scope.js';
import { Recording, turn } from '../support/sdk.js';
import { Site } from '../support/site.js';
import type { ConfigFile, LogLine } from '../support/skyport.js';
import { isRunning } from './fleet-rig.js';

const scope = scopeOfEachTest();

/** A program that runs the real CLI server, and takes `leak` MiB each second beside it. */
function wrapper(directory: string, name: string, leak = 0): string[] {
  const file = path.join(directory, name);
  writeFileSync(file, `
    const { spawn } = require('node:child_process');
    const server = spawn(${JSON.stringify(RUNTIME_BINARY)}, process.argv.slice(2), { stdio: 'inherit' });
    server.on('exit', (code) => process.exit(code ?? 1));
    process.on('SIGTERM', () => server.kill('SIGTERM'));
    const kept = [];
    if (${leak} > 0) setInterval(() => kept.push(Buffer.alloc(${leak} << 18, 1)), 250);
  `);
  return [process.execPath, file];
}

interface Options {
  readonly count: number;
  readonly sessions?: ConfigFile;
  readonly fleet?: (directory: string) => ConfigFile;
}

/** A site with managed servers, all of them up. */
async function start(scope: Scope, { count, sessions = {}, fleet = () => ({}) }: Options): Promise<{ site: Site; before: BackendSnapshot[] }> {
  const site = await Site.start(scope, {
    config: ({ directory }) => ({
      sessions,
      fleet: {
        count, working_directory: path.join(directory, 'work'), env: { COPILOT_OFFLINE: 'true' },
        restart_backoff: { min: '20ms', max: '200ms' }, ...fleet(directory),
      },
    }),
  });
  const { backends: before } = await site.until(({ backends }) => backends.length === count && backends.every(({ state }) => state === 'up'));
  return { site, before };
}

/** The log's lines about replacements, those of one step. */
function steps(site: Site, step: string): LogLine[] {
  return site.skyport.log.filter((line) => line.event === 'backend_recycle' && line.step === step);
}

async function load(site: Site, count: number): Promise<Chatter[]> {
  const client = site.client();
  const sessions = await Promise.all(Array.from({ length: count }, () => client.createSession(site.session())));
  const chatters = sessions.map((session, n) => new Chatter(session, `user ${n}`));
  await site.until(() => chatters.every(({ heard }) => heard.length > 0));
  return chatters;
}

/** Lets each of them say something more, and then stop: nobody has lost a turn. */
async function expectAllWell(site: Site, chatters: readonly Chatter[]): Promise<void> {
  const seen = chatters.map(({ heard }) => heard.length);
  await site.until(() => chatters.every(({ heard }, n) => heard.length > seen[n]!));
  await Promise.all(chatters.map((chatter) => chatter.stop()));
  for (const chatter of chatters) expect(chatter.heard).toEqual(chatter.expected);
  expect(site.skyport.log.filter((line) => line.event === 'turn_ended' && line.outcome !== 'idle')).toEqual([]);
  expect(site.skyport.log.filter((line) => line.event === 'bug')).toEqual([]);
}

function command(site: Site, argv: readonly string[]): void {
  site.skyport.editConfig((config) => {
    config['fleet'] = { ...config['fleet'] as ConfigFile, command: argv };
  });
}

const allUp = ({ backends }: Snapshot, count: number): boolean => backends.length === count && backends.every(({ state, draining }) => state === 'up' && !draining);

const pids = (backends: readonly BackendSnapshot[]): (number | undefined)[] => backends.map(({ pid }) => pid);

describe('a server that leaks', () => {
  it('is replaced under load, again and again, and no turn fails', async () => {
    const { site, before } = await start(scope, {
      count: 2, fleet: (directory) => ({ command: wrapper(directory, 'leaky.cjs', 20), recycle: { rss: '250MiB' } }),
    });
    const chatters = await load(site, 6);
    await site.until(() => steps(site, 'done').length >= 4);
    await expectAllWell(site, chatters);
    expect(new Set(steps(site, 'done').map(({ backend }) => backend))).toEqual(new Set(['managed-1', 'managed-2']));
    expect(steps(site, 'done').every(({ reason }) => reason === 'rss')).toBe(true);
    expect(steps(site, 'begun')[0]!.detail).toMatch(/^rss is \d+ MiB, the limit 250 MiB$/);
    expect(before.filter(({ pid }) => isRunning(pid!))).toEqual([]);
    const metrics = await (await fetch(`${site.skyport.http}/metrics`)).text();
    expect(metrics).toMatch(/^skyport_backend_recycles_total\{reason="rss",step="done"\} [1-9]/m);
  }, 120_000);

  it('and has a turn that does not end is killed at twice the memory, and the turn goes on elsewhere', async () => {
    const { site } = await start(scope, {
      count: 2, fleet: (directory) => ({ command: wrapper(directory, 'leaky.cjs', 20), recycle: { rss: '250MiB' } }),
    });
    const session = await site.client().createSession(site.session());
    const heard = new Recording(session);
    await session.send('[[hold:endless]]');
    await site.model.asked('[[hold:endless]]');
    const killed = await site.skyport.logged((line) => line.event === 'backend_recycle' && line.step === 'killed');
    expect(killed).toMatchObject({ reason: 'memory', level: 'warn' });
    await site.model.asked('[[hold:endless]]', 2);
    site.model.release('endless');
    await heard.until('session.idle');
    expect(heard.text).toBe('answer 1: [[hold:endless]]');
    expect((await turn(session, 'and on')).text).toBe('answer 2: and on');
  }, 120_000);
});

describe('a new `fleet.command`', () => {
  it('replaces all servers under load, and no turn fails', async () => {
    const { site, before } = await start(scope, { count: 3 });
    const chatters = await load(site, 8);
    const patient = await site.client().createSession(site.session());
    const heard = new Recording(patient);
    await patient.send('[[hold:patient]]');
    await site.model.asked('[[hold:patient]]');

    command(site, wrapper(site.skyport.directory, 'new.cjs'));
    await site.until(() => steps(site, 'begun').length >= 2);
    site.model.release('patient');
    await heard.until('session.idle');
    await site.until((status) => steps(site, 'done').length === 3 && allUp(status, 3));
    await expectAllWell(site, chatters);
    expect(heard.text).toBe('answer 1: [[hold:patient]]');
    expect((await turn(patient, 'and on')).text).toBe('answer 2: and on');
    expect(pids((await site.status()).backends).filter((pid) => pids(before).includes(pid))).toEqual([]);
    expect(before.filter(({ pid }) => isRunning(pid!))).toEqual([]);
    expect(steps(site, 'done').map(({ reason }) => reason)).toEqual(['config', 'config', 'config']);
  }, 120_000);

  it('replaces the only server under load, also while new sessions are created', async () => {
    const { site, before } = await start(scope, { count: 1 });
    const chatters = await load(site, 4);
    const client = site.client('bob');
    let created = 0;
    let over = false;
    const creating = (async () => {
      for (; !over; created++) {
        const session = await client.createSession(site.session());
        expect((await turn(session, 'hello')).text).toBe('answer 1: hello');
      }
    })();
    command(site, wrapper(site.skyport.directory, 'new.cjs'));
    await site.until((status) => steps(site, 'done').length === 1 && allUp(status, 1));
    const seen = created;
    await site.until(() => created > seen);
    over = true;
    await creating;
    await expectAllWell(site, chatters);
    expect(before.filter(({ pid }) => isRunning(pid!))).toEqual([]);
  }, 120_000);

  it('that does not start leaves the servers in service, until the configuration changes again', async () => {
    const { site, before } = await start(scope, { count: 2 });
    const chatters = await load(site, 4);
    command(site, ['/bin/false']);
    const stopped = await site.skyport.logged((line) => line.event === 'roll_over_stopped');
    expect(stopped).toMatchObject({ level: 'error', backend: 'managed-1', reason: 'exited with code 1' });
    const seen = chatters.map(({ heard }) => heard.length);
    await site.until(() => chatters.every(({ heard }, n) => heard.length > seen[n]! + 5));
    expect(steps(site, 'begun')).toHaveLength(1);
    expect(pids((await site.status()).backends)).toEqual(pids(before));

    command(site, wrapper(site.skyport.directory, 'new.cjs'));
    await site.until((status) => steps(site, 'done').length === 2 && allUp(status, 2));
    await expectAllWell(site, chatters);
    expect(site.skyport.log.some((line) => line.event === 'roll_over_resumed')).toBe(true);
    expect(before.filter(({ pid }) => isRunning(pid!))).toEqual([]);
  }, 120_000);

  it('replaces servers that keep the sessions themselves in their place, when no turn runs', async () => {
    const { site, before } = await start(scope, { count: 2, sessions: { state: 'server' } });
    const session = await site.client().createSession(site.session());
    const heard = new Recording(session);
    await session.send('[[hold:local]]');
    await site.model.asked('[[hold:local]]');
    command(site, wrapper(site.skyport.directory, 'new.cjs'));
    await site.skyport.logged((line) => line.event === 'backend_restart' && line.to === 'draining');
    site.model.release('local');
    await heard.until('session.idle');
    await site.until((status) => steps(site, 'done').length === 2 && allUp(status, 2));
    expect(heard.text).toBe('answer 1: [[hold:local]]');
    expect((await turn(session, 'and on')).text).toBe('answer 2: and on');
    expect(before.filter(({ pid }) => isRunning(pid!))).toEqual([]);
  }, 120_000);
});
