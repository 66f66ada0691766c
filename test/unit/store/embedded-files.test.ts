import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedFiles } from '../../../proxy/store/embedded-files.js';
import { FileFault, type Lease } from '../../../proxy/store/session-files.js';
import { scopeOfEachTest } from '../../support/scope.js';

const scope = scopeOfEachTest();
let directory: string;
let files: EmbeddedFiles;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'skyport-files-'));
  scope.after(() => rmSync(directory, { recursive: true, force: true }));
  files = openFiles();
});

function openFiles(): EmbeddedFiles {
  const opened = new EmbeddedFiles(path.join(directory, 'store'), () => ({ session: undefined, user: undefined }));
  scope.after(() => opened.close());
  return opened;
}

/** The store as a process finds it that starts after this one. */
async function reopen(): Promise<void> {
  await files.close();
  files = openFiles();
}

async function fenced(sessionId = 's1', epoch = 1): Promise<Lease> {
  await files.fence(sessionId, epoch, 'alice');
  return { sessionId, epoch };
}

/** Every path below the store, relative to it. */
function onDisk(): string[] {
  return readdirSync(path.join(directory, 'store'), { recursive: true }).map(String).sort();
}

/** The only directory of a session called like this. */
function placeOf(name: string): string {
  const root = path.join(directory, 'store', 'sessions');
  const found = readdirSync(root).filter((shard) => shard.length === 2).map((shard) => path.join(root, shard, name)).filter((place) => existsSync(place));
  expect(found).toHaveLength(1);
  return found[0]!;
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(() => 'no fault', (error: unknown) => (error instanceof FileFault ? error.code : String(error)));
}

describe('a file', () => {
  it('is read as it was written', async () => {
    const lease = await fenced();
    const content = 'ä\u{1f600}\r\n\u0000 end';
    await files.writeFile(lease, '/workspace.yaml', content);
    expect(await files.readFile('s1', '/workspace.yaml')).toBe(content);
    expect(await files.readFile('s1', 'workspace.yaml')).toBe(content);
  });

  it('is another one after it was written again', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/a', 'a longer content');
    await files.writeFile(lease, '/a', 'short');
    expect(await files.readFile('s1', '/a')).toBe('short');
    expect(await files.readdir('s1', '/')).toEqual([{ name: 'a', type: 'file' }]);
  });

  it('is made by an append, and grows by the next without being written again', async () => {
    const lease = await fenced();
    await files.appendFile(lease, '/events.jsonl', '{"a":1}\n');
    const { ino } = lstatSync(path.join(placeOf('s1'), 'files', 'events.jsonl'));
    await files.appendFile(lease, '/events.jsonl', '{"b":"é"}\n');
    expect(await files.readFile('s1', '/events.jsonl')).toBe('{"a":1}\n{"b":"é"}\n');
    expect(lstatSync(path.join(placeOf('s1'), 'files', 'events.jsonl')).ino).toBe(ino);
  });

  it('may be empty', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/a', '');
    await files.appendFile(lease, '/b', '');
    expect([await files.readFile('s1', '/a'), await files.readFile('s1', '/b')]).toEqual(['', '']);
  });

  it('gets the directories above it', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/a/b/c', '1');
    await files.appendFile(lease, '/d/e', '2');
    await files.appendFile(lease, '/a/b/f', '3');
    expect(await files.readdir('s1', '/a/b')).toEqual([{ name: 'c', type: 'file' }, { name: 'f', type: 'file' }]);
    expect(await files.readFile('s1', '/d/e')).toBe('2');
  });

  it('of several megabytes is read whole, letters of several bytes on the seams included', async () => {
    const lease = await fenced();
    const content = `x${'é€\u{1f600}'.repeat(400_000)}`;
    await files.writeFile(lease, '/large', content);
    expect((await files.readFile('s1', '/large')) === content).toBe(true);
  });

  it('is still there in the next process', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/a/b', '1');
    await files.appendFile(lease, '/a/b', '2');
    await reopen();
    expect(await files.readFile('s1', '/a/b')).toBe('12');
  });

  it('of another session is another file', async () => {
    const [one, other] = [await fenced('s'), await fenced('S')];
    await files.writeFile(one, '/a', 'one');
    await files.writeFile(other, '/a', 'other');
    expect([await files.readFile('s', '/a'), await files.readFile('S', '/a')]).toEqual(['one', 'other']);
  });

  it('cannot be a directory, be below a file, or be read before it was written', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/d/f', '');
    expect(await codeOf(files.writeFile(lease, '/d', ''))).toBe('EISDIR');
    expect(await codeOf(files.appendFile(lease, '/d', ''))).toBe('EISDIR');
    expect(await codeOf(files.appendFile(lease, '/', ''))).toBe('EISDIR');
    expect(await codeOf(files.writeFile(lease, '/', ''))).toBe('EISDIR');
    expect(await codeOf(files.readFile('s1', '/d'))).toBe('EISDIR');
    expect(await codeOf(files.writeFile(lease, '/d/f/g', ''))).toBe('ENOTDIR');
    expect(await codeOf(files.appendFile(lease, '/d/f/g', ''))).toBe('ENOTDIR');
    expect(await codeOf(files.readFile('s1', '/d/f/g'))).toBe('ENOTDIR');
    expect(await codeOf(files.readFile('s1', '/none'))).toBe('ENOENT');
    expect(await codeOf(files.readFile('s1', '/none/none'))).toBe('ENOENT');
  });
});

