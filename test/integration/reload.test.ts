/** The configuration is edited while clients are connected, as an operator does it. */
import { readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn } from '../support/sdk.js';
import { isRunning } from './fleet-rig.js';
import { backendOf, Site, spread } from '../support/site.js';
import type { ConfigFile, LogLine } from '../support/skyport.js';
import { WireClient, type WireMessage } from '../support/wire-client.js';

const scope = scopeOfEachTest();

/** Changes something, and waits for the log to tell that it was read. */
async function reload(site: Site, change: () => void): Promise<LogLine> {
  const { log } = site.skyport;
  const before = new Set(log);
  change();
  return site.skyport.logged((line) => !before.has(line) && /^config_(reloaded|rejected)$/.test(line.event ?? ''));
}

const edit = (site: Site, change: (config: ConfigFile) => void) => reload(site, () => site.skyport.editConfig(change));

const backends = (config: ConfigFile) => config.backends as ConfigFile[];

/** Replaces the first occurrence in the file. @returns the line it was in, from 1 */
function misspell(site: Site, right: string, wrong: string): number {
  const text = readFileSync(site.skyport.configFile, 'utf8');
  site.skyport.writeConfig(text.replace(right, wrong));
  return text.slice(0, text.indexOf(right)).split('\n').length;
}

const nameOf = ({ error }: WireMessage) => (error?.data as { name?: string } | undefined)?.name;

/** Names of the backends that `count` new sessions are given to. */
async function place(site: Site, client: WireClient, count: number): Promise<Record<string, number>> {
  const before = new Set((await site.sessions()).map((row) => row.id));
  for (let n = 0; n < count; n++) await client.result('session.create', site.params());
  return spread((await site.sessions()).filter((row) => !before.has(row.id)));
}

describe('a backend that is added to the file', () => {
  it('gets its share of new sessions, and no connection is dropped', async () => {
    const site = await Site.start(scope, { servers: 2, spare: 1 });
    const client = site.client();
    const session = await client.createSession(site.session());
    const running = new Recording(session);
    await session.send('while the file changes [[hold:edit]]');
    await site.model.asked('[[hold:edit]]');
    const wire = await site.wire();
    const line = await edit(site, (config) => backends(config).push(backendOf(site.servers[2]!, 3)));
    expect(line).toMatchObject({ event: 'config_reloaded', reloaded: ['backends'], needsRestart: [] });
    await site.untilState('cli-3', 'up');
    expect(await place(site, wire, 6)).toEqual({ 'cli-1': 2, 'cli-2': 2, 'cli-3': 2 });
    site.model.release('edit');
    await running.until('session.idle');
    expect(running.text).toBe('answer 1: while the file changes [[hold:edit]]');
    expect(site.skyport.log.filter((one) => one.event === 'client_closed')).toEqual([]);
  });
});

describe('a mistake in the file', () => {
  it('is reported with file and line, and the old configuration stays', async () => {
    const site = await Site.start(scope, { servers: 2 });
    const wire = await site.wire();
    let at = 0;
    const line = await reload(site, () => { at = misspell(site, 'policy: round_robin', 'policy: round_robbin'); });
    expect(line.event).toBe('config_rejected');
    expect(line.file).toBe(site.skyport.configFile);
    expect((line.problems as string[]).join('\n')).toMatch(new RegExp(`skyport\\.yaml:${at}:\\d+`));
    expect((line.problems as string[]).join('\n')).toContain('round_robin');
    expect(await place(site, wire, 4)).toEqual({ 'cli-1': 2, 'cli-2': 2 });
  });

  it('is found by `skyport check`, at the same line', async () => {
    const site = await Site.start(scope, { servers: 1 });
    const right = await site.skyport.cli(['check', '--config', site.skyport.configFile]);
    expect(right.code).toBe(0);
    const at = misspell(site, 'rise: 2', 'rise: two');
    const wrong = await site.skyport.cli(['check', '--config', site.skyport.configFile]);
    expect(wrong.code).not.toBe(0);
    expect(wrong.stdout + wrong.stderr).toMatch(new RegExp(`skyport\\.yaml:${at}:\\d+`));
  });

  it('that makes it no YAML at all is survived, too', async () => {
    const site = await Site.start(scope, { servers: 1 });
    const wire = await site.wire();
    const line = await reload(site, () => site.skyport.writeConfig(`${readFileSync(site.skyport.configFile, 'utf8')}\nbackends: [`));
    expect(line.event).toBe('config_rejected');
    expect(await place(site, wire, 1)).toEqual({ 'cli-1': 1 });
  });

  it('in the tokens file keeps the tokens that were', async () => {
    const site = await Site.start(scope, { servers: 1 });
    const wire = await site.wire('bob');
    const line = await reload(site, () => site.setTokens([{ user: 'alice' }, { user: 'not a name' }]));
    expect(line.event).toBe('config_rejected');
    expect((line.problems as string[]).join('\n')).toMatch(/tokens\.yaml:\d+:\d+/);
    expect((await wire.call('ping')).error).toBeUndefined();
    expect((await (await site.wire('bob')).call('ping')).error).toBeUndefined();
  });
});

