/** Servers with uids, secrets and limits of their own: the real CLI server and the agent's own shell tool. */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { Cgroups, ownDirectory } from '../../proxy/fleet/cgroup.js';
import type { Confinement } from '../../proxy/fleet/confinement.js';
import { fleetId, ownMarker } from '../../proxy/fleet/marker.js';
import { findRuntime } from '../../proxy/fleet/runtime.js';
import { ManagedServer, type ServerSpec } from '../../proxy/fleet/server.js';
import { Model } from '../support/model.js';
import { scopeOfEachTest } from '../support/scope.js';
import { sdkClient, sessionConfig, turn, type CopilotSession, type Recording } from '../support/sdk.js';
import { removeTemporary, temporary } from '../support/temporary.js';
import { environmentOf, isRunning } from './fleet-rig.js';

const ROOT = process.geteuid?.() === 0;
const ALICE: Confinement = { uid: 61_001, limits: {} };
const BOB: Confinement = { uid: 61_002, gid: 61_003, limits: {} };

const scope = scopeOfEachTest();
let store: string;
let model: Model;
beforeEach(async () => {
  store = temporary('skyport-confined-');
  chmodSync(store, 0o755);
  scope.after(() => removeTemporary(store));
  model = scope.own(await Model.start());
});

interface Run {
  readonly server: ManagedServer;
  readonly port: number;
  readonly pid: number;
  readonly directory: string;
  readonly lines: string[];
}

/** What became of a start: a server that listens, or the reason why there is none. */
async function attempt(home: string, over: Partial<ServerSpec>): Promise<Run | { reason: string }> {
  const servers = join(store, 'data', 'servers');
  mkdirSync(join(store, 'data'), { recursive: true, mode: 0o700 });
  const found = findRuntime();
  if ('missing' in found) throw new Error(found.missing);
  const directory = join(servers, home);
  const lines: string[] = [];
  return await new Promise((resolve) => {
    const server: ManagedServer = new ManagedServer({
      command: found.command, env: { COPILOT_OFFLINE: 'true' }, directory, startTimeout: 15_000,
      marker: ownMarker(fleetId(servers), `${home}-${randomBytes(2).toString('hex')}`), ...over,
    }, {
      onListening: (port) => resolve({ server, port, pid: server.pid!, directory, lines }),
      onExit: (reason) => resolve({ reason }),
      onLine: (_, line) => lines.push(line),
    });
    scope.after(() => server.stop(2_000));
    server.start();
  });
}

async function run(home: string, over: Partial<ServerSpec> = {}): Promise<Run> {
  const started = await attempt(home, over);
  if ('reason' in started) throw new Error(started.reason);
  return started;
}

/** A session on a server, asked directly. */
async function session(on: Run): Promise<CopilotSession> {
  const client = sdkClient(`127.0.0.1:${on.port}`, on.server.token);
  scope.after(() => client.forceStop());
  return await client.createSession(sessionConfig(model, { workingDirectory: on.directory }));
}

/** What the agent's shell prints. */
async function shell(at: CopilotSession, command: string): Promise<string> {
  const said: Recording = await turn(at, `[[tool:bash {"command":${JSON.stringify(command)},"description":"look"}]]`);
  return said.text ?? '';
}

/** A value of /proc/<pid>/limits, soft and hard. */
function limitOf(pid: number | string, name: string): string[] {
  const line = readFileSync(`/proc/${pid}/limits`, 'utf8').split('\n').find((one) => one.startsWith(name))!;
  return line.slice(name.length).trim().split(/\s+/).slice(0, 2);
}

function idsOf(pid: number): Record<string, string> {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Object.fromEntries(['Uid', 'Gid', 'Groups', 'CapEff'].map((name) => [name, new RegExp(`^${name}:(.*)$`, 'm').exec(status)![1]!.trim()]));
}