describe('a direct call', () => {
  it('has taken effect on the disk when it returns, and gives its result itself', async () => {
    const lease = await fenced();
    expect(files.direct.appendFile(lease, '/events.jsonl', 'one\n')).toBeUndefined();
    expect(readFileSync(path.join(placeOf('s1'), 'files', 'events.jsonl'), 'utf8')).toBe('one\n');
    expect(files.direct.readFile('s1', '/events.jsonl')).toBe('one\n');
    expect(files.direct.exists('s1', '/no')).toBe(false);
  });

  it('throws its fault, that of an older lease among them', async () => {
    const lease = await fenced();
    await files.fence('s1', 2, 'alice');
    expect(() => files.direct.appendFile(lease, '/events.jsonl', 'x')).toThrow(expect.objectContaining({ code: 'ESTALE' }));
    expect(() => files.direct.readFile('s1', '/no')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    await files.close();
    expect(() => files.direct.readFile('s1', '/no')).toThrow(expect.objectContaining({ code: 'EIO' }));
  });

  it('waits for what is under way of its session, and is refused by a fence before it', async () => {
    const lease = await fenced();
    const fence = files.fence('s1', 2, 'alice');
    const late = files.direct.appendFile(lease, '/events.jsonl', 'x');
    expect(late).toBeInstanceOf(Promise);
    expect(await codeOf(Promise.resolve(late))).toBe('ESTALE');
    await fence;
    expect(await files.exists('s1', '/events.jsonl')).toBe(false);
  });
});

describe('looking', () => {
  it('tells files from directories', async () => {
    const lease = await fenced();
    const before = Date.now() - 1000;
    await files.writeFile(lease, '/d/f', 'é!');
    const [file, folder] = [await files.stat('s1', '/d/f'), await files.stat('s1', '/d')];
    expect(file).toMatchObject({ isFile: true, isDirectory: false, size: 3 });
    expect(folder).toMatchObject({ isFile: false, isDirectory: true, size: 0 });
    for (const time of [file.mtime, file.birthtime, folder.mtime]) expect(time).toBeGreaterThan(before);
    expect(await codeOf(files.stat('s1', '/none'))).toBe('ENOENT');
  });

  it('lists in the order of the names', async () => {
    const lease = await fenced();
    for (const name of ['b', 'a10', 'a9', 'B', 'é']) await files.writeFile(lease, `/${name}`, '');
    await files.mkdir(lease, '/c', false);
    expect((await files.readdir('s1', '/')).map(({ name }) => name)).toEqual(['B', 'a10', 'a9', 'b', 'c', 'é']);
    expect(await codeOf(files.readdir('s1', '/a9'))).toBe('ENOTDIR');
    expect(await codeOf(files.readdir('s1', '/none'))).toBe('ENOENT');
  });

  it('finds what exists, and nothing below a file', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/d/f', '');
    const asked = ['/', '/d', '/d/f', '/d/f/g', '/none', '/none/none'];
    expect(await Promise.all(asked.map((one) => files.exists('s1', one)))).toEqual([true, true, true, false, false, false]);
  });

  it('finds an empty root after the fence, and nothing of a session that nobody fenced', async () => {
    await fenced();
    expect(await files.readdir('s1', '/')).toEqual([]);
    expect(await files.exists('s2', '/')).toBe(false);
    expect(await files.size('s2')).toBe(0);
    expect(await codeOf(files.readdir('s2', '/'))).toBe('ENOENT');
    expect(await codeOf(files.readFile('s2', '/a'))).toBe('ENOENT');
    expect(onDisk().filter((place) => place.includes('s2'))).toEqual([]);
  });
});

