/** The fleet with the real CLI server. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ask, environmentOf, FleetRig, isRunning, until } from './fleet-rig.js';

let rig: FleetRig;
afterEach(() => rig.close());

const connect = (token: string) => ({ method: 'connect', params: { token } });

describe('a fleet of real servers', () => {
  it('starts them at once, and each answers whoever knows its token', async () => {
    rig = new FleetRig({ count: 3 });
    rig.start();
    for (const name of ['managed-1', 'managed-2', 'managed-3']) {
      const server = await rig.readyAgain(name);
      const [hello] = await ask(server.port, connect(server.token));
      expect(hello!.result).toMatchObject({ ok: true, protocolVersion: 3 });
    }
    expect(rig.fleet.list().map(({ name, state }) => `${name} ${state}`))
      .toEqual(['managed-1 ready', 'managed-2 ready', 'managed-3 ready']);
  });

  it('gives each server a token that no other one takes', async () => {
    rig = new FleetRig({ count: 2 });
    rig.start();
    const first = await rig.readyAgain('managed-1');
    const second = await rig.readyAgain('managed-2');
    const [refused] = await ask(first.port, connect(second.token));
    expect(refused!.error?.code).toBe(-32002);
  });

  it('starts a killed one again, on another port, with another token and in the same home', async () => {
    rig = new FleetRig();
    rig.start();
    const before = await rig.readyAgain('managed-1');
    const home = environmentOf(before.pid)['COPILOT_HOME'];
    process.kill(before.pid, 'SIGKILL');
    const after = await rig.readyAgain('managed-1', 2);
    expect(rig.gone).toEqual([{ name: 'managed-1', reason: 'killed by SIGKILL' }]);
    expect(after.pid).not.toBe(before.pid);
    expect(after.token).not.toBe(before.token);
    expect(home).toBe(join(rig.directory, 'servers', 'managed-1', 'home'));
    expect(environmentOf(after.pid)['COPILOT_HOME']).toBe(home);
    const [hello] = await ask(after.port, connect(after.token));
    expect(hello!.result).toMatchObject({ ok: true });
    expect(rig.fleet.list()[0]).toMatchObject({ state: 'ready', restarts: 1, lastExit: 'killed by SIGKILL' });
  });

  it('replaces a stopped one when it is told that it hangs', async () => {
    rig = new FleetRig();
    rig.start();
    const before = await rig.readyAgain('managed-1');
    process.kill(before.pid, 'SIGSTOP');
    rig.fleet.kill('managed-1', 'answers no probe');
    const after = await rig.readyAgain('managed-1', 2);
    expect(rig.gone).toEqual([{ name: 'managed-1', reason: 'answers no probe' }]);
    expect(isRunning(before.pid)).toBe(false);
    expect(isRunning(after.pid)).toBe(true);
  });

  it('leaves the others alone when one dies', async () => {
    rig = new FleetRig({ count: 2 });
    rig.start();
    const [first, second] = [await rig.readyAgain('managed-1'), await rig.readyAgain('managed-2')];
    process.kill(first.pid, 'SIGKILL');
    await rig.readyAgain('managed-1', 2);
    expect(rig.ready.filter(({ name }) => name === 'managed-2')).toHaveLength(1);
    const [hello] = await ask(second.port, connect(second.token));
    expect(hello!.result).toMatchObject({ ok: true });
  });

  it('leaves no process when it is stopped', async () => {
    rig = new FleetRig({ count: 2 });
    rig.start();
    const servers = [await rig.readyAgain('managed-1'), await rig.readyAgain('managed-2')];
    await rig.fleet.stop();
    expect(servers.filter(({ pid }) => isRunning(pid))).toEqual([]);
    expect(rig.fleet.list()).toEqual([]);
    expect(rig.gone.map(({ name, reason }) => `${name} ${reason}`).sort()).toEqual(['managed-1 stopped', 'managed-2 stopped']);
  });

  it('leaves no process when it is stopped while they are starting', async () => {
    rig = new FleetRig({ count: 2 });
    rig.start();
    await until(() => rig.fleet.list().some(({ pid }) => pid !== undefined), 'a process');
    const pids = rig.fleet.list().flatMap(({ pid }) => pid ?? []);
    await rig.fleet.stop();
    expect(pids.filter(isRunning)).toEqual([]);
    expect(rig.fleet.list()).toEqual([]);
  });

  it('leaves no process group when the process must exit now', async () => {
    rig = new FleetRig({ count: 2 });
    rig.start();
    const servers = [await rig.readyAgain('managed-1'), await rig.readyAgain('managed-2')];
    rig.fleet.killNow();
    await until(() => !servers.some(({ pid }) => isRunning(pid)), 'both killed');
    await until(() => rig.gone.length === 2, 'both reported');
    expect(rig.ready).toHaveLength(2);
  });

  it('runs them in the working directory, which it makes', async () => {
    rig = new FleetRig();
    const workingDirectory = join(rig.directory, 'work', 'spaces');
    rig.update({ workingDirectory });
    rig.start();
    await rig.readyAgain('managed-1');
    expect(existsSync(workingDirectory)).toBe(true);
  });

  it('passes on what they print', async () => {
    rig = new FleetRig();
    rig.start();
    const { port } = await rig.readyAgain('managed-1');
    await until(() => rig.lines.length > 0, 'a line');
    expect(rig.lines).toContain(`managed-1 stdout: CLI server listening on port ${port}`);
  });
});

describe('a fleet of another size', () => {
  it('grows at once and leaves the others running', async () => {
    rig = new FleetRig();
    rig.start();
    const first = await rig.readyAgain('managed-1');
    rig.update({ count: 2 });
    await rig.readyAgain('managed-2');
    expect(isRunning(first.pid)).toBe(true);
    expect(rig.ready).toHaveLength(2);
  });

  it('asks before it shrinks, the highest number first, and ends a server when told to', async () => {
    rig = new FleetRig({ count: 3 });
    rig.start();
    for (const name of ['managed-1', 'managed-2', 'managed-3']) await rig.readyAgain(name);
    rig.update({ count: 1 });
    expect(rig.removed).toEqual(['managed-3', 'managed-2']);
    const third = await rig.readyAgain('managed-3');
    expect(isRunning(third.pid)).toBe(true);
    expect(rig.fleet.list().map(({ state }) => state)).toEqual(['ready', 'leaving', 'leaving']);
    await rig.fleet.retire('managed-3');
    expect(isRunning(third.pid)).toBe(false);
    expect(rig.fleet.list().map(({ name }) => name)).toEqual(['managed-1', 'managed-2']);
  });

  it('says ready again for a server that was to leave and may stay', async () => {
    rig = new FleetRig({ count: 2 });
    rig.start();
    const second = await rig.readyAgain('managed-2');
    rig.update({ count: 1 });
    rig.update({ count: 2 });
    expect(rig.ready.filter(({ name }) => name === 'managed-2')).toEqual([second, second]);
    expect(isRunning(second.pid)).toBe(true);
  });

  it('puts a new server in the place of one that is retired and wanted again', async () => {
    rig = new FleetRig();
    rig.start();
    const before = await rig.readyAgain('managed-1');
    await rig.fleet.retire('managed-1');
    expect(isRunning(before.pid)).toBe(false);
    const after = await rig.readyAgain('managed-1', 2);
    expect(isRunning(after.pid)).toBe(true);
  });

  it('does not start a server again that dies while it is to leave', async () => {
    rig = new FleetRig({ count: 2 });
    rig.start();
    const second = await rig.readyAgain('managed-2');
    rig.update({ count: 1 });
    process.kill(second.pid, 'SIGKILL');
    await until(() => rig.fleet.list().length === 1, 'managed-2 forgotten');
    expect(rig.gone).toEqual([{ name: 'managed-2', reason: 'killed by SIGKILL' }]);
  });
});
