/** What becomes of calls when a real Redis is killed, stopped, full or asks for a password; nothing waits for ever. */
import { beforeEach, describe, expect, it } from 'vitest';
import { StoreUnavailable, RedisClient } from '../../proxy/store/redis-client.js';
import { RedisFiles } from '../../proxy/store/redis-files.js';
import { RedisRegistry } from '../../proxy/store/redis-registry.js';
import { RedisServer, until } from '../support/redis.js';
import { clientOf } from '../support/redis-store.js';
import { scopeOfEachTest } from '../support/scope.js';

const scope = scopeOfEachTest();
const PASSWORD = 'hunter2-hunter2';
const LEASE = { sessionId: 's1', epoch: 1 };
/** Milliseconds: what a call may take, with room for a machine that is busy. */
const BOUND = 8_000;

let server: RedisServer;

beforeEach(async () => {
  server = scope.own(await RedisServer.start({ appendonly: true }));
});

async function failure(call: Promise<unknown>): Promise<Error> {
  const begun = performance.now();
  const error = await call.then(() => undefined, (thrown: unknown) => thrown);
  expect(performance.now() - begun).toBeLessThan(BOUND);
  if (!(error instanceof Error)) throw new Error('it did not fail');
  return error;
}

function filesOn(client: RedisClient): RedisFiles {
  return new RedisFiles(client, () => ({ session: undefined, user: undefined }), { patience: 0 });
}

describe('when Redis was killed', () => {
  it('calls fail in bounded time with one clear error, and work again when it is back', async () => {
    const log: string[] = [];
    const client = await clientOf(server, scope, { timeout: 500 }, { up: () => log.push('up'), down: () => log.push('down') });
    const registry = new RedisRegistry(client);
    await server.kill();
    for (let n = 0; n < 3; n++) {
      const error = await failure(registry.load());
      expect(error).toBeInstanceOf(StoreUnavailable);
      expect(error.message).toMatch(/^the store at redis:\/\/127\.0\.0\.1:\d+ is not available: /);
    }
    await server.start();
    await until(() => registry.load().then(() => true, () => false));
    expect(log).toEqual(['up', 'down', 'up']);
  });

  it('a call that is made while it is away for a moment is carried out', async () => {
    const client = await clientOf(server, scope, { timeout: 10_000 });
    const files = filesOn(client);
    await files.fence('s1', 1, 'alice');
    await server.kill();
    const writing = files.appendFile(LEASE, '/f', 'x');
    await server.start();
    await writing;
    expect(await files.readFile('s1', '/f')).toBe('x');
  });

  it('many calls that wait for one session fail together, not one after the other', async () => {
    const files = filesOn(await clientOf(server, scope, { timeout: 500 }));
    await files.fence('s1', 1, 'alice');
    await server.kill();
    const calls = Array.from({ length: 100 }, () => failure(files.appendFile(LEASE, '/f', 'x')));
    expect(new Set((await Promise.all(calls)).map((error) => (error as Error & { code: string }).code))).toEqual(new Set(['EIO']));
  });

  it('again and again while files are appended to, every append is in the file once and in its order', async () => {
    const files = filesOn(await clientOf(server, scope, { timeout: 20_000 }));
    await files.fence('s1', 1, 'alice');
    let content = '';
    let killing = true;
    const kills = (async () => {
      for (let n = 0; n < 6; n++) {
        await new Promise((resolve) => setTimeout(resolve, 40 + 17 * n));
        await server.kill();
        await server.start();
      }
      killing = false;
    })();
    for (let n = 0; killing; n++) {
      content += `${n}\n`;
      await files.appendFile(LEASE, '/events.jsonl', `${n}\n`);
    }
    await kills;
    expect(await files.readFile('s1', '/events.jsonl') === content).toBe(true);
  });
});