describe('a directory', () => {
  it('is made where its parent is, or with its parents', async () => {
    const lease = await fenced();
    expect(await codeOf(files.mkdir(lease, '/a/b', false))).toBe('ENOENT');
    await files.mkdir(lease, '/a/b/c', true);
    await files.mkdir(lease, '/a/d', false);
    expect((await files.readdir('s1', '/a')).map(({ name, type }) => `${type} ${name}`)).toEqual(['directory b', 'directory d']);
  });

  it('that exists is made again only with its parents', async () => {
    const lease = await fenced();
    await files.mkdir(lease, '/a', false);
    await files.mkdir(lease, '/a', true);
    await files.mkdir(lease, '/', true);
    await files.writeFile(lease, '/f', '');
    expect(await codeOf(files.mkdir(lease, '/a', false))).toBe('EEXIST');
    expect(await codeOf(files.mkdir(lease, '/f', true))).toBe('EEXIST');
    expect(await codeOf(files.mkdir(lease, '/f/g', true))).toBe('ENOTDIR');
  });
});

describe('removing', () => {
  it('takes a file away, and a directory only with what is in it', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/d/e/f', '1');
    await files.writeFile(lease, '/g', '2');
    await files.rm(lease, '/g', { recursive: false, force: false });
    expect(await codeOf(files.rm(lease, '/d', { recursive: false, force: true }))).toBe('EISDIR');
    expect(await files.exists('s1', '/d/e/f')).toBe(true);
    await files.rm(lease, '/d', { recursive: true, force: false });
    expect(await files.readdir('s1', '/')).toEqual([]);
  });

  it('of what is not there is a fault unless it is forced', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/f', '');
    expect(await codeOf(files.rm(lease, '/none', { recursive: true, force: false }))).toBe('ENOENT');
    expect(await codeOf(files.rm(lease, '/none/none', { recursive: false, force: true }))).toBe('no fault');
    expect(await codeOf(files.rm(lease, '/f/g', { recursive: false, force: true }))).toBe('ENOTDIR');
  });

  it('the root leaves it empty', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/d/f', '1');
    await files.rm(lease, '/', { recursive: true, force: false });
    expect(await files.readdir('s1', '/')).toEqual([]);
    await files.writeFile(lease, '/a', '2');
    expect(await files.readFile('s1', '/a')).toBe('2');
  });

  it('leaves nothing behind', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/d/f', '1');
    await files.rm(lease, '/d', { recursive: true, force: false });
    expect(readdirSync(placeOf('s1')).sort()).toEqual(['files', 'lease.json']);
  });
});

