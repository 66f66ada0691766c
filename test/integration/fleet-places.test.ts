/** Spares, and who gets a place when there are not enough, with the real CLI server. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Claim } from '../../proxy/fleet/line.js';
import { FleetRig, isRunning, startTenants, tenants, until } from './fleet-rig.js';

let rig: FleetRig;
afterEach(() => rig.close());

function start(over: Parameters<typeof tenants>[0] = {}, more: ConstructorParameters<typeof FleetRig>[0] = {}): FleetRig {
  rig = startTenants(over, more);
  return rig;
}

function ofKind(kind: string): string[] {
  return rig.fleet.list().filter(({ tenancy, state }) => tenancy.kind === kind && state === 'ready').map(({ name }) => name);
}

const home = (name: string): string => join(rig.directory, 'servers', name);

/** A moment at which whoever has just got a server counts as idle. */
const later = (): number => Date.now() + 2_000;

describe('a spare', () => {
  it('becomes the server of the next new user, as it runs, and is replaced', async () => {
    start({ spares: 1 });
    const spare = await rig.readyAgain('managed-u1');
    expect(spare.tenancy).toEqual({ kind: 'spare' });
    const alice = await rig.claim('alice');
    expect(alice).toEqual({ ...spare, tenancy: { kind: 'user', user: 'alice' } });
    rig.fleet.tick(Date.now());
    await rig.readyAgain('managed-u2');
    expect([ofKind('user'), ofKind('spare')]).toEqual([['managed-u1'], ['managed-u2']]);
  });

  it('that is still starting is given too', async () => {
    start({ spares: 1 });
    const alice = await rig.claim('alice');
    expect(alice).toMatchObject({ name: 'managed-u1', tenancy: { kind: 'user', user: 'alice' } });
    expect(rig.ready.filter(({ name }) => name === 'managed-u1')).toHaveLength(1);
  });

  it('is not for a user with an environment of his own, nor for one who has a home', async () => {
    start({ spares: 1, users: { alice: { env: { OWN: '1' } } } });
    await rig.readyAgain('managed-u1');
    expect((await rig.claim('alice')).name).toBe('managed-u2');
    expect((await rig.claim('bob')).name).toBe('managed-u1');
    await rig.fleet.retire('managed-u1');
    expect((await rig.claim('bob')).name).toBe('managed-u1');
  });

  it('is not given when it was started with what does not hold any more', async () => {
    start({ spares: 1 });
    await rig.readyAgain('managed-u1');
    rig.update({ limits: { openFiles: 4_096 } });
    expect(rig.status('managed-u1').outdated).toBe(true);
    expect((await rig.claim('alice')).name).toBe('managed-u2');
  });

  it('that dies is started again', async () => {
    start({ spares: 1 });
    process.kill((await rig.readyAgain('managed-u1')).pid, 'SIGKILL');
    expect((await rig.readyAgain('managed-u1', 2)).tenancy).toEqual({ kind: 'spare' });
  });

  it('too many is ended, and its home removed', async () => {
    start({ spares: 2 });
    const servers = [await rig.readyAgain('managed-u1'), await rig.readyAgain('managed-u2')];
    rig.update(tenants({ spares: 0 }));
    await until(() => rig.fleet.list().length === 0, 'no server');
    expect(servers.filter(({ pid }) => isRunning(pid))).toEqual([]);
    await until(() => !existsSync(home('managed-u1')) && !existsSync(home('managed-u2')), 'both homes removed');
    expect(rig.removedFor).toEqual(['fewer spares are kept', 'fewer spares are kept']);
  });

  it('that nobody got has its home removed when the fleet stops, a user\'s stays', async () => {
    start({ spares: 1 });
    await rig.readyAgain('managed-u1');
    await rig.claim('alice');
    rig.fleet.tick(Date.now());
    await rig.readyAgain('managed-u2');
    await rig.fleet.stop();
    expect(existsSync(home('managed-u2'))).toBe(false);
    expect(existsSync(home('managed-u1'))).toBe(true);
  });

  it('is kept only where there is a place', async () => {
    start({ spares: 5, maxServers: 3 });
    await until(() => ofKind('spare').length === 3, 'three spares');
    await rig.claim('alice');
    await rig.claim('bob');
    rig.fleet.tick(Date.now());
    expect(ofKind('user')).toHaveLength(2);
    await until(() => ofKind('spare').length === 1, 'one spare');
    expect(rig.fleet.list()).toHaveLength(3);
  });
});

