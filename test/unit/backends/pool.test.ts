import { describe, expect, it } from 'vitest';
import type { Backend, BackendSettings } from '../../../proxy/backends/backend.js';
import { Pool, type StaticBackend } from '../../../proxy/backends/pool.js';
import { PLAIN } from '../../../proxy/backends/profile.js';
import type { PolicyName } from '../../../proxy/routing/policy.js';
import { FakeServer } from '../../support/fake-server.js';
import { scopeOfEachTest } from '../../support/scope.js';
import { sessionOf } from '../sessions/cast.js';
import { until } from '../wire/sockets.js';
import { attachTo, linkOf, SETTINGS } from './service.js';

const scope = scopeOfEachTest();
const IDLE = 60_000;

/** A pool whose load a test sets; `removed` are the names of backends that have gone. */
class PoolUnderTest {
  readonly loads = new Map<string, number>();
  readonly removed: string[] = [];
  readonly pool: Pool;

  constructor(policy: PolicyName = 'round_robin') {
    this.pool = new Pool(policy, { loaded: (name) => this.loads.get(name) ?? 0, turnsOpen: () => 0 }, {
      onBroadcast: () => undefined,
      onUp: () => undefined,
      onDown: () => undefined,
      onRemoved: ({ name }) => this.removed.push(name),
    });
    scope.after(() => this.pool.close());
  }

  /** Static backends that are up, called b1, b2, …, with what differs from the settings. */
  async with(...specs: Partial<BackendSettings>[]): Promise<StaticBackend[]> {
    const backends = await Promise.all(specs.map(async (spec, index) => staticBackend(`b${index + 1}`, await server(), spec)));
    this.pool.setStatic(backends);
    await this.allUp();
    return backends;
  }

  async allUp(): Promise<void> {
    await until(() => this.pool.all().every(({ up }) => up));
  }

  /** Where so many new sessions of one user go. */
  placed(count: number, except?: ReadonlySet<string>): string[] {
    return Array.from({ length: count }, (_, n) => this.pool.place({ user: 'alice', sessionId: `s${n}` }, except)).map(({ name }) => name);
  }

  backend(name: string): Backend {
    return this.pool.get(name)!;
  }

  tick(): void {
    this.pool.tick(performance.now(), IDLE);
  }
}

async function server(): Promise<FakeServer> {
  return scope.own(await FakeServer.start());
}

function staticBackend(name: string, fake: FakeServer, more: Partial<BackendSettings> = {}): StaticBackend {
  return { ...SETTINGS, ...more, name, address: { host: '127.0.0.1', port: fake.port } };
}

describe('a new session', () => {
  it('goes where the policy says', async () => {
    const site = new PoolUnderTest();
    await site.with({}, {}, {});
    expect(site.placed(6).sort()).toEqual(['b1', 'b1', 'b2', 'b2', 'b3', 'b3']);
  });

  it('goes by weight', async () => {
    const site = new PoolUnderTest();
    await site.with({ weight: 3 }, { weight: 1 });
    expect(site.placed(8).filter((name) => name === 'b1')).toHaveLength(6);
  });

  it('stays with its user under the sticky policy', async () => {
    const site = new PoolUnderTest('sticky');
    await site.with({}, {}, {});
    expect(new Set(site.placed(10)).size).toBe(1);
  });

  it('goes by another policy as soon as there is one', async () => {
    const site = new PoolUnderTest('sticky');
    await site.with({}, {});
    site.pool.setPolicy('round_robin');
    expect(new Set(site.placed(4)).size).toBe(2);
  });

  it('goes to the emptiest under least_sessions', async () => {
    const site = new PoolUnderTest('least_sessions');
    await site.with({}, {});
    site.loads.set('b1', 5);
    expect(new Set(site.placed(5))).toEqual(new Set(['b2']));
  });

  it('goes to no backend that is full', async () => {
    const site = new PoolUnderTest();
    await site.with({ maxSessions: 2 }, { maxSessions: 9 });
    site.loads.set('b1', 2);
    expect(site.placed(4)).toEqual(['b2', 'b2', 'b2', 'b2']);
    site.loads.set('b2', 9);
    expect(site.placed(1)).toEqual(['SKYPORT_NO_BACKEND']);
  });

  it('goes to a backup only when no other can take it', async () => {
    const site = new PoolUnderTest();
    await site.with({}, { backup: true });
    expect(site.placed(3)).toEqual(['b1', 'b1', 'b1']);
    site.backend('b1').draining = true;
    expect(site.placed(2)).toEqual(['b2', 'b2']);
  });

  it('goes to no backend that drains, until it does no more', async () => {
    const site = new PoolUnderTest();
    await site.with({}, {});
    site.backend('b1').draining = true;
    expect(site.placed(3)).toEqual(['b2', 'b2', 'b2']);
    site.backend('b1').draining = false;
    expect(new Set(site.placed(4)).size).toBe(2);
  });

  it('goes to no backend that has just failed it', async () => {
    const site = new PoolUnderTest();
    await site.with({}, {});
    expect(site.placed(3, new Set(['b2']))).toEqual(['b1', 'b1', 'b1']);
    expect(site.placed(1, new Set(['b1', 'b2']))).toEqual(['SKYPORT_NO_BACKEND']);
  });

  it('is refused while no backend is up', () => {
    expect(new PoolUnderTest().placed(1)).toEqual(['SKYPORT_NO_BACKEND']);
  });
});

