/** The files of sessions in a real Redis: what a file system does, under leases and quotas, by several processes at once. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RedisClient } from '../../proxy/store/redis-client.js';
import { RedisFiles } from '../../proxy/store/redis-files.js';
import { FileFault, type Lease, type Quotas } from '../../proxy/store/session-files.js';
import { RedisServer } from '../support/redis.js';
import { clientOf } from '../support/redis-store.js';
import { scopeOfEachTest, scopeOfSuite } from '../support/scope.js';

const suite = scopeOfSuite();
const scope = scopeOfEachTest();
const NONE: Quotas = { session: undefined, user: undefined };
const LEASE: Lease = { sessionId: 's1', epoch: 1 };

let server: RedisServer;
let client: RedisClient;
let files: RedisFiles;

beforeAll(async () => {
  server = suite.own(await RedisServer.start());
});

beforeEach(async () => {
  await server.command('FLUSHALL');
  client = await clientOf(server, scope);
  files = new RedisFiles(client, () => NONE);
  await files.fence('s1', 1, 'alice');
});

async function codeOf(call: Promise<unknown>): Promise<string> {
  const error = await call.then(() => undefined, (thrown: unknown) => thrown);
  if (error === undefined) return 'done';
  if (!(error instanceof FileFault)) throw error;
  return error.code;
}

async function keys(): Promise<string[]> {
  return (await server.command('KEYS', '*') as string[]).sort();
}

/** Another Skyport's view of the same files. */
async function elsewhere(quotas: Quotas = NONE): Promise<RedisFiles> {
  return new RedisFiles(await clientOf(server, scope), () => quotas);
}