describe('when all places are taken', () => {
  it('a spare that does not fit goes first', async () => {
    start({ spares: 1, maxServers: 2, users: { bob: { env: { OWN: '1' } } } });
    await rig.claim('alice');
    rig.fleet.tick(Date.now());
    await rig.readyAgain('managed-u2');
    expect((await rig.claim('bob')).name).toBe('managed-u3');
    expect(rig.removed).toEqual(['managed-u2']);
    expect([ofKind('user'), ofKind('spare')]).toEqual([['managed-u1', 'managed-u3'], []]);
  });

  it('the server that was idle for longest gives up its place', async () => {
    start({ maxServers: 3 });
    for (const user of ['alice', 'bob', 'carol']) await rig.claim(user);
    const now = later();
    rig.use.set('managed-u1', { busy: true, usedAt: now - 500 });
    rig.use.set('managed-u2', { busy: false, usedAt: now - 100 });
    rig.use.set('managed-u3', { busy: false, usedAt: now - 300 });
    const dave = rig.claim('dave');
    rig.fleet.tick(now);
    expect(rig.removed).toEqual(['managed-u3']);
    expect(rig.removedFor).toEqual(['its place is needed']);
    expect((await dave).name).toBe('managed-u4');
    expect(ofKind('user')).toEqual(['managed-u1', 'managed-u2', 'managed-u4']);
  });

  it('nobody loses a server that he has just got', async () => {
    start({ maxServers: 1 });
    await rig.claim('alice');
    const bob = rig.claim('bob');
    rig.fleet.tick(Date.now());
    expect(rig.removed).toEqual([]);
    rig.fleet.tick(later());
    expect((await bob).name).toBe('managed-u2');
  });

  it('the newcomers wait, and get places in order of arrival, each once', async () => {
    start({ maxServers: 1 });
    await rig.claim('alice');
    rig.use.set('managed-u1', { busy: true, usedAt: 0 });
    const order: string[] = [];
    const wait = (user: string) => rig.claim(user).then(() => {
      order.push(user);
      // Idle again as soon as it is there.
      setTimeout(() => rig.fleet.tick(later()), 5);
    });
    const all = ['bob', 'carol', 'bob', 'dave', 'bob', 'carol'].map(wait);
    expect(rig.fleet.waiting).toBe(3);
    rig.fleet.tick(later());
    expect(rig.removed).toEqual([]);
    rig.use.set('managed-u1', { busy: false, usedAt: 0 });
    rig.fleet.tick(later());
    await Promise.all(all);
    expect(order).toEqual(['bob', 'bob', 'bob', 'carol', 'carol', 'dave']);
    expect(rig.fleet.waiting).toBe(0);
  });

  it('one who comes back while his place goes to another waits behind him', async () => {
    start({ maxServers: 1 });
    await rig.claim('alice');
    rig.drainsAtOnce = false;
    const bob = rig.claim('bob');
    rig.fleet.tick(later());
    expect(rig.removed).toEqual(['managed-u1']);
    const alice = rig.claim('alice');
    rig.drainsAtOnce = true;
    await rig.fleet.retire('managed-u1');
    expect((await bob).name).toBe('managed-u2');
    rig.fleet.tick(later());
    expect((await alice).name).toBe('managed-u1');
  });

  it('so many wait and no more', async () => {
    start({ maxServers: 1, waiting: 2 });
    await rig.claim('alice');
    rig.use.set('managed-u1', { busy: true, usedAt: 0 });
    const waiting = [rig.fleet.claim('bob'), rig.fleet.claim('carol')];
    expect(await rig.fleet.claim('dave')).toEqual({ refused: 'full', reason: '2 other users wait for a server' });
    const again = rig.fleet.claim('bob');
    expect(rig.fleet.waiting).toBe(2);
    await rig.fleet.stop();
    for (const claim of [...waiting, again]) expect(await claim).toMatchObject({ refused: 'failed' });
  });

  it('nobody waits longer than he is to', async () => {
    start({ maxServers: 1, wait: 50 });
    rig.update(tenants({ maxServers: 1 }));
    await rig.claim('alice');
    rig.update(tenants({ maxServers: 1, wait: 50 }));
    rig.use.set('managed-u1', { busy: true, usedAt: 0 });
    const refused: Claim = { refused: 'waited', reason: 'none of 1 servers became free within 50 ms' };
    expect(await rig.fleet.claim('bob')).toEqual(refused);
    expect(rig.fleet.waiting).toBe(0);
  });

  it('a larger fleet lets them in, and a smaller one lets idle servers go', async () => {
    start({ maxServers: 1 });
    await rig.claim('alice');
    rig.use.set('managed-u1', { busy: true, usedAt: 0 });
    const bob = rig.claim('bob');
    rig.update(tenants({ maxServers: 2 }));
    await bob;
    rig.update(tenants({ maxServers: 1 }));
    rig.fleet.tick(later());
    expect(rig.removed).toEqual(['managed-u2']);
  });
});