describe('renaming', () => {
  it('replaces a file', async () => {
    const lease = await fenced();
    for (const content of ['1', '2', '3']) {
      await files.writeFile(lease, '/workspace.yaml.tmp', content);
      await files.rename(lease, '/workspace.yaml.tmp', '/workspace.yaml');
      expect(await files.readFile('s1', '/workspace.yaml')).toBe(content);
    }
    expect(await files.readdir('s1', '/')).toEqual([{ name: 'workspace.yaml', type: 'file' }]);
  });

  it('replaces a file also where a directory was, and the other way round', async () => {
    const lease = await fenced();
    for (const content of ['1', '2']) await files.writeFile(lease, '/a/b', content);
    await files.rm(lease, '/a', { recursive: true, force: false });
    for (const content of ['3', '4']) await files.writeFile(lease, '/a', content);
    expect(await files.readFile('s1', '/a')).toBe('4');
    await files.rm(lease, '/a', { recursive: false, force: false });
    for (const content of ['5', '6']) await files.writeFile(lease, '/a/b', content);
    expect(await files.readFile('s1', '/a/b')).toBe('6');
  });

  it('moves a directory with what is in it, over an empty one only', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/a/f', '1');
    await files.mkdir(lease, '/empty', false);
    await files.writeFile(lease, '/full/g', '2');
    expect(await codeOf(files.rename(lease, '/a', '/full'))).toBe('ENOTEMPTY');
    await files.rename(lease, '/a', '/empty');
    expect(await files.readFile('s1', '/empty/f')).toBe('1');
    expect(await files.exists('s1', '/a')).toBe(false);
  });

  it('keeps to rename(2) where it cannot be', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/d/f', '1');
    await files.writeFile(lease, '/g', '2');
    const faults = await Promise.all([
      ['/none', '/g'], ['/g', '/none/g'], ['/g', '/d'], ['/d', '/g'], ['/d', '/d/e'], ['/', '/e'], ['/d', '/'], ['/g', '/d/f/h'], ['/d/f', '/d'], ['/g', '/g'],
    ].map(([src, dest]) => codeOf(files.rename(lease, src!, dest!))));
    expect(faults).toEqual(['ENOENT', 'ENOENT', 'EISDIR', 'ENOTDIR', 'EINVAL', 'EINVAL', 'EINVAL', 'ENOTDIR', 'EISDIR', 'no fault']);
    expect([await files.readFile('s1', '/d/f'), await files.readFile('s1', '/g')]).toEqual(['1', '2']);
  });
});

describe('calls of one session', () => {
  it('take effect in the order they were made, whether or not anybody waited', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/large', 'x'.repeat(3_000_000));
    const read = files.readFile('s1', '/large');
    for (let n = 0; n < 50; n++) void files.appendFile(lease, '/log', `${n} `);
    void files.writeFile(lease, '/tmp', 'new');
    void files.rename(lease, '/tmp', '/large');
    const renamed = files.readFile('s1', '/large');
    void files.rm(lease, '/large', { recursive: false, force: false });
    const [before, after, exists, log] = await Promise.all([read, renamed, files.exists('s1', '/large'), files.readFile('s1', '/log')]);
    expect([before.length, after, exists]).toEqual([3_000_000, 'new', false]);
    expect(log).toBe(Array.from({ length: 50 }, (_, n) => `${n} `).join(''));
  });

  it('do what a model of a tree does', async () => {
    const name = fc.constantFrom('/a', '/b', '/c');
    const step = fc.oneof(
      fc.record({ call: fc.constant('write' as const), at: name, content: fc.string({ maxLength: 20 }) }),
      fc.record({ call: fc.constant('append' as const), at: name, content: fc.string({ maxLength: 20 }) }),
      fc.record({ call: fc.constant('rename' as const), at: name, to: name }),
      fc.record({ call: fc.constant('rm' as const), at: name }),
      fc.record({ call: fc.constant('reopen' as const) }),
    );
    let run = 0;
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const lease = await fenced(`model-${run++}`);
      const model = new Map<string, string>();
      for (const one of steps) {
        if (one.call === 'write') {
          await files.writeFile(lease, one.at, one.content);
          model.set(one.at, one.content);
        } else if (one.call === 'append') {
          await files.appendFile(lease, one.at, one.content);
          model.set(one.at, (model.get(one.at) ?? '') + one.content);
        } else if (one.call === 'rename') {
          const content = model.get(one.at);
          expect(await codeOf(files.rename(lease, one.at, one.to))).toBe(content === undefined ? 'ENOENT' : 'no fault');
          if (content === undefined) continue;
          model.delete(one.at);
          model.set(one.to, content);
        } else if (one.call === 'rm') {
          await files.rm(lease, one.at, { recursive: false, force: true });
          model.delete(one.at);
        } else await reopen();
      }
      const found = new Map<string, string>();
      for (const entry of await files.readdir(lease.sessionId, '/')) found.set(`/${entry.name}`, await files.readFile(lease.sessionId, `/${entry.name}`));
      expect(found).toEqual(new Map([...model].sort(([one], [other]) => (one < other ? -1 : 1))));
      expect(await files.size(lease.sessionId)).toBe([...model.values()].reduce((sum, content) => sum + Buffer.byteLength(content), 0));
    }), { numRuns: 60 });
  });
});