describe('a tokens file that the configuration names before it is there', () => {
  it('is taken, with the configuration, when it appears', async () => {
    const site = await Site.start(scope, { servers: 1 });
    const directory = path.dirname(site.skyport.configFile);
    const made = await site.skyport.cli(['token', 'carol', '--append', path.join(directory, 'made.yaml')]);
    const named = await edit(site, (config) => { config.identity = { tokens_file: './later.yaml' }; });
    expect(named).toMatchObject({ event: 'config_rejected', problems: [expect.stringContaining('later.yaml:1:1: error: cannot be read')] });
    const line = await reload(site, () => renameSync(path.join(directory, 'made.yaml'), path.join(directory, 'later.yaml')));
    expect(line).toMatchObject({ event: 'config_reloaded', reloaded: ['identity.tokens_file'] });
    const wire = scope.own(await WireClient.tcp(site.skyport.address));
    expect((await wire.login(made.stdout.trim())).error).toBeUndefined();
  });
});

describe('a backend that is taken out of the file', () => {
  it('finishes its turn, gets no new session, and goes when nobody is attached', async () => {
    const site = await Site.start(scope, { servers: 2 });
    const client = site.client();
    const sessions = [await client.createSession(site.session()), await client.createSession(site.session())];
    const rows = await site.sessions();
    const leaving = sessions.find((one) => rows.find((row) => row.id === one.sessionId)!.backend === 'cli-2')!;
    const heard = new Recording(leaving);
    await leaving.send('[[hold:out]]');
    await site.model.asked('[[hold:out]]');
    await edit(site, (config) => backends(config).pop());
    expect(await place(site, await site.wire(), 3)).toEqual({ 'cli-1': 3 });
    expect(await site.backend('cli-2')).toMatchObject({ draining: true, drained: false });
    site.model.release('out');
    await heard.until('session.idle');
    expect(heard.text).toBe('answer 1: [[hold:out]]');
    await leaving.disconnect();
    await site.until((status) => status.backends.length === 1);
  });

  it('keeps its sessions for the day it comes back', async () => {
    const site = await Site.start(scope, { servers: 2, config: { sessions: { state: 'server' } } });
    const wire = await site.wire();
    const client = site.client();
    const there = await client.createSession(site.session());
    await turn(there, 'remember the heron');
    await there.disconnect();
    const { backend } = (await site.sessions())[0]!;
    const before = readFileSync(site.skyport.configFile, 'utf8');
    await edit(site, (config) => { config.backends = backends(config).filter((one) => one.name !== backend); });
    await site.until((status) => status.backends.length === 1);
    const refused = await wire.call('session.resume', site.params({ sessionId: there.sessionId }));
    expect(refused.error?.data).toMatchObject({ name: 'SKYPORT_BACKEND_UNAVAILABLE', retryable: true });
    await reload(site, () => site.skyport.writeConfig(before));
    await site.untilState(backend, 'up');
    const back = await client.resumeSession(there.sessionId, site.session());
    expect((await turn(back, 'and now')).text).toBe('answer 2: and now');
  });
});

describe('fleet.count', () => {
  it('that grows starts a server, and that shrinks ends the last one when nobody is on it', async () => {
    const site = await Site.start(scope, { managed: 1 });
    const count = (value: number) => edit(site, (config) => { (config.fleet as ConfigFile).count = value; });
    await count(2);
    await site.untilState('managed-2', 'up');
    const client = site.client();
    const sessions = [await client.createSession(site.session()), await client.createSession(site.session())];
    expect(spread(await site.sessions())).toEqual({ 'managed-1': 1, 'managed-2': 1 });
    const { id } = (await site.sessions()).find((row) => row.backend === 'managed-2')!;
    const last = sessions.find((session) => session.sessionId === id)!;
    const { pid } = (await site.backend('managed-2'))!;
    await count(1);
    expect((await turn(last, 'while it drains')).text).toBe('answer 1: while it drains');
    expect(await place(site, await site.wire(), 2)).toEqual({ 'managed-1': 2 });
    await last.disconnect();
    await site.until((status) => status.backends.length === 1);
    while (isRunning(pid!)) await new Promise((resolve) => setTimeout(resolve, 10));
    await count(2);
    await site.untilState('managed-2', 'up');
    const back = await client.resumeSession(id, site.session());
    expect((await turn(back, 'and is back')).text).toBe('answer 2: and is back');
  });
});

