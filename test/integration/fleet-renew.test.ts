/** A fresh server in the place of one that still runs, with the real CLI server. */
import { afterEach, describe, expect, it } from 'vitest';
import type { ReadyServer } from '../../proxy/fleet/member.js';
import { ask, environmentOf, FleetRig, isRunning, LISTENING, tenants, until } from './fleet-rig.js';

let rig: FleetRig;
afterEach(() => rig.close());

/** Starts one server and gives it. */
async function started(over: ConstructorParameters<typeof FleetRig>[0] = {}): Promise<ReadyServer> {
  rig = new FleetRig(over);
  rig.start();
  return rig.readyAgain('managed-1');
}

/** Waits until the fresh server listens. */
async function succeeded(n = 1): Promise<ReadyServer> {
  await until(() => rig.succeeded.length >= n, 'a successor');
  return rig.succeeded[n - 1]!.server;
}

describe('a server that is renewed', () => {
  it('goes on beside the fresh one, in the same home, until it is retired', async () => {
    const before = await started();
    expect(rig.fleet.renew('managed-1', 'age')).toBe(true);
    const after = await succeeded();
    expect(rig.succeeded[0]!.reason).toBe('age');
    expect(after).toMatchObject({ name: 'managed-1', tenancy: { kind: 'shared' } });
    expect(after.run).not.toBe(before.run);
    expect(environmentOf(after.pid)['COPILOT_HOME']).toBe(environmentOf(before.pid)['COPILOT_HOME']);
    for (const { port, token } of [before, after]) {
      const [hello] = await ask(port, { method: 'connect', params: { token } });
      expect(hello!.result).toMatchObject({ ok: true });
    }
    expect(rig.status('managed-1')).toMatchObject({ state: 'ready', run: after.run, older: before.run, renewing: true, pid: after.pid });
    await rig.fleet.retire('managed-1', before.run);
    expect(isRunning(before.pid)).toBe(false);
    expect(isRunning(after.pid)).toBe(true);
    expect(rig.status('managed-1')).toMatchObject({ state: 'ready', run: after.run, older: undefined, renewing: false });
    expect(rig.ready).toEqual([before]);
    expect(rig.goneRuns).toEqual([before.run]);
  });

  it('is renewed once at a time', async () => {
    const before = await started();
    expect(rig.fleet.renew('managed-1', 'age')).toBe(true);
    expect(rig.fleet.renew('managed-1', 'age')).toBe(false);
    await succeeded();
    expect(rig.fleet.renew('managed-1', 'age')).toBe(false);
    await rig.fleet.retire('managed-1', before.run);
    expect(rig.fleet.renew('managed-1', 'age')).toBe(true);
    await succeeded(2);
  });

  it('is not when it does not run, or is not there', async () => {
    rig = new FleetRig();
    expect(rig.fleet.renew('managed-1', 'age')).toBe(false);
    rig.start();
    expect(rig.fleet.renew('managed-1', 'age')).toBe(false);
    expect(rig.fleet.renew('managed-7', 'age')).toBe(false);
    await rig.readyAgain('managed-1');
    await rig.fleet.stop();
    expect(rig.fleet.renew('managed-1', 'age')).toBe(false);
  });

  it('stays as it is when the fresh one does not start, which is not tried again by itself', async () => {
    const before = await started({ restartBackoff: { min: 600_000, max: 600_000 } });
    rig.update({ command: rig.script('broken.cjs', 'process.exit(7)') });
    expect(rig.status('managed-1')).toMatchObject({ outdated: true, renewing: false });
    expect(rig.fleet.renew('managed-1', 'outdated')).toBe(true);
    await until(() => rig.failed.length > 0, 'a failed start');
    expect(rig.failed).toEqual([{ name: 'managed-1', reason: 'exited with code 7', retryIn: 600_000 }]);
    expect(rig.status('managed-1')).toMatchObject({ state: 'ready', run: before.run, renewing: false, renewFailed: 'exited with code 7', outdated: true });
    expect(isRunning(before.pid)).toBe(true);
    expect(rig.fleet.renew('managed-1', 'outdated')).toBe(false);
    rig.update({ command: undefined, env: { COPILOT_OFFLINE: 'true', NEW: '1' } });
    expect(rig.status('managed-1').renewFailed).toBeUndefined();
    expect(rig.fleet.renew('managed-1', 'outdated')).toBe(true);
    expect(environmentOf((await succeeded()).pid)['NEW']).toBe('1');
    expect(rig.status('managed-1').outdated).toBe(false);
  });

  it('is taken over from at once when it dies before the fresh one listens', async () => {
    const before = await started();
    rig.update({ command: rig.script('slow.cjs', `setTimeout(() => { ${LISTENING} }, 500);`) });
    rig.fleet.renew('managed-1', 'outdated');
    process.kill(before.pid, 'SIGKILL');
    const after = await rig.readyAgain('managed-1', 2);
    expect(rig.goneRuns).toEqual([before.run]);
    expect(rig.succeeded).toEqual([]);
    expect(rig.status('managed-1')).toMatchObject({ state: 'ready', run: after.run, renewing: false, outdated: false });
  });

  it('may die while it is drained', async () => {
    const before = await started();
    rig.fleet.renew('managed-1', 'age');
    const after = await succeeded();
    process.kill(before.pid, 'SIGKILL');
    await until(() => rig.gone.length > 0, 'its end');
    expect(rig.gone).toEqual([{ name: 'managed-1', reason: 'killed by SIGKILL' }]);
    expect(rig.goneRuns).toEqual([before.run]);
    await rig.fleet.retire('managed-1', before.run);
    expect(rig.status('managed-1')).toMatchObject({ state: 'ready', run: after.run, restarts: 1, renewing: false });
    expect(isRunning(after.pid)).toBe(true);
  });

  it('goes on being drained when the fresh one dies, which is started again', async () => {
    const before = await started();
    rig.fleet.renew('managed-1', 'age');
    const after = await succeeded();
    process.kill(after.pid, 'SIGKILL');
    const third = await rig.readyAgain('managed-1', 2);
    expect(rig.goneRuns).toEqual([after.run]);
    expect([before, third].map(({ pid }) => isRunning(pid))).toEqual([true, true]);
    expect(rig.status('managed-1')).toMatchObject({ run: third.run, older: before.run });
  });

  it('is killed alone when it hangs, or the fresh one is', async () => {
    const before = await started();
    rig.fleet.renew('managed-1', 'age');
    const after = await succeeded();
    rig.fleet.kill('managed-1', 'hangs', before.run);
    await until(() => rig.gone.length === 1, 'the end of the older run');
    expect(isRunning(after.pid)).toBe(true);
    rig.fleet.kill('managed-1', 'hangs too');
    await rig.readyAgain('managed-1', 2);
    expect(rig.goneRuns).toEqual([before.run, after.run]);
  });

  it('is ended together with the fresh one when the name is retired, or the fleet is stopped', async () => {
    const before = await started();
    rig.fleet.renew('managed-1', 'age');
    const after = await succeeded();
    await rig.fleet.retire('managed-1');
    expect([before, after].map(({ pid }) => isRunning(pid))).toEqual([false, false]);
    const third = await rig.readyAgain('managed-1', 2);
    rig.fleet.renew('managed-1', 'age');
    const fourth = await succeeded(2);
    await rig.fleet.stop();
    expect([third, fourth].map(({ pid }) => isRunning(pid))).toEqual([false, false]);
    expect(rig.fleet.list()).toEqual([]);
  });

  it('may be stopped while the fresh one is starting', async () => {
    const before = await started();
    rig.fleet.renew('managed-1', 'age');
    await rig.fleet.stop();
    expect(isRunning(before.pid)).toBe(false);
    expect(rig.succeeded).toEqual([]);
    expect(rig.fleet.list()).toEqual([]);
  });

  it('may be let go while the fresh one is starting, which is given up then', async () => {
    await started();
    rig.fleet.renew('managed-1', 'age');
    rig.update({ count: 0 });
    expect(rig.removed).toEqual(['managed-1']);
    await rig.fleet.retire('managed-1');
    expect(rig.succeeded).toEqual([]);
    expect(rig.fleet.list()).toEqual([]);
  });
});

describe('a user\'s server that is renewed', () => {
  it('stays his, and is not stopped for being idle meanwhile', async () => {
    rig = new FleetRig(tenants({ idleStop: 600_000 }));
    rig.start();
    const before = await rig.claim('alice');
    rig.fleet.renew(before.name, 'rss');
    const after = await succeeded();
    expect(after).toMatchObject({ name: 'managed-u1', tenancy: { kind: 'user', user: 'alice' } });
    rig.fleet.tick(Date.now() + 700_000);
    expect(rig.removed).toEqual([]);
    expect(await rig.fleet.claim('alice')).toEqual({ name: 'managed-u1' });
    await rig.fleet.retire(before.name, before.run);
    rig.fleet.tick(Date.now() + 700_000);
    expect(rig.removed).toEqual(['managed-u1']);
  });
});