describe.runIf(ROOT)('a server with a uid of its own', () => {
  it('runs as that user alone, leads a session, and has a private home', async () => {
    const bob = await run('bob', { confinement: BOB });
    expect(idsOf(bob.pid)).toEqual({
      Uid: '61002\t61002\t61002\t61002', Gid: '61003\t61003\t61003\t61003', Groups: '', CapEff: '0000000000000000',
    });
    const stat = readFileSync(`/proc/${bob.pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    expect([Number(stat[2]), Number(stat[3])]).toEqual([bob.pid, bob.pid]);
    for (const place of [bob.directory, join(bob.directory, 'home'), join(bob.directory, 'tmp')]) {
      const { uid, gid, mode } = statSync(place);
      expect([uid, gid, mode & 0o7777]).toEqual([61_002, 61_003, 0o700]);
    }
    expect(environmentOf(bob.pid)).toMatchObject({ HOME: bob.directory, TMPDIR: join(bob.directory, 'tmp') });
  });

  it('lets its agent\'s shell read its own home, and nothing of another one\'s or of Skyport\'s', async () => {
    mkdirSync(join(store, 'data', 'registry'), { recursive: true, mode: 0o755 });
    chmodSync(join(store, 'data'), 0o700);
    writeFileSync(join(store, 'data', 'registry', 'data.mdb'), 'records');
    const [alice, bob] = await Promise.all([run('alice', { confinement: ALICE }), run('bob', { confinement: BOB })]);
    const [atAlice, atBob] = [await session(alice), await session(bob)];
    await shell(atBob, 'echo mine > note.txt; cat note.txt');
    const note = join(bob.directory, 'note.txt');
    expect(await shell(atBob, `cat ${note}`)).toContain('mine');
    const registry = join(store, 'data', 'registry', 'data.mdb');
    for (const closed of [note, join(bob.directory, 'home'), registry, join(store, 'data'), join(store, 'data', 'servers'), join(store, 'data', 'servers', 'fleet.id')]) {
      const said = await shell(atAlice, `cat ${closed} || ls ${closed}`);
      expect(said, closed).toContain('Permission denied');
      expect(said, closed).not.toMatch(/mine|records|session-state/);
    }
    expect(await shell(atAlice, `cat /proc/${bob.pid}/environ; kill -0 ${bob.pid}`)).toMatch(/Permission denied[\s\S]*Operation not permitted/);
  });

  it('has its own secrets and not those of the other one', async () => {
    writeFileSync(join(store, 'key'), 'alices-file-key\n');
    const alice = await run('alice', {
      confinement: ALICE,
      env: { COPILOT_OFFLINE: 'true', MODEL_KEY: { file: join(store, 'key') }, COPILOT_GITHUB_TOKEN: 'gho_of_alice' },
    });
    const bob = await run('bob', { confinement: BOB, env: { COPILOT_OFFLINE: 'true', MODEL_KEY: { command: ['/bin/echo', 'bobs-printed-key'] } } });
    expect(environmentOf(alice.pid)).toMatchObject({ MODEL_KEY: 'alices-file-key', COPILOT_GITHUB_TOKEN: 'gho_of_alice' });
    expect(environmentOf(bob.pid)).toMatchObject({ MODEL_KEY: 'bobs-printed-key' });
    expect(environmentOf(bob.pid)).not.toHaveProperty('COPILOT_GITHUB_TOKEN');
    expect(await shell(await session(bob), 'env')).toContain('bobs-printed-key');
  });

  it('ends with all that its tools started when its leader is killed', async () => {
    const alice = await run('alice', { confinement: ALICE });
    await shell(await session(alice), 'sleep 98760 & setsid sleep 98761 & sleep 0.2');
    expect(sleepers()).toEqual(['sleep 98760', 'sleep 98761']);
    process.kill(alice.pid, 'SIGKILL');
    await alice.server.ended;
    expect(ofUser(61_001)).toEqual([]);
  });

  it('takes over what a server without one has left in its home', async () => {
    const before = await run('alice');
    await shell(await session(before), 'mkdir -p sub; echo old > sub/file');
    await before.server.stop(2_000);
    const after = await run('alice', { confinement: ALICE });
    expect(statSync(join(after.directory, 'sub', 'file')).uid).toBe(61_001);
    expect(await shell(await session(after), 'cat sub/file; echo new > sub/file; cat sub/file')).toMatch(/old[\s\S]*new/);
    await after.server.stop(2_000);
    const again = await run('alice');
    expect(statSync(join(again.directory, 'sub', 'file')).uid).toBe(0);
  });

  it('is not started where a directory is in its way, and the reason names that directory', async () => {
    chmodSync(store, 0o700);
    expect(await attempt('alice', { confinement: ALICE })).toEqual({
      reason: expect.stringMatching(new RegExp(`^could not be started: uid 61001 cannot get to ${store}/data/servers/alice: ${store} does not let others through`)),
    });
  });
});

describe('a server with limits', () => {
  it('has them, and so has its agent\'s shell', async () => {
    const limited = await run('limited', { confinement: { limits: { openFiles: 500, memory: 512 * 1024 * 1024 } } });
    expect(limitOf(limited.pid, 'Max open files')).toEqual(['500', '500']);
    expect(limitOf(limited.pid, 'Max data size')).toEqual([String(512 * 1024 * 1024), String(512 * 1024 * 1024)]);
    const said = await shell(await session(limited), 'ulimit -n; ulimit -d');
    expect(said).toMatch(/\b500\b[\s\S]*\b524288\b/);
  });

  it.runIf(ROOT)('may start so many processes and no more where it has a uid', async () => {
    const limited = await run('limited', { confinement: { uid: 61_004, limits: { processes: 60 } } });
    expect(limitOf(limited.pid, 'Max processes')).toEqual(['60', '60']);
    const said = await shell(await session(limited), 'for i in $(seq 80); do sleep 1 & done 2>&1 | tail -n 3; echo end');
    expect(said).toMatch(/Resource temporarily unavailable|retry|fork/);
  });

  it('is told when it may have too little memory to start', async () => {
    const started = await attempt('limited', { confinement: { limits: { memory: 1024 * 1024 } } });
    expect(started).toEqual({ reason: expect.stringMatching(/^(exited with code|killed by)/) });
  });
});

// Where there is none, rlimits and the marker do its work: the other tests here are about those.
if (Cgroups.ofThisProcess('0'.repeat(32))) describe('a server with a cgroup', () => {
  it('ends with what took itself out of its session and its environment too', async () => {
    const alice = await run('alice', ROOT ? { confinement: ALICE } : {});
    await shell(await session(alice), 'env -i setsid sleep 98762 & sleep 0.2');
    expect(sleepers()).toEqual(['sleep 98762']);
    process.kill(alice.pid, 'SIGKILL');
    await alice.server.ended;
    expect(sleepers()).toEqual([]);
  });

  it('leaves no cgroup', async () => {
    const alice = await run('alice');
    const path = join('/proc', String(alice.pid), 'cgroup');
    const own = /^0::(.*)$/m.exec(readFileSync(path, 'utf8'))![1]!;
    expect(own).toMatch(/\/skyport-[0-9a-f]{16}\/\d+-\d+\.alice-[0-9a-f]{4}$/);
    await alice.server.stop(2_000);
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
    expect(existsSync(ownDirectory(`0::${own}`, mounts)!)).toBe(false);
  });
});

/** The running processes of a uid. */
function ofUser(uid: number): number[] {
  return processes().filter((pid) => statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid === uid);
}

/** What these tests have started with sleep, as commands. */
function sleepers(): string[] {
  return processes().map((pid) => commandOf(pid)).filter((command) => /^sleep 9876\d$/.test(command)).sort();
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

function processes(): number[] {
  return readdirSync('/proc').filter((entry) => /^\d+$/.test(entry)).map(Number).filter(isRunning);
}
