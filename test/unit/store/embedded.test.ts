import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { open } from 'lmdb';
import { beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedRegistry } from '../../../proxy/store/embedded.js';
import type { SessionRecord } from '../../../proxy/store/registry.js';
import { scopeOfEachTest } from '../../support/scope.js';

const COMPILED = fileURLToPath(new URL('../../../dist/proxy/store/embedded.js', import.meta.url));

const scope = scopeOfEachTest();
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'skyport-store-'));
  scope.after(() => rmSync(directory, { recursive: true, force: true }));
});

function recordOf(id: string, more: Partial<SessionRecord> = {}): SessionRecord {
  return { id, owner: 'alice', backend: 'b1', epoch: 1, createdAt: 1_700_000_000_000, usedAt: 1_700_000_000_001, turns: 3, ...more };
}

async function idsIn(registry: EmbeddedRegistry): Promise<string[]> {
  const ids = registry.load().map(({ id }) => id);
  await registry.close();
  return ids;
}

/** Writes what it is asked to in a process of its own, says so, and is killed with -9 while it waits for more. */
async function writeAndDie(script: string): Promise<void> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', `
    const { EmbeddedRegistry } = await import(${JSON.stringify(COMPILED)});
    const registry = new EmbeddedRegistry(${JSON.stringify(directory)});
    const record = (id) => ({ id, owner: 'alice', backend: 'b1', epoch: 1, createdAt: 1, usedAt: 1, turns: 0 });
    ${script}
    process.stdout.write('written');
    setTimeout(() => undefined, 60_000);
  `], { stdio: ['ignore', 'pipe', 'inherit'] });
  scope.after(() => void child.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`the writer ended with ${code} before it had written`)));
  });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

describe('the embedded registry', () => {
  it('is empty at first, in a directory that it makes for its owner only', async () => {
    const place = path.join(directory, 'data', 'below');
    const registry = new EmbeddedRegistry(place);
    expect(await idsIn(registry)).toEqual([]);
    expect(statSync(place).mode & 0o077).toBe(0);
    expect(existsSync(path.join(place, 'registry'))).toBe(true);
  });

  it('gives every record as it was put, after it was opened again', async () => {
    const registry = new EmbeddedRegistry(directory);
    const records = [recordOf('a', { owner: 'bob', epoch: 7, turns: 0 }), recordOf('z-_9'), recordOf('A'.repeat(128))];
    await Promise.all(records.map((record) => registry.put(record)));
    await registry.close();
    const again = new EmbeddedRegistry(directory);
    expect(again.load()).toEqual(expect.arrayContaining(records));
    expect(await idsIn(again)).toHaveLength(3);
  });

  it('keeps the last of several writes', async () => {
    const registry = new EmbeddedRegistry(directory);
    for (let turns = 0; turns < 5; turns++) await registry.put(recordOf('s1', { turns }));
    expect(registry.load()).toEqual([recordOf('s1', { turns: 4 })]);
    await registry.close();
  });

  it('writes in the order it was asked to, whether or not anybody waited', async () => {
    const registry = new EmbeddedRegistry(directory);
    void registry.put(recordOf('s1', { epoch: 1 }));
    void registry.remove('s1');
    void registry.put(recordOf('s1', { epoch: 2 }));
    void registry.put(recordOf('s2'));
    await registry.remove('s2');
    expect(registry.load()).toEqual([recordOf('s1', { epoch: 2 })]);
    await registry.close();
  });

  it('forgets what was removed, also when it never knew it', async () => {
    const registry = new EmbeddedRegistry(directory);
    await registry.put(recordOf('s1'));
    await registry.put(recordOf('s2'));
    await registry.remove('s1');
    await registry.remove('s3');
    await registry.close();
    expect(await idsIn(new EmbeddedRegistry(directory))).toEqual(['s2']);
  });

  it('holds ids apart that begin alike', async () => {
    const registry = new EmbeddedRegistry(directory);
    for (const id of ['s', 's1', 's10', 'format', 'session:']) await registry.put(recordOf(id));
    await registry.remove('s1');
    expect((await idsIn(registry)).sort()).toEqual(['format', 's', 's10', 'session:']);
  });

  it('closes with everything written that was asked for', async () => {
    const registry = new EmbeddedRegistry(directory);
    for (let n = 0; n < 500; n++) void registry.put(recordOf(`s${n}`));
    await registry.close();
    expect(await idsIn(new EmbeddedRegistry(directory))).toHaveLength(500);
  });
});

describe('after a kill -9 the embedded registry', () => {
  it('has every record whose put had resolved', async () => {
    await writeAndDie('for (let n = 0; n < 200; n++) await registry.put(record(`s${n}`));');
    const ids = await idsIn(new EmbeddedRegistry(directory));
    expect(ids.sort()).toEqual(Array.from({ length: 200 }, (_, n) => `s${n}`).sort());
  });

  it('has no record whose removal had resolved', async () => {
    await writeAndDie('await registry.put(record("kept")); await registry.put(record("gone")); await registry.remove("gone");');
    expect(await idsIn(new EmbeddedRegistry(directory))).toEqual(['kept']);
  });

  it('can be written again', async () => {
    await writeAndDie('await registry.put(record("before")); for (let n = 0; n < 50; n++) void registry.put(record("torn"));');
    const registry = new EmbeddedRegistry(directory);
    await registry.put(recordOf('after'));
    await registry.close();
    expect(await idsIn(new EmbeddedRegistry(directory))).toEqual(expect.arrayContaining(['before', 'after']));
  });
});

describe('a registry of another format', () => {
  async function writeFormat(format: number): Promise<void> {
    const db = open<number, string>({ path: path.join(directory, 'registry'), encoding: 'json' });
    await db.put('format', format);
    await db.close();
  }

  it('is refused with both formats named, and left as it is', async () => {
    await new EmbeddedRegistry(directory).close();
    await writeFormat(2);
    expect(() => new EmbeddedRegistry(directory)).toThrow(`${directory} holds a registry of format 2; this version reads format 1`);
    expect(() => new EmbeddedRegistry(directory)).toThrow('format 2');
  });

  it('can be opened again once it is what this version reads', async () => {
    await writeFormat(2);
    expect(() => new EmbeddedRegistry(directory)).toThrow();
    await writeFormat(1);
    expect(await idsIn(new EmbeddedRegistry(directory))).toEqual([]);
  });
});