describe('a fence', () => {
  it('refuses every write of an older lease, and lets the new one write', async () => {
    const old = await fenced('s1', 1);
    await files.writeFile(old, '/a', 'old');
    const lease = await fenced('s1', 2);
    const calls = [
      files.writeFile(old, '/a', 'late'), files.appendFile(old, '/a', 'late'), files.mkdir(old, '/d', true),
      files.rm(old, '/a', { recursive: true, force: true }), files.rename(old, '/a', '/b'),
    ];
    expect(await Promise.all(calls.map(codeOf))).toEqual(Array(5).fill('ESTALE'));
    expect(await files.readFile('s1', '/a')).toBe('old');
    await files.appendFile(lease, '/a', ' and new');
    expect(await files.readFile('s1', '/a')).toBe('old and new');
  });

  it('outlives the process', async () => {
    await fenced('s1', 1);
    await fenced('s1', 7);
    await reopen();
    expect(await codeOf(files.writeFile({ sessionId: 's1', epoch: 6 }, '/a', ''))).toBe('ESTALE');
    expect(await codeOf(files.writeFile({ sessionId: 's1', epoch: 7 }, '/a', ''))).toBe('no fault');
  });

  it('is on the disk when it resolves', async () => {
    await fenced('s1', 1);
    await fenced('s1', 2);
    expect(JSON.parse(readFileSync(path.join(placeOf('s1'), 'lease.json'), 'utf8'))).toEqual({ epoch: 2, owner: 'alice' });
  });

  it('never lowers the epoch', async () => {
    await fenced('s1', 5);
    await files.fence('s1', 3, 'mallory');
    expect(await codeOf(files.writeFile({ sessionId: 's1', epoch: 4 }, '/a', ''))).toBe('ESTALE');
    expect(JSON.parse(readFileSync(path.join(placeOf('s1'), 'lease.json'), 'utf8'))).toEqual({ epoch: 5, owner: 'alice' });
  });

  it('lets writes through that were asked for before it, and none that was asked for after', async () => {
    const old = await fenced('s1', 1);
    const asked = [files.appendFile(old, '/log', 'before'), files.fence('s1', 2, 'alice'), files.appendFile(old, '/log', 'after')];
    expect(await Promise.all(asked.map(codeOf))).toEqual(['no fault', 'no fault', 'ESTALE']);
    expect(await files.readFile('s1', '/log')).toBe('before');
  });

  it('is needed before the first write', async () => {
    expect(await codeOf(files.writeFile({ sessionId: 's1', epoch: 9 }, '/a', ''))).toBe('ESTALE');
    expect(await files.exists('s1', '/')).toBe(false);
  });

  it('that is no number of an epoch is refused', async () => {
    for (const epoch of [Number.NaN, 1.5, Infinity]) expect(await codeOf(files.fence('s1', epoch, 'alice'))).toBe('EINVAL');
  });

  it('can be set again when a power cut has emptied the lease; until then the files can only be read', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/a', '1');
    await files.close();
    writeFileSync(path.join(placeOf('s1'), 'lease.json'), '');
    files = openFiles();
    expect(await files.readFile('s1', '/a')).toBe('1');
    expect(await codeOf(files.writeFile(lease, '/a', '2'))).toBe('ESTALE');
    await files.fence('s1', 1, 'alice');
    expect(await codeOf(files.writeFile(lease, '/a', '2'))).toBe('no fault');
  });
});