describe('a call that belongs to no session', () => {
  it('goes to any backend that is up', async () => {
    const site = new PoolUnderTest();
    await site.with({}, {});
    expect([site.pool.anyUp()?.name, site.pool.anyUp('alice')?.name]).toEqual(['b1', 'b1']);
  });

  it('goes to a draining backend rather than to none', async () => {
    const site = new PoolUnderTest();
    await site.with({}, {});
    site.backend('b1').draining = true;
    expect(site.pool.anyUp()?.name).toBe('b2');
    site.backend('b2').draining = true;
    expect(site.pool.anyUp()?.name).toBe('b1');
  });

  it('waits for the first backend that comes up', async () => {
    const site = new PoolUnderTest();
    const [one, other] = [site.pool.whenUp(20_000), site.pool.whenUp(20_000)];
    await site.with({});
    expect([(await one)?.name, (await other)?.name]).toEqual(['b1', 'b1']);
    expect((await site.pool.whenUp(20_000))?.name).toBe('b1');
  });

  it('waits no longer than it was told to', async () => {
    expect(await new PoolUnderTest().pool.whenUp(1)).toBeUndefined();
  });
});

describe('the last backend that answers', () => {
  it('cannot be done without', async () => {
    const site = new PoolUnderTest();
    await site.with({}, {});
    expect(site.pool.mayDoWithout(site.backend('b1'))).toBe(true);
    site.backend('b2').draining = true;
    expect(site.pool.mayDoWithout(site.backend('b1'))).toBe(false);
  });
});

