/** Calls of users whose servers do not run yet. */
import { describe, expect, it } from 'vitest';
import type { Backend } from '../../../proxy/backends/backend.js';
import type { Pool } from '../../../proxy/backends/pool.js';
import { OwnServers, type Claimed } from '../../../proxy/clients/tenants.js';

/** A pool in which a test sets whose server is up, and a fleet that answers as the test says. */
class Rig {
  readonly own = new Map<string, Partial<Backend>>();
  readonly claims: string[] = [];
  private readonly answers: ((claimed: Claimed) => void)[] = [];
  private readonly waiters: (() => void)[] = [];
  patience = 60_000;
  readonly servers = new OwnServers(
    { ownOf: (user: string) => this.own.get(user), nextUp: () => this.next() } as unknown as Pool,
    (user) => user !== 'guest',
    (user) => {
      this.claims.push(user);
      return new Promise((resolve) => this.answers.push(resolve));
    },
    () => this.patience,
  );

  answer(claimed: Claimed): void {
    this.answers.shift()!(claimed);
  }

  up(user: string): void {
    this.own.set(user, { eligible: true, usedAt: 0 });
    for (const waiter of this.waiters.splice(0)) waiter();
  }

  private next(): Promise<undefined> {
    return new Promise((resolve) => this.waiters.push(() => resolve(undefined)));
  }
}

const settled = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

describe('a user who shares servers', () => {
  it('waits for nothing', () => {
    expect(new Rig().servers.lacks('guest')).toBe(false);
  });
});

describe('a user with a server of his own', () => {
  it('lacks it until it can be used', () => {
    const rig = new Rig();
    expect(rig.servers.lacks('alice')).toBe(true);
    rig.own.set('alice', { eligible: false });
    expect(rig.servers.lacks('alice')).toBe(true);
    rig.up('alice');
    expect(rig.servers.lacks('alice')).toBe(false);
  });

  it('has one started for all calls that wait at that time', async () => {
    const rig = new Rig();
    const all = Promise.all([rig.servers.ready('alice'), rig.servers.ready('alice'), rig.servers.ready('bob')]);
    expect([rig.claims, rig.servers.waiting]).toEqual([['alice', 'bob'], 2]);
    rig.answer({ name: 'managed-u1' });
    rig.answer({ name: 'managed-u2' });
    await settled();
    rig.up('alice');
    rig.up('bob');
    await settled();
    // Whoever looks again is told that his runs.
    while (rig.claims.length > 2 && rig.servers.waiting > 0) await settled();
    expect(await all).toEqual([undefined, undefined, undefined]);
    expect(rig.servers.waiting).toBe(0);
  });

  it('is refused for a while when all servers are in use', async () => {
    const rig = new Rig();
    const ready = rig.servers.ready('alice');
    rig.answer({ refused: 'full', reason: 'all in use' });
    expect(await ready).toMatchObject({ name: 'SKYPORT_FLEET_FULL' });
  });

  it('is told when his does not start', async () => {
    const rig = new Rig();
    const ready = rig.servers.ready('alice');
    rig.answer({ refused: 'failed', reason: 'exited with code 1' });
    expect(await ready).toMatchObject({ name: 'SKYPORT_SERVER_FAILED', message: 'Your CLI server does not start: exited with code 1' });
  });

  it('does not wait for one that is drained', async () => {
    const rig = new Rig();
    rig.own.set('alice', { eligible: false, draining: true });
    expect(await rig.servers.ready('alice')).toMatchObject({ name: 'SKYPORT_NO_BACKEND' });
    expect(rig.claims).toEqual([]);
  });

  it('is refused when it listens and does not become ready', async () => {
    const rig = new Rig();
    rig.patience = 0;
    const ready = rig.servers.ready('alice');
    rig.answer({ name: 'managed-u1' });
    expect(await ready).toMatchObject({ name: 'SKYPORT_NO_BACKEND' });
  });
});
