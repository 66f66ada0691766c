/** Turns of several Skyports, counted in a real Redis. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RedisTurns } from '../../proxy/store/redis-turns.js';
import { TurnRates } from '../../proxy/store/turn-rates.js';
import { RedisServer, until } from '../support/redis.js';
import { clientOf } from '../support/redis-store.js';
import { scopeOfEachTest, scopeOfSuite } from '../support/scope.js';

const suite = scopeOfSuite();
const scope = scopeOfEachTest();
const LEASE = 10_000;

let server: RedisServer;

beforeAll(async () => {
  server = suite.own(await RedisServer.start({ appendonly: true }));
});

beforeEach(async () => {
  if (!server.alive) await server.start();
  await server.command('FLUSHALL');
});

const turnsAt = async (instance: string, lease = LEASE): Promise<RedisTurns> => new RedisTurns(await clientOf(server, scope), instance, lease);
const user = (limit: number, name = 'alice') => ({ kind: 'user' as const, name, limit });
const role = (limit: number, name = 'guest') => ({ kind: 'role' as const, name, limit });
const members = (key: string) => server.command('ZCARD', `test:{turns}:${key}`);

describe('turns at one time', () => {
  it('of a user are counted over all Skyports', async () => {
    const [one, two] = [await turnsAt('one'), await turnsAt('two')];
    expect(await one.take('1', [user(2)])).toBeUndefined();
    expect(await two.take('1', [user(2)])).toBeUndefined();
    expect(await one.take('2', [user(2)])).toEqual(user(2));
    expect(await one.take('3', [user(2, 'bob')])).toBeUndefined();
    two.giveBack('1');
    await until(async () => await members('user:alice') === 1);
    expect(await one.take('2', [user(2)])).toBeUndefined();
  });

  it('of a user and of his role are both counted, or neither is', async () => {
    const [one, two] = [await turnsAt('one'), await turnsAt('two')];
    expect(await one.take('1', [user(5), role(1)])).toBeUndefined();
    expect(await two.take('1', [user(5, 'bob'), role(1)])).toEqual(role(1));
    expect([await members('user:alice'), await members('user:bob'), await members('role:guest')]).toEqual([1, 0, 1]);
    one.giveBack('1');
    await until(async () => await members('role:guest') === 0);
    expect(await members('user:alice')).toBe(0);
  });

  it('of a role alone are counted', async () => {
    const one = await turnsAt('one');
    expect(await one.take('1', [role(1)])).toBeUndefined();
    expect(await one.take('2', [role(1)])).toEqual(role(1));
  });

  it('of a Skyport that is dead are over with its lease, of one that lives they stay', async () => {
    const [dead, alive, other] = [await turnsAt('dead', 1_000), await turnsAt('alive', 1_000), await turnsAt('other', 1_000)];
    await dead.take('1', [user(2)]);
    await alive.take('1', [user(2)]);
    expect(await other.take('1', [user(2)])).toEqual(user(2));
    await until(async () => {
      await alive.tick();
      return await other.take('1', [user(2)]) === undefined;
    });
    expect(await other.take('2', [user(2)])).toEqual(user(2));
    expect(await server.command('ZRANGE', 'test:{turns}:user:alice', 0, -1)).toEqual(expect.arrayContaining(['alive:1', 'other:1']));
  });

  it('that Redis has lost are there again with the next renewal', async () => {
    const one = await turnsAt('one');
    await one.take('1', [user(1)]);
    await server.command('FLUSHALL');
    await one.tick();
    expect(await (await turnsAt('two')).take('1', [user(1)])).toEqual(user(1));
  });

  it('leave nothing behind', async () => {
    const one = await turnsAt('one');
    await one.take('1', [user(2), role(2)]);
    one.giveBack('1');
    await until(async () => await server.command('DBSIZE') === 0);
    await one.tick();
    expect(await server.command('DBSIZE')).toBe(0);
  });

  it('are not refused while Redis is away', async () => {
    const one = new RedisTurns(await clientOf(server, scope, { timeout: 300 }), 'one', LEASE);
    await server.kill();
    expect(await one.take('1', [user(0)])).toBeUndefined();
    await server.start();
    await until(async () => {
      await one.tick();
      return await members('user:alice') === 1;
    });
  });
});

describe('turns within a minute', () => {
  it('are counted over all Skyports, and give back what is over the limit', async () => {
    const [one, two] = [TurnRates.inRedis(await clientOf(server, scope)), TurnRates.inRedis(await clientOf(server, scope))];
    expect([await one.take('user:alice', 2), await two.take('user:alice', 2)]).toEqual([0, 0]);
    const wait = await one.take('user:alice', 2);
    expect(wait).toBeGreaterThan(0);
    expect(wait).toBeLessThanOrEqual(60_000);
    expect(await two.take('user:bob', 2)).toBe(0);
    expect(await two.take('user:alice', 3)).toBe(0);
    one.giveBack('user:alice');
    await until(async () => await server.command('GET', 'test:turns-per-minute:user:alice') === '2');
    expect(await two.take('user:alice', 3)).toBe(0);
  });

  it('are counted by each Skyport for itself while Redis is away', async () => {
    const rates = TurnRates.inRedis(await clientOf(server, scope, { timeout: 300 }));
    await server.kill();
    expect(await rates.take('user:alice', 1)).toBe(0);
    expect(await rates.take('user:alice', 1)).toBeGreaterThan(0);
  });

  it('are counted in this process where there is no Redis', async () => {
    const rates = TurnRates.inMemory();
    expect([await rates.take('user:alice', 1), await rates.take('user:bob', 1)]).toEqual([0, 0]);
    expect(await rates.take('user:alice', 1)).toBeGreaterThan(0);
    rates.giveBack('user:alice');
    expect(await rates.take('user:alice', 1)).toBe(0);
  });
});
