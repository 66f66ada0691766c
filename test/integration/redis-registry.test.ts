/** The registry in a real Redis, as two Skyports share it. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RedisRegistry } from '../../proxy/store/redis-registry.js';
import { Superseded, type SharedRecord } from '../../proxy/store/shared-registry.js';
import { RedisServer, until } from '../support/redis.js';
import { clientOf } from '../support/redis-store.js';
import { scopeOfEachTest, scopeOfSuite } from '../support/scope.js';

const suite = scopeOfSuite();
const scope = scopeOfEachTest();

let server: RedisServer;
let one: RedisRegistry;
let two: RedisRegistry;

beforeAll(async () => {
  server = suite.own(await RedisServer.start());
});

beforeEach(async () => {
  await server.command('FLUSHALL');
  one = new RedisRegistry(await clientOf(server, scope));
  two = new RedisRegistry(await clientOf(server, scope));
});

function recordOf(id: string, more: Partial<SharedRecord> = {}): SharedRecord {
  return { id, owner: 'alice', backend: 'b1', epoch: 1, createdAt: 1_700_000_000_000, usedAt: 1_700_000_000_001, turns: 3, holder: 'one', ...more };
}

async function listening(registry: RedisRegistry): Promise<[string, SharedRecord | undefined][]> {
  const heard: [string, SharedRecord | undefined][] = [];
  await registry.load();
  registry.watch((id, record) => heard.push([id, record]));
  await until(async () => (await server.command('PUBSUB', 'NUMSUB', 'test:registry') as [string, number])[1] > 0);
  return heard;
}

/** What a put, claim or removal is refused with. */
async function supersededBy(call: Promise<unknown>): Promise<SharedRecord | undefined> {
  const error = await call.then(() => undefined, (thrown: unknown) => thrown);
  if (!(error instanceof Superseded)) throw new Error('it was not superseded');
  return error.record;
}

describe('the registry in Redis', () => {
  it('gives every record as it was stored, to every process', async () => {
    const records = [
      recordOf('a', { shares: { users: { bob: 'writer' }, roles: {} } }), recordOf('z-_9', { owner: 'é "quoted"\n x' }), recordOf('A'.repeat(128)),
    ];
    for (const record of records) await one.create(record);
    expect((await two.load()).sort((a, b) => (a.id < b.id ? -1 : 1))).toEqual([...records].sort((a, b) => (a.id < b.id ? -1 : 1)));
    expect(await two.find('a')).toEqual(records[0]);
    expect(await two.find('b')).toBeUndefined();
  });

  it('loads more records than it reads at once', async () => {
    await Promise.all(Array.from({ length: 1_500 }, (_, n) => one.create(recordOf(`s${n}`))));
    expect(new Set((await two.load()).map(({ id }) => id)).size).toBe(1_500);
  });

  it('gives an id to one of those that create it at once', async () => {
    for (let n = 0; n < 50; n++) {
      const got = await Promise.all([one.create(recordOf(`s${n}`)), two.create(recordOf(`s${n}`, { holder: 'two' }))]);
      expect(got.filter((created) => created)).toHaveLength(1);
      expect((await one.find(`s${n}`))?.holder).toBe(got[0] ? 'one' : 'two');
    }
  });

  it('gives a session to one of those that claim it from the same epoch', async () => {
    await one.create(recordOf('s1'));
    for (let epoch = 1; epoch < 50; epoch++) {
      const got = await Promise.all([
        one.claim(recordOf('s1', { epoch: epoch + 1 }), epoch), two.claim(recordOf('s1', { epoch: epoch + 1, holder: 'two' }), epoch),
      ]);
      expect(got.filter((claimed) => claimed)).toHaveLength(1);
      expect(await one.find('s1')).toMatchObject({ epoch: epoch + 1, holder: got[0] ? 'one' : 'two' });
    }
  });

  it('refuses a claim of what is not there', async () => {
    expect(await one.claim(recordOf('s1', { epoch: 2 }), 1)).toBe(false);
    expect(await one.find('s1')).toBeUndefined();
  });

  it('refuses a put by who has lost the session, and says who has it', async () => {
    await one.create(recordOf('s1'));
    await two.claim(recordOf('s1', { epoch: 2, holder: 'two' }), 1);
    expect(await supersededBy(one.put(recordOf('s1', { turns: 9 })))).toMatchObject({ epoch: 2, holder: 'two' });
    expect(await two.find('s1')).toMatchObject({ turns: 3, holder: 'two' });
  });

  it('does not bring a removed session back', async () => {
    await one.create(recordOf('s1'));
    await two.remove('s1');
    expect(await supersededBy(one.put(recordOf('s1')))).toBeUndefined();
    expect(await one.load()).toEqual([]);
  });

  it('keeps a session from being removed by who has lost it', async () => {
    await one.create(recordOf('s1'));
    await two.claim(recordOf('s1', { epoch: 2 }), 1);
    expect(await supersededBy(one.remove('s1', 1))).toMatchObject({ epoch: 2 });
    await two.remove('s1', 2);
    await two.remove('s1', 2);
    expect(await one.find('s1')).toBeUndefined();
  });
});

describe('a watcher', () => {
  it('hears in order what others change, and nothing of its own', async () => {
    const heard = await listening(one);
    await one.create(recordOf('mine'));
    await two.create(recordOf('s1', { holder: 'two' }));
    await two.put(recordOf('s1', { holder: 'two', turns: 4 }));
    await two.remove('s1');
    await until(() => heard.length === 3);
    expect(heard).toEqual([['s1', recordOf('s1', { holder: 'two' })], ['s1', recordOf('s1', { holder: 'two', turns: 4 })], ['s1', undefined]]);
  });

  it('hears that what it had was claimed', async () => {
    await one.create(recordOf('s1'));
    const heard = await listening(one);
    await two.claim(recordOf('s1', { epoch: 2, holder: 'two' }), 1);
    await until(() => heard.length > 0);
    expect(heard).toEqual([['s1', recordOf('s1', { epoch: 2, holder: 'two' })]]);
  });

  it('is told by a tick what was changed while it had no connection', async () => {
    for (const id of ['kept', 'gone', 'moved']) await one.create(recordOf(id));
    const heard = await listening(one);
    await one.tick();
    // Messages are lost from here on: the subscription is gone, and nobody is told.
    await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await two.remove('gone');
    await two.claim(recordOf('moved', { epoch: 2, holder: 'two' }), 1);
    await two.create(recordOf('new'));
    await until(async () => {
      await one.tick();
      return heard.some(([id]) => id === 'new');
    });
    const last = new Map(heard);
    expect(last.get('moved')).toEqual(recordOf('moved', { epoch: 2, holder: 'two' }));
    expect(last.has('gone')).toBe(true);
    expect(last.get('gone')).toBeUndefined();
  });

  it('is told when Redis has lost everything', async () => {
    await one.create(recordOf('s1'));
    const heard = await listening(one);
    await server.command('FLUSHALL');
    await one.tick();
    expect(heard).toEqual([['s1', undefined]]);
    await two.create(recordOf('s2'));
    await until(() => heard.length === 2);
    expect(heard[1]).toEqual(['s2', recordOf('s2')]);
  });
});