describe('a session', () => {
  it('is copied whole, and each goes its own way', async () => {
    const lease = await fenced();
    await files.appendFile(lease, '/events.jsonl', '1\n');
    await files.writeFile(lease, '/checkpoints/deep/1.md', 'one');
    await files.mkdir(lease, '/empty', false);
    const to = { sessionId: 'S1', epoch: 3 };
    await files.copy('s1', to, 'bob');
    await files.appendFile(lease, '/events.jsonl', '2\n');
    await files.appendFile(to, '/events.jsonl', '3\n');
    expect([await files.readFile('s1', '/events.jsonl'), await files.readFile('S1', '/events.jsonl')]).toEqual(['1\n2\n', '1\n3\n']);
    expect(await files.readFile('S1', '/checkpoints/deep/1.md')).toBe('one');
    expect(await files.readdir('S1', '/empty')).toEqual([]);
    expect(await codeOf(files.appendFile({ sessionId: 'S1', epoch: 2 }, '/a', ''))).toBe('ESTALE');
  });

  it('is copied as it is when the copy was asked for', async () => {
    const lease = await fenced();
    await files.appendFile(lease, '/log', 'before');
    const copied = files.copy('s1', { sessionId: 's2', epoch: 1 }, 'alice');
    void files.appendFile(lease, '/log', 'after');
    expect(await files.readFile('s2', '/log')).toBe('before');
    await copied;
    expect(await files.readFile('s1', '/log')).toBe('beforeafter');
  });

  it('is not copied over another one, from nowhere, or under a lease that is over', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/a', '1');
    await files.writeFile(await fenced('s2', 4), '/a', '2');
    await fenced('s3', 4);
    expect(await codeOf(files.copy('s1', { sessionId: 's2', epoch: 5 }, 'alice'))).toBe('EEXIST');
    expect(await codeOf(files.copy('s1', { sessionId: 's3', epoch: 3 }, 'alice'))).toBe('ESTALE');
    expect(await codeOf(files.copy('none', { sessionId: 's4', epoch: 3 }, 'alice'))).toBe('ENOENT');
    expect(await codeOf(files.copy('s1', lease, 'alice'))).toBe('EEXIST');
    expect([await files.readFile('s2', '/a'), await files.exists('s4', '/')]).toEqual(['2', false]);
  });

  it('is copied to one that is fenced and empty', async () => {
    await files.writeFile(await fenced(), '/a', '1');
    await fenced('s2', 2);
    await files.copy('s1', { sessionId: 's2', epoch: 2 }, 'alice');
    expect(await files.readFile('s2', '/a')).toBe('1');
  });

  it('that was wiped is gone with its fence, and whoever goes on writing does not bring it back', async () => {
    const lease = await fenced('s1', 5);
    await files.writeFile(lease, '/a', '1');
    await files.wipe('s1');
    expect(await codeOf(files.writeFile(lease, '/a', '2'))).toBe('ESTALE');
    expect([await files.exists('s1', '/'), await files.size('s1')]).toEqual([false, 0]);
    expect(onDisk().filter((place) => place.includes('s1') || /wiped.+/.test(place))).toEqual([]);
    await fenced('s1', 1);
    expect(await files.readdir('s1', '/')).toEqual([]);
    expect(await codeOf(files.writeFile({ sessionId: 's1', epoch: 1 }, '/a', '3'))).toBe('no fault');
  });

  it('that is not known can be wiped', async () => {
    expect(await codeOf(files.wipe('none'))).toBe('no fault');
  });

  it('has the bytes of all its files', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/a/b', 'é1');
    await files.appendFile(lease, '/c', '12345');
    expect(await files.size('s1')).toBe(8);
    await files.appendFile(lease, '/c', '6');
    await files.writeFile(lease, '/a/b', '');
    expect(await files.size('s1')).toBe(6);
    await reopen();
    expect(await files.size('s1')).toBe(6);
  });

  it('is known by an id only', async () => {
    for (const id of ['', '..', 'a/b', 'a\0', 'x'.repeat(129)]) {
      expect(await codeOf(files.fence(id, 1, 'alice'))).toBe('EINVAL');
      expect(await codeOf(files.readFile(id, '/a'))).toBe('EINVAL');
      expect(await codeOf(files.wipe(id))).toBe('EINVAL');
    }
  });
});

