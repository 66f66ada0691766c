/** Locks: the same behaviour in one process and over a real Redis, and what only several processes show. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Held, Locks, Taken } from '../../proxy/store/locks.js';
import { MemoryLocks } from '../../proxy/store/memory-locks.js';
import { RedisLocks } from '../../proxy/store/redis-locks.js';
import { RedisServer, until } from '../support/redis.js';
import { clientOf } from '../support/redis-store.js';
import { scopeOfEachTest, scopeOfSuite } from '../support/scope.js';

const suite = scopeOfSuite();
const scope = scopeOfEachTest();
const LONG = 60_000;

let server: RedisServer;

beforeAll(async () => {
  server = suite.own(await RedisServer.start({ appendonly: true }));
});

beforeEach(async () => {
  await server.command('FLUSHALL');
});

async function redisLocks(): Promise<RedisLocks> {
  return new RedisLocks(await clientOf(server, scope));
}

function fenceOf(got: Held | Taken): number {
  if (!('fence' in got)) throw new Error(`${got.holder} has the lock`);
  return got.fence;
}

describe.each<[string, () => Promise<Locks>]>([
  ['in one process', () => Promise.resolve(new MemoryLocks())],
  ['in Redis', redisLocks],
])('a lock %s', (_where, make) => {
  let locks: Locks;

  beforeEach(async () => {
    locks = await make();
  });

  it('has one holder, who is told to the others', async () => {
    fenceOf(await locks.acquire('s1', 'alice', LONG));
    expect(await locks.acquire('s1', 'bob', LONG)).toEqual({ holder: 'alice' });
    fenceOf(await locks.acquire('s2', 'bob', LONG));
  });

  it('has a fence that goes up with each holder, and is the same for a holder that asks again', async () => {
    const fences: number[] = [];
    for (const holder of ['alice', 'bob', 'alice']) {
      const fence = fenceOf(await locks.acquire('s1', holder, LONG));
      expect(await locks.acquire('s1', holder, LONG)).toEqual({ fence });
      await locks.release('s1', holder, fence);
      fences.push(fence);
    }
    expect(fences).toEqual([1, 2, 3]);
  });

  it('is released and renewed by its holder only', async () => {
    const fence = fenceOf(await locks.acquire('s1', 'alice', LONG));
    expect(await locks.release('s1', 'bob', fence)).toBe(false);
    expect(await locks.release('s1', 'alice', fence + 1)).toBe(false);
    expect(await locks.renew('s1', 'bob', fence)).toBe(false);
    expect(await locks.renew('s1', 'alice', fence)).toBe(true);
    expect(await locks.acquire('s1', 'bob', LONG)).toEqual({ holder: 'alice' });
    expect(await locks.release('s1', 'alice', fence)).toBe(true);
    expect(await locks.release('s1', 'alice', fence)).toBe(false);
  });

  it('goes to those that wait in the order of their arrival', async () => {
    let fence = fenceOf(await locks.acquire('s1', 'alice', LONG));
    expect([await locks.enqueue('s1', 'bob', LONG), await locks.enqueue('s1', 'carol', LONG), await locks.enqueue('s1', 'bob', LONG)]).toEqual([1, 2, 1]);
    await locks.release('s1', 'alice', fence);
    expect(await locks.acquire('s1', 'carol', LONG)).toEqual({ holder: 'bob' });
    expect(await locks.acquire('s1', 'alice', LONG)).toEqual({ holder: 'bob' });
    fence = fenceOf(await locks.acquire('s1', 'bob', LONG));
    expect([await locks.position('s1', 'bob'), await locks.position('s1', 'carol')]).toEqual([undefined, 1]);
    await locks.release('s1', 'bob', fence);
    fenceOf(await locks.acquire('s1', 'carol', LONG));
  });

  it('does not wait for who has left the queue', async () => {
    const fence = fenceOf(await locks.acquire('s1', 'alice', LONG));
    await locks.enqueue('s1', 'bob', LONG);
    await locks.enqueue('s1', 'carol', LONG);
    await locks.leave('s1', 'bob');
    expect([await locks.position('s1', 'bob'), await locks.position('s1', 'carol')]).toEqual([undefined, 1]);
    await locks.release('s1', 'alice', fence);
    fenceOf(await locks.acquire('s1', 'carol', LONG));
  });

  it('tells when it is free and when the places have changed', async () => {
    const told: string[] = [];
    const fence = fenceOf(await locks.acquire('s1', 'alice', LONG));
    await locks.enqueue('s1', 'bob', LONG);
    await locks.enqueue('s1', 'carol', LONG);
    locks.watch((key) => told.push(key));
    // Until it listens, nothing is told.
    await until(async () => {
      await locks.enqueue('probe', 'x', LONG);
      await locks.leave('probe', 'x');
      return told.length > 0;
    });
    const own = (): number => told.filter((key) => key === 's1').length;
    await locks.release('s1', 'alice', fence);
    await until(() => own() === 1);
    await locks.acquire('s1', 'bob', LONG);
    await until(() => own() === 2);
    await locks.leave('s1', 'carol');
    await until(() => own() === 3);
  });

  it('is forgotten when nobody has it or waits for it', async () => {
    const fence = fenceOf(await locks.acquire('s1', 'alice', LONG));
    await locks.forget('s1');
    expect(await locks.renew('s1', 'alice', fence)).toBe(true);
    await locks.release('s1', 'alice', fence);
    await locks.forget('s1');
    expect(fenceOf(await locks.acquire('s1', 'alice', LONG))).toBe(1);
  });
});

describe('a lock that several processes want', () => {
  it('is never held by two, and serves them in turn', async () => {
    const all = await Promise.all([redisLocks(), redisLocks(), redisLocks()]);
    let holding = 0;
    const fences: number[] = [];
    await Promise.all(all.map(async (locks, n) => {
      for (let turn = 0; turn < 20; turn++) {
        const me = `${n}.${turn}`;
        await locks.enqueue('s1', me, LONG);
        let got: Held | Taken;
        while (!('fence' in (got = await locks.acquire('s1', me, LONG))));
        expect(++holding).toBe(1);
        fences.push(got.fence);
        await new Promise((resolve) => setImmediate(resolve));
        holding--;
        await locks.release('s1', me, got.fence);
      }
    }));
    expect(fences).toEqual(Array.from({ length: 60 }, (_, n) => n + 1));
  });

  it('stays with a holder that renews it, for longer than it lasts', async () => {
    const [one, two] = [await redisLocks(), await redisLocks()];
    const lost: string[] = [];
    one.onLost((key) => lost.push(key));
    const fence = fenceOf(await one.acquire('s1', 'alice', 1_000));
    await two.enqueue('s1', 'bob', LONG);
    const end = performance.now() + 2_500;
    while (performance.now() < end) {
      await one.tick();
      expect(await two.acquire('s1', 'bob', LONG)).toEqual({ holder: 'alice' });
    }
    expect(await one.release('s1', 'alice', fence)).toBe(true);
    expect(lost).toEqual([]);
  });

  it('is lost by a holder that does not renew it, which is told and cannot release it any more', async () => {
    const [one, two] = [await redisLocks(), await redisLocks()];
    const lost: [string, string, number][] = [];
    one.onLost((...which) => lost.push(which));
    const fence = fenceOf(await one.acquire('s1', 'alice', 100));
    let got: Held | Taken;
    while (!('fence' in (got = await two.acquire('s1', 'bob', LONG))));
    expect(got.fence).toBe(fence + 1);
    await one.tick();
    expect(lost).toEqual([['s1', 'alice', fence]]);
    expect(await one.release('s1', 'alice', fence)).toBe(false);
    expect(await two.renew('s1', 'bob', got.fence)).toBe(true);
  });

  it('passes over waiters and holders whose process was killed, and says so to who waits behind them', async () => {
    const dead = fork(new URL('../support/lock-holder.mjs', import.meta.url), [server.url], { stdio: 'ignore' });
    scope.after(() => dead.kill('SIGKILL'));
    await once(dead, 'message');
    const locks = await redisLocks();
    const told: string[] = [];
    locks.watch((key) => told.push(key));
    expect(await locks.acquire('s1', 'carol', LONG)).toEqual({ holder: 'alice' });
    expect(await locks.enqueue('s1', 'carol', LONG)).toBe(2);
    dead.kill('SIGKILL');
    await until(async () => {
      await locks.tick();
      return told.includes('s1') && await locks.position('s1', 'carol') === 1;
    });
    await until(async () => 'fence' in await locks.acquire('s1', 'carol', LONG));
  });

  it('is not taken from a living holder because Redis was away for longer than it lasts', async () => {
    const [one, two] = [await redisLocks(), await redisLocks()];
    const fence = fenceOf(await one.acquire('s1', 'alice', 400));
    await server.kill();
    await new Promise((resolve) => setTimeout(resolve, 600));
    await server.start();
    // The other one is the first to come back.
    expect(await two.acquire('s1', 'bob', LONG)).toEqual({ holder: 'alice' });
    await one.tick();
    expect(await one.release('s1', 'alice', fence)).toBe(true);
  });

  it('is given back when its process closes', async () => {
    const [one, two] = [await redisLocks(), await redisLocks()];
    fenceOf(await one.acquire('s1', 'alice', LONG));
    await one.enqueue('s1', 'bob', LONG);
    await one.close();
    fenceOf(await two.acquire('s1', 'carol', LONG));
  });
});
