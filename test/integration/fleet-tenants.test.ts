/** Servers of one user each, with the real CLI server. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ask, environmentOf, FleetRig, isRunning, LISTENING, startTenants, tenants, until } from './fleet-rig.js';

let rig: FleetRig;
afterEach(() => rig.close());

function start(over: Parameters<typeof tenants>[0] = {}, more: ConstructorParameters<typeof FleetRig>[0] = {}): FleetRig {
  rig = startTenants(over, more);
  return rig;
}

describe('a user\'s own server', () => {
  it('is a process, a home and a token of his own', async () => {
    start();
    const [alice, bob] = await Promise.all([rig.claim('alice'), rig.claim('bob')]);
    expect(alice).toMatchObject({ name: 'managed-u1', tenancy: { kind: 'user', user: 'alice' }, canary: false });
    expect(bob).toMatchObject({ name: 'managed-u2', tenancy: { kind: 'user', user: 'bob' } });
    expect(alice.pid).not.toBe(bob.pid);
    expect(environmentOf(alice.pid)['COPILOT_HOME']).toBe(join(rig.directory, 'servers', 'managed-u1', 'home'));
    expect(environmentOf(bob.pid)['COPILOT_HOME']).toBe(join(rig.directory, 'servers', 'managed-u2', 'home'));
    const [refused] = await ask(alice.port, { method: 'connect', params: { token: bob.token } });
    expect(refused!.error?.code).toBe(-32002);
  });

  it('is started once for many claims, and given at once when it runs', async () => {
    start();
    const servers = await Promise.all(Array.from({ length: 20 }, () => rig.claim('alice')));
    expect(new Set(servers.map(({ pid }) => pid)).size).toBe(1);
    expect((await rig.claim('alice')).pid).toBe(servers[0]!.pid);
    expect(rig.ready).toHaveLength(1);
    expect(rig.fleet.serverOf('alice')).toBe('managed-u1');
    expect(rig.fleet.serverOf('bob')).toBeUndefined();
  });

  it('has the environment of its user, and nobody else\'s', async () => {
    start({ users: { alice: { env: { OWN: 'of alice' }, githubToken: 'gho_alice' } } });
    const [alice, bob] = [await rig.claim('alice'), await rig.claim('bob')];
    expect(environmentOf(alice.pid)).toMatchObject({ OWN: 'of alice', COPILOT_GITHUB_TOKEN: 'gho_alice', COPILOT_OFFLINE: 'true' });
    expect(environmentOf(bob.pid)).not.toHaveProperty('OWN');
    expect(environmentOf(bob.pid)).not.toHaveProperty('COPILOT_GITHUB_TOKEN');
  });

  it('is started again in the same home when it dies', async () => {
    start();
    const before = await rig.claim('alice');
    process.kill(before.pid, 'SIGKILL');
    const after = await rig.readyAgain('managed-u1', 2);
    expect(after.tenancy).toEqual(before.tenancy);
    expect(after.run).toBeGreaterThan(before.run);
    expect(rig.goneRuns).toEqual([before.run]);
  });

  it('keeps its home over a restart of Skyport', async () => {
    start();
    await rig.claim('alice');
    await rig.claim('bob');
    await rig.fleet.stop();
    const next = rig.successor();
    next.start();
    expect(next.fleet.list()).toEqual([]);
    expect(next.fleet.serverOf('bob')).toBe('managed-u2');
    expect((await next.claim('bob')).name).toBe('managed-u2');
    expect((await next.claim('carol')).name).toBe('managed-u3');
    await next.fleet.stop();
  });

  it('is refused when all uids are somebody else\'s', async () => {
    start({ uids: { from: 20_000, count: 1 }, wait: 1 });
    // Whether his starts at all depends on who runs this test.
    void rig.fleet.claim('alice');
    expect(await rig.fleet.claim('bob')).toEqual({ refused: 'failed', reason: 'no uid is left in fleet.uids' });
    expect(rig.fleet.list().map(({ name }) => name)).toEqual(['managed-u1']);
  });

  it('is refused when the fleet does not run, or gives nobody one', async () => {
    rig = new FleetRig();
    expect(await rig.fleet.claim('alice')).toMatchObject({ refused: 'failed' });
    rig.start();
    expect(await rig.fleet.claim('alice')).toEqual({ refused: 'failed', reason: 'no user has a server of his own' });
  });

  it('is refused when the fleet stops while it starts', async () => {
    start();
    const claim = rig.fleet.claim('alice');
    await rig.fleet.stop();
    expect(await claim).toEqual({ refused: 'failed', reason: 'the fleet does not run' });
    expect(rig.fleet.list()).toEqual([]);
  });
});

describe('a user\'s server that dies again and again', () => {
  function startBroken(): void {
    rig = new FleetRig({ ...tenants(), restartBackoff: { min: 5, max: 600_000 } });
    rig.update({ command: rig.script('broken.cjs', 'process.exit(7)') });
    rig.start();
  }

  it('lets his claims fail with the reason, at once when it is known', async () => {
    startBroken();
    const failed = { refused: 'failed', reason: 'exited with code 7' };
    expect(await rig.fleet.claim('alice')).toEqual(failed);
    expect(rig.status('managed-u1')).toMatchObject({ crashLoop: true, state: 'waiting', lastExit: 'exited with code 7' });
    expect(rig.failed).toHaveLength(5);
    expect(rig.failed[4]!.retryIn).toBeGreaterThanOrEqual(300_000);
    expect(await rig.fleet.claim('alice')).toEqual(failed);
    expect(rig.failed).toHaveLength(5);
  });

  it('is tried at once with a new configuration', async () => {
    startBroken();
    await rig.fleet.claim('alice');
    rig.update({ command: undefined });
    expect((await rig.claim('alice')).name).toBe('managed-u1');
    expect(rig.status('managed-u1')).toMatchObject({ crashLoop: false, state: 'ready' });
  });
});

describe('a user\'s server on which nothing is done', () => {
  it('is stopped after idle_stop, and starts again in the same home', async () => {
    start({ idleStop: 600_000 });
    const before = await rig.claim('alice');
    await rig.claim('bob');
    const now = Date.now();
    rig.use.set('managed-u2', { busy: false, usedAt: now + 60_000 });
    rig.fleet.tick(now + 300_000);
    expect(rig.removed).toEqual([]);
    rig.fleet.tick(now + 601_000);
    expect(rig.removed).toEqual(['managed-u1']);
    expect(rig.removedFor).toEqual(['idle']);
    await until(() => rig.fleet.list().length === 1, 'the end of managed-u1');
    expect(isRunning(before.pid)).toBe(false);
    const after = await rig.claim('alice');
    expect(after.name).toBe('managed-u1');
    expect(after.pid).not.toBe(before.pid);
  });

  it('is left alone while it is busy', async () => {
    start({ idleStop: 600_000 });
    await rig.claim('alice');
    rig.use.set('managed-u1', { busy: true, usedAt: 0 });
    rig.fleet.tick(Date.now() + 6_000_000);
    expect(rig.removed).toEqual([]);
    rig.use.set('managed-u1', { busy: false, usedAt: 0 });
    rig.fleet.tick(Date.now() + 6_000_000);
    expect(rig.removed).toEqual(['managed-u1']);
  });

  it('stays when its user comes back while it is drained', async () => {
    start({ idleStop: 600_000 });
    rig.drainsAtOnce = false;
    const before = await rig.claim('alice');
    rig.fleet.tick(Date.now() + 601_000);
    expect(rig.status('managed-u1').state).toBe('leaving');
    expect((await rig.claim('alice')).pid).toBe(before.pid);
    expect(rig.ready).toEqual([before, before]);
    expect(rig.status('managed-u1').state).toBe('ready');
  });

  it('is started again for a user who comes back while it ends', async () => {
    start({ idleStop: 600_000 });
    const before = await rig.claim('alice');
    rig.fleet.tick(Date.now() + 601_000);
    expect(rig.status('managed-u1').state).toBe('stopping');
    const after = await rig.claim('alice');
    expect(after.name).toBe('managed-u1');
    expect(after.pid).not.toBe(before.pid);
    expect(isRunning(before.pid)).toBe(false);
  });

  it('does not start again by itself when it dies while it is to leave', async () => {
    start({ idleStop: 600_000 });
    rig.drainsAtOnce = false;
    const { pid } = await rig.claim('alice');
    rig.fleet.tick(Date.now() + 601_000);
    process.kill(pid, 'SIGKILL');
    await until(() => rig.fleet.list().length === 0, 'managed-u1 forgotten');
    expect((await rig.claim('alice')).name).toBe('managed-u1');
  });
});

describe('a reload', () => {
  it('marks the servers that were started with something else', async () => {
    start({}, { count: 1 });
    await rig.readyAgain('managed-1');
    await rig.claim('alice');
    await rig.claim('bob');
    const outdated = () => rig.fleet.list().filter((member) => member.outdated).map(({ name }) => name);
    expect(outdated()).toEqual([]);
    rig.update(tenants({ users: { alice: { env: { OWN: '1' } } } }));
    rig.update({ count: 1 });
    expect(outdated()).toEqual(['managed-u1']);
    rig.update({ env: { COPILOT_OFFLINE: 'true', MORE: '1' } });
    expect(outdated()).toEqual(['managed-1', 'managed-u1', 'managed-u2']);
    rig.update({ env: { COPILOT_OFFLINE: 'true' }, ...tenants(), count: 1 });
    expect(outdated()).toEqual([]);
  });

  it('that gives nobody a server of his own any more lets all of them go', async () => {
    start();
    await rig.claim('alice');
    rig.update({ tenants: undefined });
    expect(rig.removed).toEqual(['managed-u1']);
    await until(() => rig.fleet.list().length === 0, 'no server');
    expect(await rig.fleet.claim('alice')).toMatchObject({ refused: 'failed' });
    expect(existsSync(join(rig.directory, 'servers', 'managed-u1'))).toBe(true);
  });
});

describe('canaries', () => {
  const canary = (share: number) => ({ command: rig.script('canary.cjs', LISTENING), share, count: 2 });

  it('run the new command beside the shared servers, and not without any', async () => {
    rig = new FleetRig({ count: 1 });
    rig.start();
    rig.update({ canary: canary(0.1) });
    const first = await rig.readyAgain('managed-canary-1');
    await rig.readyAgain('managed-canary-2');
    expect(first).toMatchObject({ canary: true, tenancy: { kind: 'shared' } });
    expect((await rig.readyAgain('managed-1')).canary).toBe(false);
    expect(rig.fleet.list().map(({ name }) => name)).toEqual(['managed-1', 'managed-canary-1', 'managed-canary-2']);
    rig.update({ count: 0 });
    expect(new Set(rig.removed)).toEqual(new Set(['managed-1', 'managed-canary-1', 'managed-canary-2']));
  });

  it('are the servers of a share of the users', async () => {
    start();
    rig.update({ canary: canary(1) });
    expect((await rig.claim('alice')).canary).toBe(true);
    rig.update({ canary: canary(0) });
    expect((await rig.claim('bob')).canary).toBe(false);
    expect(rig.status('managed-u1')).toMatchObject({ canary: true, outdated: true });
  });
});

describe('the file of homes', () => {
  it('holds names and nothing secret, and the fleet starts without it', async () => {
    start({ users: { alice: { githubToken: 'gho_alice' } } });
    const { token } = await rig.claim('alice');
    await rig.fleet.stop();
    const file = join(rig.directory, 'servers', 'homes.json');
    const text = readFileSync(file, 'utf8');
    expect(JSON.parse(text)).toEqual({ version: 1, next: 2, homes: [{ name: 'managed-u1', user: 'alice' }] });
    expect(text).not.toContain(token);
    rmSync(file);
    const next = rig.successor();
    next.start();
    expect((await next.claim('bob')).name).toBe('managed-u2');
    await next.fleet.stop();
  });
});