describe('names', () => {
  it('lead to nothing outside of the session, whatever is done with them', async () => {
    const outside = path.join(directory, 'outside');
    writeFileSync(outside, 'untouched');
    await files.writeFile(await fenced('s2'), '/a', 'of another');
    const lease = await fenced('s1');
    const segment = fc.constantFrom('..', '.', '', '\\', '..\\..', 'a', 'b', 'files', 'lease.json', 'outside', 's2', '\0', 'x'.repeat(300), directory);
    const name = fc.array(segment, { maxLength: 12 }).map((parts) => parts.join('/'));
    const known = new Set(['no fault', 'ENOENT', 'EEXIST', 'ENOTDIR', 'EISDIR', 'ENOTEMPTY', 'EINVAL']);
    await fc.assert(fc.asyncProperty(name, name, async (one, other) => {
      const calls = [
        files.writeFile(lease, one, 'x'), files.appendFile(lease, other, 'x'), files.mkdir(lease, one, true), files.rename(lease, one, other),
        files.readFile('s1', one), files.stat('s1', one), files.readdir('s1', other), files.exists('s1', one), files.rm(lease, one, { recursive: true, force: true }),
      ];
      for (const code of await Promise.all(calls.map(codeOf))) expect(known).toContain(code);
    }), { numRuns: 300 });
    expect(readFileSync(outside, 'utf8')).toBe('untouched');
    expect(readdirSync(directory).sort()).toEqual(['outside', 'store']);
    expect(readdirSync(path.join(directory, 'store', 'sessions')).filter((place) => place.length !== 2).sort()).toEqual(['format', 'owners', 'wiped']);
    expect(readdirSync(placeOf('s1')).filter((place) => place !== 'old').sort()).toEqual(['files', 'lease.json']);
    expect(await files.readFile('s2', '/a')).toBe('of another');
    await reopen();
    expect(await codeOf(files.writeFile(lease, '/a-new', 'x'))).toBe('no fault');
  });

  it('that are symbolic links are never followed, as file or as directory', async () => {
    const outside = path.join(directory, 'outside');
    mkdirSync(outside);
    writeFileSync(path.join(outside, 'secret'), 'secret');
    const lease = await fenced();
    const root = path.join(placeOf('s1'), 'files');
    symlinkSync(outside, path.join(root, 'folder'));
    symlinkSync(path.join(outside, 'secret'), path.join(root, 'file'));
    symlinkSync(path.join(outside, 'none'), path.join(root, 'dangling'));
    for (const at of ['/file', '/folder', '/dangling', '/folder/secret', '/folder/new']) {
      const calls = [
        files.readFile('s1', at), files.writeFile(lease, at, 'x'), files.appendFile(lease, at, 'x'), files.stat('s1', at), files.readdir('s1', at),
        files.rename(lease, at, '/elsewhere'), files.mkdir(lease, `${at}/below`, true),
      ];
      expect(await Promise.all(calls.map(codeOf))).toEqual(Array(7).fill('EINVAL'));
      expect(await files.exists('s1', at)).toBe(false);
    }
    expect(await files.readdir('s1', '/')).toEqual([]);
    expect(await files.size('s1')).toBe(0);
    expect(readdirSync(outside)).toEqual(['secret']);
    expect(readFileSync(path.join(outside, 'secret'), 'utf8')).toBe('secret');
  });

  it('that are symbolic links are removed and copied without what they lead to', async () => {
    const outside = path.join(directory, 'outside');
    mkdirSync(outside);
    writeFileSync(path.join(outside, 'secret'), 'secret');
    const lease = await fenced();
    await files.writeFile(lease, '/d/own', '1');
    const root = path.join(placeOf('s1'), 'files');
    symlinkSync(outside, path.join(root, 'd', 'folder'));
    symlinkSync(outside, path.join(root, 'link'));
    await files.copy('s1', { sessionId: 's2', epoch: 1 }, 'alice');
    await files.rm(lease, '/d', { recursive: true, force: false });
    await files.rm(lease, '/link', { recursive: true, force: false });
    expect(readdirSync(path.join(placeOf('s2'), 'files'), { recursive: true }).sort()).toEqual(['d', path.join('d', 'own')]);
    expect(readdirSync(root)).toEqual([]);
    expect(readFileSync(path.join(outside, 'secret'), 'utf8')).toBe('secret');
    await files.wipe('s2');
    expect(readFileSync(path.join(outside, 'secret'), 'utf8')).toBe('secret');
  });

  it('that are pipes are neither waited for nor listed', async () => {
    const lease = await fenced();
    execFileSync('mkfifo', [path.join(placeOf('s1'), 'files', 'pipe')]);
    expect(await codeOf(files.readFile('s1', '/pipe'))).toBe('EINVAL');
    expect(await codeOf(files.appendFile(lease, '/pipe', 'x'))).toBe('EINVAL');
    expect(await files.readdir('s1', '/')).toEqual([]);
  });
});