describe('a file', () => {
  it('reads as it was written, by another process too', async () => {
    await files.writeFile(LEASE, '/workspace.yaml', 'name: é 🙂\n');
    expect(await files.readFile('s1', '/workspace.yaml')).toBe('name: é 🙂\n');
    expect(await (await elsewhere()).readFile('s1', '/workspace.yaml')).toBe('name: é 🙂\n');
  });

  it('grows at its end with every append, which makes it and its directories', async () => {
    for (const line of ['one\n', '', 'two\n', 'drei ß\n']) await files.appendFile(LEASE, '/a/b/events.jsonl', line);
    expect(await files.readFile('s1', '/a/b/events.jsonl')).toBe('one\ntwo\ndrei ß\n');
  });

  it('may be empty', async () => {
    await files.writeFile(LEASE, '/empty', '');
    expect(await files.readFile('s1', '/empty')).toBe('');
    expect(await files.stat('s1', '/empty')).toMatchObject({ isFile: true, size: 0 });
  });

  it('is replaced whole, keeps its birth and frees what it held', async () => {
    await files.writeFile(LEASE, '/f', 'x'.repeat(1000));
    const before = await files.stat('s1', '/f');
    await files.writeFile(LEASE, '/f', 'short');
    expect(await files.readFile('s1', '/f')).toBe('short');
    expect((await files.stat('s1', '/f')).birthtime).toBe(before.birthtime);
    expect(await files.size('s1')).toBe(5);
    expect((await keys()).filter((key) => key.includes(':c:'))).toHaveLength(1);
  });

  it('has its size in bytes and its times in milliseconds', async () => {
    const before = Date.now();
    await files.writeFile(LEASE, '/f', 'é');
    const { size, mtime, birthtime, isFile, isDirectory } = await files.stat('s1', '/f');
    expect({ size, isFile, isDirectory }).toEqual({ size: 2, isFile: true, isDirectory: false });
    expect(birthtime).toBeGreaterThanOrEqual(before);
    expect(mtime).toBeGreaterThanOrEqual(birthtime);
  });

  it('that is large is kept in pieces and read in ranges, in the middle of characters too', async () => {
    const small = new RedisFiles(client, () => NONE, { piece: 1000, range: 333, write: 10_000 });
    let content = '';
    for (let n = 0; n < 40; n++) {
      const line = `${n} ${'é🙂x'.repeat(n)}\n`;
      content += line;
      await small.appendFile(LEASE, '/events.jsonl', line);
    }
    expect(await small.readFile('s1', '/events.jsonl')).toBe(content);
    expect((await keys()).filter((key) => key.includes(':c:')).length).toBeGreaterThan(5);
    expect((await small.stat('s1', '/events.jsonl')).size).toBe(Buffer.byteLength(content));
  });

  it('of 40 MB comes back as it was', async () => {
    const block = `${'0123456789abcdé'.repeat(250_000)}\n`;
    for (let n = 0; n < 10; n++) await files.appendFile(LEASE, '/events.jsonl', block);
    expect(await files.readFile('s1', '/events.jsonl') === block.repeat(10)).toBe(true);
  });

  it('that is replaced while it is read is the old or the new one, never both', async () => {
    const small = new RedisFiles(client, () => NONE, { piece: 4096, range: 64, write: 10_000 });
    const other = await elsewhere();
    const contents = ['a'.repeat(3000), 'b'.repeat(3000)];
    await small.writeFile(LEASE, '/f', contents[0]!);
    const seen = new Set<string>();
    const writing = (async () => {
      // Fewer times than a read is begun again: on a busy machine each may come upon it.
      for (let n = 0; n < 9; n++) {
        await other.writeFile(LEASE, '/f', contents[n % 2]!);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    })();
    for (let n = 0; n < 12; n++) seen.add(await small.readFile('s1', '/f'));
    await writing;
    expect([...seen].filter((content) => !contents.includes(content))).toEqual([]);
  });

  it('larger than one write may be is refused', async () => {
    const small = new RedisFiles(client, () => NONE, { piece: 100, range: 100, write: 10 });
    expect(await codeOf(small.writeFile(LEASE, '/f', 'x'.repeat(11)))).toBe('EDQUOT');
    expect(await codeOf(small.writeFile(LEASE, '/f', 'x'.repeat(10)))).toBe('done');
  });
});

describe('a tree', () => {
  it('lists a directory in the order of names', async () => {
    await files.writeFile(LEASE, '/b', '');
    await files.mkdir(LEASE, '/a', false);
    await files.writeFile(LEASE, '/a/below', '');
    await files.writeFile(LEASE, '/C', '');
    expect(await files.readdir('s1', '/')).toEqual([
      { name: 'C', type: 'file' }, { name: 'a', type: 'directory' }, { name: 'b', type: 'file' },
    ]);
    expect(await files.readdir('s1', '/a')).toEqual([{ name: 'below', type: 'file' }]);
  });

  it('cannot be left, however a path is spelled', async () => {
    await files.writeFile(LEASE, '//x/./../f', '1');
    expect(await files.readFile('s1', '/f')).toBe('1');
    expect(await codeOf(files.readFile('s1', '/../s2/f'))).toBe('EINVAL');
    expect(await codeOf(files.writeFile(LEASE, '/a\0b', ''))).toBe('EINVAL');
  });

  it('has names that are only names to Redis', async () => {
    for (const name of ['{x}', 'a:b', '*', '%7B', ' ', '1']) await files.writeFile(LEASE, `/${name}/${name}`, name);
    for (const name of ['{x}', 'a:b', '*', '%7B', ' ', '1']) expect(await files.readFile('s1', `/${name}/${name}`)).toBe(name);
  });

  it.each<[string, () => Promise<unknown>, string]>([
    ['reading what is not there', () => files.readFile('s1', '/none'), 'ENOENT'],
    ['reading a directory', () => files.readFile('s1', '/dir'), 'EISDIR'],
    ['reading below a file', () => files.readFile('s1', '/file/x'), 'ENOTDIR'],
    ['looking at what is not there', () => files.stat('s1', '/none'), 'ENOENT'],
    ['listing a file', () => files.readdir('s1', '/file'), 'ENOTDIR'],
    ['writing a directory', () => files.writeFile(LEASE, '/dir', ''), 'EISDIR'],
    ['writing the root', () => files.writeFile(LEASE, '/', ''), 'EISDIR'],
    ['writing below a file', () => files.writeFile(LEASE, '/file/x', ''), 'ENOTDIR'],
    ['appending below a file', () => files.appendFile(LEASE, '/file/x/y', ''), 'ENOTDIR'],
    ['making what is there', () => files.mkdir(LEASE, '/dir', false), 'EEXIST'],
    ['making what is there, parents too', () => files.mkdir(LEASE, '/dir', true), 'done'],
    ['making what is a file, parents too', () => files.mkdir(LEASE, '/file', true), 'EEXIST'],
    ['making without a parent', () => files.mkdir(LEASE, '/none/x', false), 'ENOENT'],
    ['making below a file', () => files.mkdir(LEASE, '/file/x', true), 'ENOTDIR'],
    ['removing what is not there', () => files.rm(LEASE, '/none', { recursive: false, force: false }), 'ENOENT'],
    ['removing what is not there, by force', () => files.rm(LEASE, '/none', { recursive: false, force: true }), 'done'],
    ['removing a directory as a file', () => files.rm(LEASE, '/dir', { recursive: false, force: true }), 'EISDIR'],
    ['renaming what is not there', () => files.rename(LEASE, '/none', '/x'), 'ENOENT'],
    ['renaming to where no directory is', () => files.rename(LEASE, '/file', '/none/x'), 'ENOENT'],
    ['renaming to below a file', () => files.rename(LEASE, '/dir', '/file/x'), 'ENOTDIR'],
    ['renaming into itself', () => files.rename(LEASE, '/dir', '/dir/sub/x'), 'EINVAL'],
    ['renaming to itself', () => files.rename(LEASE, '/file', '/file'), 'done'],
    ['renaming the root', () => files.rename(LEASE, '/', '/x'), 'EINVAL'],
    ['renaming a file over a directory', () => files.rename(LEASE, '/file', '/dir'), 'EISDIR'],
    ['renaming a directory over a file', () => files.rename(LEASE, '/dir', '/file'), 'ENOTDIR'],
    ['renaming a directory over a full one', () => files.rename(LEASE, '/empty', '/dir'), 'ENOTEMPTY'],
    ['renaming a directory over an empty one', () => files.rename(LEASE, '/dir', '/empty'), 'done'],
  ])('answers %s as a file system does', async (_what, call, code) => {
    await files.mkdir(LEASE, '/dir/sub', true);
    await files.mkdir(LEASE, '/empty', false);
    await files.writeFile(LEASE, '/file', 'text');
    expect(await codeOf(call())).toBe(code);
  });

  it('renames a file over another one, which is gone at once', async () => {
    await files.writeFile(LEASE, '/new', 'new');
    await files.writeFile(LEASE, '/d/old', 'older');
    await files.rename(LEASE, '/new', '/d/old');
    expect(await files.readFile('s1', '/d/old')).toBe('new');
    expect(await files.exists('s1', '/new')).toBe(false);
    expect(await files.size('s1')).toBe(3);
  });

  it('renames a directory with all that is below it', async () => {
    await files.writeFile(LEASE, '/a/b/c', '1');
    await files.rename(LEASE, '/a', '/z');
    expect(await files.readFile('s1', '/z/b/c')).toBe('1');
    expect(await files.exists('s1', '/a/b/c')).toBe(false);
  });

  it('removes a directory with all that is below it, and nothing of it stays in Redis', async () => {
    const before = await keys();
    await files.writeFile(LEASE, '/a/b/c', '123');
    await files.writeFile(LEASE, '/a/d', '4');
    await files.rm(LEASE, '/a', { recursive: true, force: false });
    expect(await files.exists('s1', '/a')).toBe(false);
    expect(await files.size('s1')).toBe(0);
    expect(await keys()).toEqual(before);
  });

  it('is empty and there when its root was removed', async () => {
    await files.writeFile(LEASE, '/a/b', '1');
    await files.rm(LEASE, '/', { recursive: true, force: true });
    expect(await files.readdir('s1', '/')).toEqual([]);
    expect(await files.size('s1')).toBe(0);
  });

  it('takes calls in the order they were made, whether or not anybody waited', async () => {
    void files.writeFile(LEASE, '/f', 'a');
    for (let n = 0; n < 50; n++) void files.appendFile(LEASE, '/f', `${n},`);
    void files.rename(LEASE, '/f', '/g');
    expect(await files.readFile('s1', '/g')).toBe(`a${Array.from({ length: 50 }, (_, n) => `${n},`).join('')}`);
  });
});

describe('a session', () => {
  it('that is not known has nothing and takes nothing', async () => {
    expect(await codeOf(files.readFile('s9', '/f'))).toBe('ENOENT');
    expect(await files.exists('s9', '/')).toBe(false);
    expect(await files.size('s9')).toBe(0);
    expect(await codeOf(files.appendFile({ sessionId: 's9', epoch: 9 }, '/f', 'x'))).toBe('ESTALE');
  });

  it('is not another one whose id begins alike or holds braces', async () => {
    const ids = ['s', 's1}', '{s1}', '}', 's1:m'];
    for (const id of ids) {
      await files.fence(id, 1, 'alice');
      await files.writeFile({ sessionId: id, epoch: 1 }, '/f', id);
    }
    for (const id of ids) expect(await files.readFile(id, '/f')).toBe(id);
    expect(await files.exists('s1', '/f')).toBe(false);
  });

  it('is copied as it is, in ranges, and goes its own way afterwards', async () => {
    const small = new RedisFiles(client, () => NONE, { piece: 100, range: 7, write: 1000 });
    await small.writeFile(LEASE, '/a/events.jsonl', 'ä🙂'.repeat(50));
    await small.mkdir(LEASE, '/empty', false);
    await small.writeFile(LEASE, '/none', '');
    await small.copy('s1', { sessionId: 's2', epoch: 4 }, 'bob');
    await small.appendFile(LEASE, '/a/events.jsonl', '!');
    expect(await small.readFile('s2', '/a/events.jsonl')).toBe('ä🙂'.repeat(50));
    expect(await small.readdir('s2', '/')).toEqual([
      { name: 'a', type: 'directory' }, { name: 'empty', type: 'directory' }, { name: 'none', type: 'file' },
    ]);
    expect(await small.size('s2')).toBe(300);
    expect(await codeOf(small.writeFile({ sessionId: 's2', epoch: 3 }, '/x', ''))).toBe('ESTALE');
  });

  it('is not copied over another one, nor from one that is not there', async () => {
    await files.fence('s2', 1, 'alice');
    await files.writeFile({ sessionId: 's2', epoch: 1 }, '/f', '1');
    expect(await codeOf(files.copy('s1', { sessionId: 's2', epoch: 1 }, 'alice'))).toBe('EEXIST');
    expect(await codeOf(files.copy('s9', { sessionId: 's3', epoch: 1 }, 'alice'))).toBe('ENOENT');
    expect((await keys()).filter((key) => key.includes('{s3}'))).toEqual([]);
  });

  it('leaves nothing behind when it is wiped', async () => {
    await files.writeFile(LEASE, '/a/b', 'x');
    await files.appendFile(LEASE, '/c', 'y');
    await files.wipe('s1');
    expect(await keys()).toEqual([]);
  });

  it('that was wiped is not brought back by a write that comes late', async () => {
    await files.wipe('s1');
    expect(await codeOf(files.appendFile({ sessionId: 's1', epoch: 99 }, '/f', 'late'))).toBe('ESTALE');
    expect(await keys()).toEqual([]);
  });
});

describe('a lease', () => {
  it('ends for every way of writing when a higher epoch is fenced off', async () => {
    await files.writeFile(LEASE, '/f', 'kept');
    await files.fence('s1', 2, 'alice');
    const late = [
      files.writeFile(LEASE, '/f', ''), files.appendFile(LEASE, '/f', 'x'), files.mkdir(LEASE, '/d', true),
      files.rm(LEASE, '/f', { recursive: true, force: true }), files.rename(LEASE, '/f', '/g'),
    ];
    expect(await Promise.all(late.map(codeOf))).toEqual(['ESTALE', 'ESTALE', 'ESTALE', 'ESTALE', 'ESTALE']);
    expect(await files.readFile('s1', '/f')).toBe('kept');
  });

  it('is not brought back by a fence with a lower epoch', async () => {
    await files.fence('s1', 5, 'alice');
    await files.fence('s1', 2, 'alice');
    expect(await codeOf(files.appendFile({ sessionId: 's1', epoch: 4 }, '/f', 'x'))).toBe('ESTALE');
    expect(await codeOf(files.appendFile({ sessionId: 's1', epoch: 5 }, '/f', 'x'))).toBe('done');
  });

  it('is looked at in the moment of the write: nothing comes in after the fence of another process', async () => {
    const other = await elsewhere();
    for (let epoch = 1; epoch <= 20; epoch++) {
      const writing = Array.from({ length: 30 }, (_, n) => codeOf(files.appendFile({ sessionId: 's1', epoch }, '/f', `${epoch}.${n}\n`)));
      await other.fence('s1', epoch + 1, 'alice');
      const fenced = await other.readFile('s1', '/f').catch(() => '');
      const codes = await Promise.all(writing);
      expect(await other.readFile('s1', '/f').catch(() => '')).toBe(fenced);
      const stored = fenced.split('\n').filter((line) => line.startsWith(`${epoch}.`));
      expect(stored).toHaveLength(codes.filter((code) => code === 'done').length);
    }
  });
});

describe('a quota', () => {
  it('of a session stops what would grow beyond it, and nothing else', async () => {
    const tight = await elsewhere({ session: 10, user: undefined });
    await tight.writeFile(LEASE, '/f', '12345678');
    expect(await codeOf(tight.appendFile(LEASE, '/f', '123'))).toBe('EDQUOT');
    expect(await codeOf(tight.writeFile(LEASE, '/g', '123'))).toBe('EDQUOT');
    expect(await codeOf(tight.appendFile(LEASE, '/f', '12'))).toBe('done');
    expect(await codeOf(tight.writeFile(LEASE, '/f', '1234567890'))).toBe('done');
    expect(await tight.exists('s1', '/g')).toBe(false);
  });

  it('lets what is over it become smaller', async () => {
    await files.writeFile(LEASE, '/f', 'x'.repeat(100));
    const tight = await elsewhere({ session: 10, user: undefined });
    expect(await codeOf(tight.writeFile(LEASE, '/f', 'x'.repeat(50)))).toBe('done');
    expect(await codeOf(tight.appendFile(LEASE, '/f', 'x'))).toBe('EDQUOT');
    await tight.rm(LEASE, '/f', { recursive: false, force: false });
    expect(await codeOf(tight.appendFile(LEASE, '/f', 'x'))).toBe('done');
  });

  it('of a user counts all sessions, of all processes', async () => {
    const [one, two] = [await elsewhere({ session: undefined, user: 10 }), await elsewhere({ session: undefined, user: 10 })];
    const other: Lease = { sessionId: 's2', epoch: 1 };
    await two.fence('s2', 1, 'alice');
    await one.writeFile(LEASE, '/f', '123456');
    expect(await codeOf(two.writeFile(other, '/f', '123456'))).toBe('EDQUOT');
    expect(await codeOf(two.writeFile(other, '/f', '1234'))).toBe('done');
    expect(await codeOf(one.appendFile(LEASE, '/f', '1'))).toBe('EDQUOT');
    await two.wipe('s2');
    expect(await codeOf(one.appendFile(LEASE, '/f', '1'))).toBe('done');
  });

  it('of a user is given back and taken when a session gets another owner', async () => {
    const tight = await elsewhere({ session: undefined, user: 10 });
    await tight.writeFile(LEASE, '/f', '12345678');
    await tight.fence('s1', 2, 'bob');
    await tight.fence('s2', 1, 'alice');
    await tight.fence('s3', 1, 'bob');
    expect(await codeOf(tight.writeFile({ sessionId: 's2', epoch: 1 }, '/f', '12345678'))).toBe('done');
    expect(await codeOf(tight.writeFile({ sessionId: 's3', epoch: 1 }, '/f', '123'))).toBe('EDQUOT');
  });

  it('is held when a session is copied, and nothing of the copy is left', async () => {
    await files.writeFile(LEASE, '/f', 'x'.repeat(100));
    const tight = await elsewhere({ session: 50, user: undefined });
    expect(await codeOf(tight.copy('s1', { sessionId: 's2', epoch: 1 }, 'alice'))).toBe('EDQUOT');
    expect((await keys()).filter((key) => key.includes('{s2}'))).toEqual([]);
  });
});
