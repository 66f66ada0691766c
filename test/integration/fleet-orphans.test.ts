/** What an earlier Skyport, killed with -9, left running. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { afterEach, describe, expect, it } from 'vitest';
import { findRuntime } from '../../proxy/fleet/runtime.js';
import type { ReadyServer } from '../../proxy/fleet/member.js';
import { environmentOf, FleetRig, isRunning, tenants, until } from './fleet-rig.js';

const FLEET_SOURCES = join(import.meta.dirname, '../../proxy/fleet');

let rig: FleetRig;
let other: ChildProcess | undefined;
afterEach(async () => {
  other?.kill('SIGKILL');
  other = undefined;
  await rig.close();
});

function bundledRuntime(): readonly string[] {
  const found = findRuntime();
  if ('missing' in found) throw new Error(found.missing);
  return found.command;
}

/** Another process with a fleet of two on the same directory; gives its servers when they listen. */
async function otherSkyport(command: readonly string[], over: object = {}, users: readonly string[] = []): Promise<ReadyServer[]> {
  const built = join(rig.directory, 'built');
  mkdirSync(built, { recursive: true });
  writeFileSync(join(built, 'package.json'), '{"type":"module"}');
  for (const file of readdirSync(FLEET_SOURCES)) {
    const { outputText } = ts.transpileModule(readFileSync(join(FLEET_SOURCES, file), 'utf8'), {
      compilerOptions: { module: ts.ModuleKind.ES2022, target: ts.ScriptTarget.ES2023 },
    });
    writeFileSync(join(built, file.replace(/\.ts$/, '.js')), outputText);
  }
  const options = {
    count: 2, command, env: { COPILOT_OFFLINE: 'true' }, directory: join(rig.directory, 'servers'),
    startTimeout: 15_000, stopTimeout: 5_000, restartBackoff: { min: 20, max: 200 }, ...over,
  };
  writeFileSync(join(built, 'main.js'), `
    import { Fleet } from './supervisor.js';
    const onReady = (server) => console.log(JSON.stringify(server));
    const fleet = new Fleet(${JSON.stringify(options)}, { onReady, onGone() {}, onLine() {} });
    fleet.start();
    for (const user of ${JSON.stringify(users)}) await fleet.claim(user);
  `);
  const child = spawn(process.execPath, [join(built, 'main.js')], { stdio: ['ignore', 'pipe', 'inherit'] });
  other = child;
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => { text += chunk.toString(); });
  await until(() => text.split('\n').length > 2, 'both servers of the other process');
  return text.trim().split('\n').map((line) => JSON.parse(line) as ReadyServer);
}

async function killOther(): Promise<void> {
  const exit = once(other!, 'exit');
  other!.kill('SIGKILL');
  await exit;
}

describe('the servers of a Skyport that was killed', () => {
  it('outlive it, and are ended by the next one on the directory before it starts its own', async () => {
    rig = new FleetRig({ count: 2 });
    const left = await otherSkyport(bundledRuntime());
    await killOther();
    expect(left.map(({ pid }) => isRunning(pid))).toEqual([true, true]);
    rig.start();
    await rig.readyAgain('managed-1');
    expect(left.map(({ pid }) => isRunning(pid))).toEqual([false, false]);
    expect(rig.orphansEnded).toBe(2);
  });

  it('are ended with what they started, also in sessions of its own', async () => {
    rig = new FleetRig();
    const script = rig.script('server.cjs', `
      const { spawn } = require('node:child_process');
      const idle = ['-e', 'setInterval(() => {}, 1000)'];
      const { pid } = spawn(process.execPath, idle, { stdio: 'ignore', detached: true });
      require('node:fs').writeFileSync(process.env.COPILOT_HOME + '/child', String(pid));
      console.log('CLI server listening on port 4321');
      setInterval(() => {}, 1000);
    `);
    await otherSkyport(script);
    await killOther();
    const children = [1, 2].map((n) => Number(readFileSync(join(rig.directory, `servers/managed-${n}/home/child`), 'utf8')));
    expect(children.map(isRunning)).toEqual([true, true]);
    rig.start();
    await rig.readyAgain('managed-1');
    expect(children.map(isRunning)).toEqual([false, false]);
    expect(rig.orphansEnded).toBe(4);
  });

  it('are ended when they are users\' own, whose homes the next ones go on in', async () => {
    rig = new FleetRig(tenants());
    const left = await otherSkyport(bundledRuntime(), tenants(), ['alice', 'bob']);
    await until(() => readFileSync(join(rig.directory, 'servers/homes.json'), 'utf8').includes('bob'), 'both homes on the disk');
    await killOther();
    expect(left.map(({ tenancy }) => tenancy)).toEqual([{ kind: 'user', user: 'alice' }, { kind: 'user', user: 'bob' }]);
    expect(left.map(({ pid }) => isRunning(pid))).toEqual([true, true]);
    const homeOfBob = environmentOf(left[1]!.pid)['COPILOT_HOME'];
    rig.start();
    const bob = await rig.claim('bob');
    expect(left.map(({ pid }) => isRunning(pid))).toEqual([false, false]);
    expect(rig.orphansEnded).toBe(2);
    expect(environmentOf(bob.pid)['COPILOT_HOME']).toBe(homeOfBob);
  });

  it('are ended when they are spares, whose homes are removed', async () => {
    rig = new FleetRig(tenants());
    const [left] = await otherSkyport(bundledRuntime(), tenants({ spares: 2 }));
    const home = join(rig.directory, 'servers', left!.name);
    await until(() => readFileSync(join(rig.directory, 'servers/homes.json'), 'utf8').includes(left!.name), 'its home on the disk');
    await killOther();
    expect([isRunning(left!.pid), existsSync(home)]).toEqual([true, true]);
    rig.start();
    await until(() => !existsSync(home), 'the home removed');
    expect(isRunning(left!.pid)).toBe(false);
    expect((await rig.claim('alice')).name).toBe('managed-u3');
  });

  it('are ended even when they are stopped', async () => {
    rig = new FleetRig();
    const left = await otherSkyport(bundledRuntime());
    for (const { pid } of left) process.kill(pid, 'SIGSTOP');
    await killOther();
    rig.start();
    await rig.readyAgain('managed-1');
    expect(left.map(({ pid }) => isRunning(pid))).toEqual([false, false]);
  });
});

describe('the servers of a Skyport that lives', () => {
  it('are left alone by another one that starts', async () => {
    rig = new FleetRig();
    const theirs = await otherSkyport(bundledRuntime());
    rig.start();
    await rig.readyAgain('managed-1');
    expect(theirs.map(({ pid }) => isRunning(pid))).toEqual([true, true]);
    expect(rig.orphansEnded).toBe(0);
    await killOther();
    for (const { pid } of theirs) process.kill(-pid, 'SIGKILL');
  });

  it('are left alone when a fleet on another directory looks for orphans', async () => {
    rig = new FleetRig();
    rig.start();
    const mine = await rig.readyAgain('managed-1');
    const neighbour = new FleetRig();
    neighbour.start();
    await neighbour.readyAgain('managed-1');
    expect(isRunning(mine.pid)).toBe(true);
    await neighbour.close();
    expect(isRunning(mine.pid)).toBe(true);
  });
});