describe('a weight that is changed', () => {
  it('counts for the next sessions', async () => {
    const site = await Site.start(scope, { servers: 2 });
    const wire = await site.wire();
    await edit(site, (config) => { backends(config)[0]!.weight = 3; });
    expect(await place(site, wire, 8)).toEqual({ 'cli-1': 6, 'cli-2': 2 });
    await edit(site, (config) => { backends(config)[0]!.weight = 0; });
    expect(await place(site, wire, 3)).toEqual({ 'cli-2': 3 });
  });
});

describe('a token', () => {
  it('that is added lets its user in, and one that is removed ends that user\'s connections only', async () => {
    const site = await Site.start(scope, { servers: 1 });
    const [alice, bob] = await Promise.all([site.wire('alice'), site.wire('bob')]);
    await reload(site, () => site.setTokens([{ user: 'alice' }, { user: 'carol' }]));
    await bob.closed;
    expect((await alice.call('ping')).error).toBeUndefined();
    const carol = await site.wire('carol');
    expect(await place(site, carol, 1)).toEqual({ 'cli-1': 1 });
    const again = scope.own(await WireClient.tcp(site.skyport.address));
    expect((await again.login('token-of-bob')).error?.code).toBe(-32002);
  });
});

describe('a limit that is lowered', () => {
  it('holds from then on, and costs nobody what is there', async () => {
    const site = await Site.start(scope, { servers: 1 });
    const wire = await site.wire();
    await place(site, wire, 2);
    await edit(site, (config) => { config.limits = { sessions_per_user: 2 }; });
    const refused = await wire.call('session.create', site.params());
    expect(nameOf(refused)).toBe('SKYPORT_TOO_MANY_SESSIONS');
    expect(await site.sessions()).toHaveLength(2);
    await edit(site, (config) => { config.limits = { sessions_per_user: 3 }; });
    expect(await place(site, wire, 1)).toEqual({ 'cli-1': 1 });
  });

  it('of frames closes who sends a larger one', async () => {
    const site = await Site.start(scope, { servers: 1 });
    const wire = await site.wire();
    expect((await wire.call('ping', { message: 'x'.repeat(100_000) })).error).toBeUndefined();
    await edit(site, (config) => { config.limits = { max_frame: '64KiB' }; });
    wire.sendText(JSON.stringify({ jsonrpc: '2.0', id: 'big', method: 'ping', params: { message: 'x'.repeat(100_000) } }));
    await wire.closed;
    expect(nameOf(wire.messages.at(-1)!)).toBe('SKYPORT_FRAME_TOO_LARGE');
  });
});

describe('the limit of clients', () => {
  it('turns newcomers away with a reason to try again, and nobody who is there', async () => {
    const site = await Site.start(scope, { servers: 1 });
    const [one, two] = await Promise.all([site.wire('alice'), site.wire('bob')]);
    await edit(site, (config) => { config.limits = { clients: 1 }; });
    const late = scope.own(await WireClient.tcp(site.skyport.address));
    expect((await late.login('token-of-alice')).error?.data).toMatchObject({ name: 'SKYPORT_TOO_MANY_CLIENTS', retryable: true });
    for (const client of [one, two]) expect((await client.call('ping')).error).toBeUndefined();
  });
});

describe('SIGHUP', () => {
  it('reads the file again, changed or not', async () => {
    const site = await Site.start(scope, { servers: 1 });
    const wire = await site.wire();
    const line = await reload(site, () => process.kill(site.skyport.pid, 'SIGHUP'));
    expect(line).toMatchObject({ event: 'config_reloaded', reloaded: [], needsRestart: [] });
    expect((await wire.call('ping')).error).toBeUndefined();
  });
});

describe('what needs a restart', () => {
  it('is said so, and the rest of the edit is in force', async () => {
    const site = await Site.start(scope, { servers: 1 });
    const line = await edit(site, (config) => {
      config.listen = [{ tcp: '127.0.0.1:1' }];
      config.limits = { sessions_per_user: 1 };
    });
    expect(line).toMatchObject({ event: 'config_reloaded', reloaded: ['limits.sessions_per_user'], needsRestart: ['listen'] });
    const wire = await site.wire();
    await place(site, wire, 1);
    expect(nameOf(await wire.call('session.create', site.params()))).toBe('SKYPORT_TOO_MANY_SESSIONS');
  });
});