describe('when Redis is stopped', () => {
  it('calls fail in bounded time, and work again when it goes on', async () => {
    const log: string[] = [];
    const client = await clientOf(server, scope, { timeout: 800 }, { up: () => log.push('up'), down: () => log.push('down') });
    server.pause();
    expect(await failure(client.ready())).toBeInstanceOf(StoreUnavailable);
    expect(await failure(client.ready())).toMatchObject({ name: 'StoreUnavailable' });
    const resumed = performance.now();
    server.resume();
    await until(() => client.ready().then(() => true, () => false));
    expect(log).toEqual(['up', 'down', 'up']);
    // It counts from the first answer after the silence.
    const steadyFor = client.steadyFor;
    expect(steadyFor).toBeLessThan(performance.now() - resumed);
  });

  it('a write that was given up is carried out once or never, and not after a later one', async () => {
    const files = filesOn(await clientOf(server, scope, { timeout: 1_500 }));
    await files.fence('s1', 1, 'alice');
    await files.appendFile(LEASE, '/f', 'a');
    server.pause();
    await failure(files.appendFile(LEASE, '/f', 'b'));
    server.resume();
    await until(() => files.appendFile(LEASE, '/f', 'c').then(() => true, () => false));
    await until(async () => await files.readFile('s1', '/f').catch(() => '') !== '');
    expect(await files.readFile('s1', '/f')).toMatch(/^ab?c+$/);
  });

  it('an append that was given up, and that its server repeats with what has come since, is there once and in its order', async () => {
    const files = filesOn(await clientOf(server, scope, { timeout: 1_500 }));
    await files.fence('s1', 1, 'alice');
    server.pause();
    await failure(files.appendFile(LEASE, '/f', 'one\n'));
    await failure(files.appendFile(LEASE, '/f', 'one\ntwo\n'));
    server.resume();
    await until(() => files.writeFile(LEASE, '/other', 'x').then(() => true, () => false));
    await files.appendFile(LEASE, '/f', 'one\ntwo\nthree\n');
    await files.appendFile(LEASE, '/f', 'one\n');
    expect(await files.readFile('s1', '/f')).toBe('one\ntwo\nthree\none\n');
  });

  it('a write that has the patience waits for it', async () => {
    const files = new RedisFiles(await clientOf(server, scope, { timeout: 300 }), () => ({ session: undefined, user: undefined }), { patience: 20_000 });
    await files.fence('s1', 1, 'alice');
    server.pause();
    const writing = files.appendFile(LEASE, '/f', 'x');
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    server.resume();
    await writing;
    expect(await files.readFile('s1', '/f')).toBe('x');
  });

  it('a write that was under way is refused when the session was fenced before it goes on', async () => {
    const files = filesOn(await clientOf(server, scope, { timeout: 10_000 }));
    const other = filesOn(await clientOf(server, scope, { timeout: 10_000 }));
    await files.fence('s1', 1, 'alice');
    server.pause();
    const fencing = other.fence('s1', 2, 'alice');
    await new Promise((resolve) => setTimeout(resolve, 50));
    const writing = files.appendFile(LEASE, '/f', 'late').then(() => 'done', (error: { code: string }) => error.code);
    server.resume();
    await fencing;
    const content = await other.readFile('s1', '/f').catch(() => 'none');
    expect([await writing, content]).toEqual(content === 'none' ? ['ESTALE', 'none'] : ['done', 'late']);
  });
});

describe('a Redis that does not serve', () => {
  it('because it is full says so at once', async () => {
    const files = filesOn(await clientOf(server, scope));
    await files.fence('s1', 1, 'alice');
    await server.command('CONFIG', 'SET', 'maxmemory', 1);
    expect(await failure(files.appendFile(LEASE, '/f', 'x'))).toMatchObject({ code: 'EIO', message: expect.stringContaining('OOM') });
    await server.command('CONFIG', 'SET', 'maxmemory', 0);
    await files.appendFile(LEASE, '/f', 'y');
    expect(await files.readFile('s1', '/f')).toBe('y');
  });

  it('because of a wrong password says so, and not the password', async () => {
    const guarded = scope.own(await RedisServer.start({ conf: ['requirepass right'], password: 'right' }));
    const client = new RedisClient({ url: `redis://:${PASSWORD}@${guarded.address}`, prefix: 'test:', timeout: 500 });
    scope.after(() => client.close());
    const error = await failure(client.ready());
    expect(error.message).toMatch(/WRONGPASS|NOAUTH/);
    expect(`${error.message}${error.stack}${JSON.stringify(error)}${client.shown}`).not.toContain(PASSWORD);
  });

  it('with the right password and another database is used', async () => {
    const guarded = scope.own(await RedisServer.start({ conf: ['requirepass r%ght'], password: 'r%ght' }));
    const client = new RedisClient({ url: `redis://:r%25ght@${guarded.address}/3`, prefix: 'test:', timeout: 3_000 });
    scope.after(() => client.close());
    expect(await client.run((redis) => redis.set(client.key('a'), 'b'))).toBe('OK');
    expect(await guarded.command('INFO', 'keyspace')).toMatch(/^db3:keys=1/m);
  });

  it.each(['redis//x', 'http://h', `redis://:${PASSWORD}@`, `redis://:${PASSWORD}@h/x`])('%s is no address, and nothing of it is told', (url) => {
    expect(() => new RedisClient({ url, prefix: '', timeout: 100 })).toThrow(/^store\.url is not redis:\/\/\[user:password@\]host\[:port\]\[\/database\]$/);
  });

  it('of an error that is ours nothing of the arguments is told', async () => {
    const client = await clientOf(server, scope);
    await client.run((redis) => redis.set(client.key('a'), 'text'));
    const error = await failure(client.run((redis) => redis.lpush(client.key('a'), 'a secret prompt')));
    expect(error.message).toContain('WRONGTYPE');
    expect(`${error.stack}${JSON.stringify(error)}${JSON.stringify(error.cause)}`).not.toContain('secret prompt');
  });
});

describe('what an operator is told of a Redis', () => {
  it('is nothing when it keeps what it is given', async () => {
    expect(await (await clientOf(server, scope)).warnings()).toEqual([]);
  });

  it('is that it may lose sessions when it dies or is full', async () => {
    const careless = scope.own(await RedisServer.start({ conf: ['maxmemory 100mb', 'maxmemory-policy allkeys-lru'] }));
    const warnings = await (await clientOf(careless, scope)).warnings();
    expect(warnings.map((text) => text.split(':')[0])).toEqual(['append-only file is off', 'maxmemory-policy is allkeys-lru']);
  });
});

describe('a client that closes', () => {
  it('has what was asked before carried out, and takes no more', async () => {
    const client = await clientOf(server, scope);
    const before = client.run((redis) => redis.set(client.key('a'), 'b'));
    await client.close();
    expect(await before).toBe('OK');
    expect(await failure(client.ready())).toBeInstanceOf(StoreUnavailable);
    await client.close();
  });
});