describe('a new configuration', () => {
  it('with another weight changes that, and closes nothing', async () => {
    const site = new PoolUnderTest();
    const specs = await site.with({}, {});
    const backend = site.backend('b1');
    const link = linkOf(await backend.links.borrow(PLAIN));
    site.pool.setStatic([{ ...specs[0]!, weight: 9 }, specs[1]!]);
    expect([site.backend('b1'), backend.settings.weight, link.usable]).toEqual([backend, 9, true]);
  });

  it('with one more backend adds it', async () => {
    const site = new PoolUnderTest();
    const specs = await site.with({});
    site.pool.setStatic([...specs, staticBackend('b2', await server())]);
    await site.allUp();
    expect(site.pool.names()).toEqual(['b1', 'b2']);
  });

  it('without a backend gives it no new session, but leaves it to those it has', async () => {
    const site = new PoolUnderTest();
    const specs = await site.with({}, {});
    const { session } = sessionOf('s1', { backend: 'b1' });
    const leaving = site.backend('b1');
    await attachTo(leaving, session);
    site.pool.setStatic([specs[1]!]);
    site.tick();
    expect(site.placed(2)).toEqual(['b2', 'b2']);
    expect([site.pool.get('b1'), site.pool.bound('b1'), site.removed]).toEqual([undefined, leaving, []]);
    expect(site.pool.all().map(({ name }) => name)).toEqual(['b2', 'b1']);
    session.attachments[0]!.gone();
    site.tick();
    expect([site.pool.bound('b1'), site.removed, leaving.up]).toEqual([undefined, ['b1'], false]);
  });

  it('without a backend waits for the calls on it', async () => {
    const site = new PoolUnderTest();
    const specs = await site.with({}, {});
    const link = linkOf(await site.backend('b1').links.borrow(PLAIN));
    const call = link.call('ping', {}, 20_000);
    site.pool.setStatic([specs[1]!]);
    site.tick();
    expect(site.removed).toEqual([]);
    expect(await call).toMatchObject({ ok: true });
    site.tick();
    expect(site.removed).toEqual(['b1']);
  });

  it('with another address for a name is another backend; the old one leaves', async () => {
    const site = new PoolUnderTest();
    const specs = await site.with({});
    const before = site.backend('b1');
    const { session } = sessionOf();
    const link = linkOf(await attachTo(before, session));
    const next = await server();
    site.pool.setStatic([{ ...specs[0]!, address: { host: '127.0.0.1', port: next.port } }]);
    expect([site.backend('b1') === before, before.removed, link.usable]).toEqual([false, true, true]);
    await site.allUp();
    expect(site.pool.bound('b1')).toBe(site.backend('b1'));
    session.attachments[0]!.gone();
    site.tick();
    expect([site.removed, site.backend('b1').up]).toEqual([['b1'], true]);
  });

  it('that brings a removed backend back has a fresh one', async () => {
    const site = new PoolUnderTest();
    const specs = await site.with({});
    site.pool.setStatic([]);
    site.pool.setStatic(specs);
    await site.allUp();
    expect([site.backend('b1').removed, site.placed(1)]).toEqual([false, ['b1']]);
  });

  it('keeps the bytes of those that have gone in the totals', async () => {
    const site = new PoolUnderTest();
    await site.with({});
    const before = site.pool.traffic();
    site.pool.setStatic([]);
    site.tick();
    expect(site.removed).toEqual(['b1']);
    expect(site.pool.traffic()).toEqual(before);
    expect(before.bytesOut).toBeGreaterThan(0);
  });
});