describe('the directory', () => {
  it('is for its owner only, with everything in it', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/a/b', '1');
    await files.appendFile(lease, '/c', '1');
    await files.mkdir(lease, '/d', false);
    await files.copy('s1', { sessionId: 's2', epoch: 1 }, 'bob');
    const open = onDisk().filter((place) => (statSync(path.join(directory, 'store', place)).mode & 0o077) !== 0);
    expect(open).toEqual([]);
  });

  it('does not have all sessions in one', async () => {
    for (let n = 0; n < 300; n++) await fenced(`session-${n}`);
    const shards = readdirSync(path.join(directory, 'store', 'sessions')).filter((place) => place.length === 2);
    expect(shards.length).toBeGreaterThan(100);
  });

  it('of another layout is refused with both named', async () => {
    await files.close();
    writeFileSync(path.join(directory, 'store', 'sessions', 'format'), '2\n');
    expect(() => openFiles()).toThrow('holds sessions of format 2; this version reads format 1');
  });
});

/** A directory where a new content is put first makes every writeFile fail, whoever runs this: root can write what is read-only. */
describe('faults of the disk', () => {
  it('are EIO with their code, say nothing of where the store is, and leave the file as it was', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/a', 'before');
    mkdirSync(path.join(placeOf('s1'), 'new'));
    const fault = await files.writeFile(lease, '/a', 'x').catch((error: unknown) => error as FileFault);
    expect(fault).toBeInstanceOf(FileFault);
    expect(fault).toMatchObject({ code: 'EIO', message: 'write /a: the store failed (ERR_FS_EISDIR)' });
    expect(await files.readFile('s1', '/a')).toBe('before');
  });

  it('leave the count as it was', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/a', '123');
    expect(await files.size('s1')).toBe(3);
    mkdirSync(path.join(placeOf('s1'), 'new', 'x'), { recursive: true });
    expect(await codeOf(files.writeFile(lease, '/a', '123456'))).toBe('EIO');
    expect([await files.size('s1'), await files.readFile('s1', '/a')]).toEqual([3, '123']);
  });
});

describe('a closed store', () => {
  it('has done what was asked for before, and does nothing after', async () => {
    const lease = await fenced();
    await files.writeFile(lease, '/large', 'x'.repeat(2_000_000));
    const read = files.readFile('s1', '/large');
    const written = files.writeFile(lease, '/a', '1');
    await files.close();
    expect([(await read).length, await codeOf(written)]).toEqual([2_000_000, 'no fault']);
    expect(await codeOf(files.writeFile(lease, '/a', '2'))).toBe('EIO');
    expect(readFileSync(path.join(placeOf('s1'), 'files', 'a'), 'utf8')).toBe('1');
  });
});
