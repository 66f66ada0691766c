/** Several Skyports on a real Redis know of each other, and of who is gone. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Instance } from '../../proxy/store/instances.js';
import { RedisInstances } from '../../proxy/store/redis-instances.js';
import { RedisServer, until } from '../support/redis.js';
import { clientOf } from '../support/redis-store.js';
import { scopeOfEachTest, scopeOfSuite } from '../support/scope.js';

const suite = scopeOfSuite();
const scope = scopeOfEachTest();
const LEASE = 1_000;

let server: RedisServer;

beforeAll(async () => {
  server = suite.own(await RedisServer.start({ appendonly: true }));
});

beforeEach(async () => {
  await server.command('FLUSHALL');
});

async function instance(address?: string, lease = LEASE): Promise<RedisInstances> {
  const instances = new RedisInstances(await clientOf(server, scope), lease);
  if (address !== undefined) await instances.join(address);
  return instances;
}

function goneFor(instances: RedisInstances): string[] {
  const gone: string[] = [];
  instances.onGone(({ address }: Instance) => gone.push(address));
  return gone;
}

describe('instances on one Redis', () => {
  it('find each other by their addresses', async () => {
    const [one, two] = [await instance('127.0.0.1:1'), await instance('127.0.0.1:2')];
    const found = await one.list();
    expect(found.map(({ id, address }) => [id, address]).sort((a, b) => (a[1]! < b[1]! ? -1 : 1))).toEqual([[one.id, '127.0.0.1:1'], [two.id, '127.0.0.1:2']]);
    expect(Math.abs(found[0]!.startedAt - Date.now())).toBeLessThan(60_000);
  });

  it('know of one that has joined a moment ago, and of one that never was or has left, without a tick', async () => {
    const one = await instance('one');
    const [two, three] = [await instance('two'), await instance('three')];
    await three.leave();
    expect(await Promise.all([two.id, three.id, 'another'].map((id) => one.gone(id)))).toEqual([false, true, true]);
  });

  it('have one secret, whoever asks first', async () => {
    const all = await Promise.all([instance(), instance(), instance()]);
    const secrets = await Promise.all(all.map((one) => one.secret()));
    expect(new Set(secrets).size).toBe(1);
    expect(Buffer.from(secrets[0]!, 'base64url')).toHaveLength(32);
    expect(await (await instance()).secret()).toBe(secrets[0]);
  });

  it('are told of one that does not renew its lease', async () => {
    const [one, two] = [await instance('one'), await instance('two')];
    const gone = goneFor(one);
    await one.tick();
    await until(async () => {
      await one.tick();
      return gone.length > 0;
    });
    expect(gone).toEqual(['two']);
    expect(await one.gone(two.id)).toBe(true);
    expect((await one.list()).map(({ address }) => address)).toEqual(['one']);
  });

  it('are told at the next tick of one that leaves', async () => {
    const [one, two] = [await instance('one', 60_000), await instance('two', 60_000)];
    const gone = goneFor(one);
    await one.tick();
    await two.leave();
    await two.tick();
    await one.tick();
    expect(gone).toEqual(['two']);
  });

  it('keep those that renew for longer than a lease', async () => {
    const [one, two] = [await instance('one'), await instance('two')];
    const gone = goneFor(one);
    const end = performance.now() + 2 * LEASE;
    while (performance.now() < end) {
      await two.tick();
      await one.tick();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(gone).toEqual([]);
  });

  it('are told that they were gone themselves', async () => {
    const one = await instance('one', 100);
    let lapsed = 0;
    one.onLapsed(() => lapsed++);
    await until(() => expired(one.id));
    await one.tick();
    expect(lapsed).toBe(1);
  });

  it('do not take each other for dead because Redis was away for longer than a lease', async () => {
    const lease = 1_500;
    const [one, two] = [await instance('one', lease), await instance('two', lease)];
    const gone = goneFor(one);
    await one.tick();
    await server.kill();
    await new Promise((resolve) => setTimeout(resolve, lease + 100));
    await server.start();
    await one.tick();
    expect((await one.list()).map(({ address }) => address).sort()).toEqual(['one', 'two']);
    expect(await one.gone(two.id)).toBe(false);
    await two.tick();
    await one.tick();
    expect(gone).toEqual([]);
  });
});

async function expired(id: string): Promise<boolean> {
  const [seconds] = await server.command('TIME') as [string];
  const lease = await server.command('HGET', 'test:{instances}:leases', id) as string;
  return Number(lease.split(' ')[0]) < (Number(seconds) - 1) * 1000;
}