describe('a managed server', () => {
  async function managed(): Promise<{ site: PoolUnderTest; backend: Backend; address: { host: string; port: number } }> {
    const site = new PoolUnderTest();
    const address = { host: '127.0.0.1', port: (await server()).port };
    site.pool.managedUp({ name: 'managed-1', address }, SETTINGS);
    await site.allUp();
    return { site, backend: site.backend('managed-1'), address };
  }

  it('is a backend from when it is up', async () => {
    const { site, backend } = await managed();
    expect([backend.kind, site.placed(1)]).toEqual(['managed', ['managed-1']]);
  });

  it('stands after the static ones, by its number and not by when it came up', async () => {
    const site = new PoolUnderTest();
    await site.with({});
    for (const name of ['managed-10', 'managed-2', 'managed-1']) {
      site.pool.managedUp({ name, address: { host: '127.0.0.1', port: (await server()).port } }, SETTINGS);
    }
    expect(site.pool.all().map(({ name }) => name)).toEqual(['b1', 'managed-1', 'managed-2', 'managed-10']);
  });

  it('is not touched by the list of static ones', async () => {
    const { site, backend } = await managed();
    site.pool.setStatic([]);
    expect(site.backend('managed-1')).toBe(backend);
  });

  it('is out when its process has gone, and the same backend when it is up again elsewhere', async () => {
    const { site, backend } = await managed();
    site.pool.managedDown('managed-1', 'exited with 1');
    expect([site.placed(1), backend.lastError]).toEqual([['SKYPORT_NO_BACKEND'], 'exited with 1']);
    site.pool.managedUp({ name: 'managed-1', address: { host: '127.0.0.1', port: (await server()).port } }, SETTINGS);
    await site.allUp();
    expect([site.backend('managed-1'), site.placed(1)]).toEqual([backend, ['managed-1']]);
  });

  it('that is one too many goes when nobody is attached any more', async () => {
    const { site, backend } = await managed();
    const { session } = sessionOf();
    await attachTo(backend, session);
    site.pool.managedRemove('managed-1', 'the fleet shrinks');
    site.tick();
    expect([site.removed, site.placed(1), site.pool.bound('managed-1')]).toEqual([[], ['SKYPORT_NO_BACKEND'], backend]);
    session.attachments[0]!.gone();
    site.tick();
    expect(site.removed).toEqual(['managed-1']);
  });

  it('is taken back with all who are attached when the fleet grows before it has gone', async () => {
    const { site, backend, address } = await managed();
    const link = linkOf(await attachTo(backend, sessionOf().session));
    site.pool.managedRemove('managed-1', 'the fleet shrinks');
    site.pool.managedUp({ name: 'managed-1', address }, { ...SETTINGS, weight: 7 });
    expect([site.backend('managed-1'), backend.removed, link.usable, backend.settings.weight]).toEqual([backend, false, true, 7]);
    expect(site.placed(1)).toEqual(['managed-1']);
    site.tick();
    expect(site.removed).toEqual([]);
  });

  it('gets new settings with all the others', async () => {
    const { site, backend } = await managed();
    site.pool.updateManaged({ ...SETTINGS, weight: 4 });
    expect(backend.settings.weight).toBe(4);
  });

  it('is let go when a fresh one has taken its place, and told of when it is empty', async () => {
    const site = new PoolUnderTest();
    const [first, second] = await Promise.all([server(), server()]);
    const addressOf = ({ port }: FakeServer) => ({ host: '127.0.0.1', port });
    site.pool.managedUp({ name: 'managed-1', address: addressOf(first), run: 1 }, SETTINGS);
    await site.allUp();
    const older = site.backend('managed-1');
    await attachTo(older, sessionOf().session);
    site.pool.managedUp({ name: 'managed-1', address: addressOf(second), run: 2 }, SETTINGS);
    await site.allUp();
    const fresh = site.backend('managed-1');
    expect([fresh === older, older.removed, older.up, fresh.run]).toEqual([false, true, true, 2]);
    expect(site.placed(1)).toEqual(['managed-1']);
    site.tick();
    expect(site.removed).toEqual([]);
    site.pool.managedDown('managed-1', 'killed', 1);
    expect([older.up, fresh.up]).toEqual([false, true]);
    await until(() => older.links.attached === 0);
    site.tick();
    expect([site.removed, site.pool.all()]).toEqual([['managed-1'], [fresh]]);
  });

  it('keeps the links of a spare, however long its user does not come, and for a while after he has', async () => {
    const site = new PoolUnderTest();
    const address = { host: '127.0.0.1', port: (await server()).port };
    site.pool.managedUp({ name: 'managed-u1', address, tenancy: { kind: 'spare' }, run: 1 }, SETTINGS);
    await site.allUp();
    const spare = site.backend('managed-u1');
    const link = linkOf(await spare.links.borrow(PLAIN));
    link.idleSince = performance.now() - 2 * IDLE;
    site.tick();
    expect(link.usable).toBe(true);
    site.pool.managedUp({ name: 'managed-u1', address, tenancy: { kind: 'user', user: 'alice' }, run: 1 }, SETTINGS);
    site.tick();
    expect(link.usable).toBe(true);
    link.idleSince = performance.now() - 2 * IDLE;
    site.tick();
    expect(link.usable).toBe(false);
  });

  it('is the same one still when it becomes a user\'s', async () => {
    const site = new PoolUnderTest();
    const address = { host: '127.0.0.1', port: (await server()).port };
    site.pool.managedUp({ name: 'managed-u1', address, tenancy: { kind: 'spare' }, run: 1 }, SETTINGS);
    await site.allUp();
    const spare = site.backend('managed-u1');
    expect([site.placed(1), site.pool.ownOf('alice')]).toEqual([['SKYPORT_NO_BACKEND'], undefined]);
    site.pool.managedUp({ name: 'managed-u1', address, tenancy: { kind: 'user', user: 'alice' }, run: 1 }, SETTINGS);
    expect([site.pool.ownOf('alice'), spare.up]).toEqual([spare, true]);
  });
});
