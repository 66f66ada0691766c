import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedFiles } from '../../../proxy/store/embedded-files.js';
import { OpenHistories } from '../../../proxy/store/open-histories.js';
import { scopeOfEachTest } from '../../support/scope.js';

const scope = scopeOfEachTest();
const lease = { sessionId: 's1', epoch: 1 };
const HISTORY = '/events.jsonl';
let directory: string;
let files: EmbeddedFiles;

beforeEach(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'skyport-histories-'));
  scope.after(() => rmSync(directory, { recursive: true, force: true }));
  files = new EmbeddedFiles(directory, () => ({ session: undefined, user: undefined }));
  scope.after(() => files.close());
  await files.fence('s1', 1, 'alice');
  await files.appendFile(lease, HISTORY, '{"n":1}\n');
});

const append = (line: string): Promise<void> => files.appendFile(lease, HISTORY, line);
const history = (): Promise<string> => files.readFile('s1', HISTORY);

/** The history on the disk. */
function place(): string {
  const found = readdirSync(directory, { recursive: true }).map(String).find((name) => name.endsWith('s1/files/events.jsonl'));
  return path.join(directory, found!);
}

/** Files below the directory that this process has open. */
function openBelow(below: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const name = readlinkSync(`/proc/self/fd/${fd}`);
      return name.startsWith(below) ? [name] : [];
    } catch {
      return [];
    }
  });
}

describe('an append goes to the history that is there', () => {
  it('after a further one', async () => {
    await append('{"n":2}\n');
    await append('{"n":3}\n');
    expect(readFileSync(place(), 'utf8')).toBe('{"n":1}\n{"n":2}\n{"n":3}\n');
  });

  it.each<[string, () => Promise<void>]>([
    ['was written anew', () => files.writeFile(lease, HISTORY, '{"n":1}\n')],
    ['was replaced by another file', async () => {
      await files.writeFile(lease, '/new', '{"n":1}\n');
      await files.rename(lease, '/new', HISTORY);
    }],
    ['was moved away and copied back', async () => {
      await files.rename(lease, HISTORY, '/old');
      await files.writeFile(lease, HISTORY, await files.readFile('s1', '/old'));
    }],
    ['was replaced behind the store\'s back', async () => {
      writeFileSync(`${place()}.new`, '{"n":1}\n');
      renameSync(`${place()}.new`, place());
    }],
  ])('when it %s', async (_, change) => {
    await change();
    await append('{"n":2}\n');
    expect(await history()).toBe('{"n":1}\n{"n":2}\n');
  });

  it.each<[string, () => Promise<void>]>([
    ['was removed', () => files.rm(lease, HISTORY, { recursive: false, force: false })],
    ['was removed with all that there is', () => files.rm(lease, '/', { recursive: true, force: false })],
    ['was wiped with its session', async () => {
      await files.wipe('s1');
      await files.fence('s1', 1, 'alice');
    }],
    ['was deleted behind the store\'s back', async () => rmSync(place())],
    ['was deleted with its directory behind the store\'s back', async () => {
      const root = path.dirname(place());
      rmSync(root, { recursive: true });
      mkdirSync(root);
    }],
  ])('made anew when it %s', async (_, change) => {
    await change();
    await append('{"n":2}\n');
    expect(await history()).toBe('{"n":2}\n');
  });

  it('and to no directory that has taken its place', async () => {
    await files.rm(lease, HISTORY, { recursive: false, force: false });
    await files.mkdir(lease, HISTORY, false);
    await expect(append('{"n":2}\n')).rejects.toMatchObject({ code: 'EISDIR' });
  });
});

describe('a history is open', () => {
  it('until its session is wiped', async () => {
    expect(openBelow(directory).filter((name) => name.endsWith('events.jsonl'))).toHaveLength(1);
    await files.wipe('s1');
    expect(openBelow(directory).filter((name) => name.includes('events.jsonl'))).toEqual([]);
  });

  it('until the store is closed', async () => {
    await files.close();
    expect(openBelow(directory).filter((name) => name.includes('events.jsonl'))).toEqual([]);
  });

  it('until too many others are, the longest unused first', () => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => path.join(directory, name)) as [string, string, string];
    const histories = new OpenHistories(2);
    scope.after(() => histories.close());
    histories.keep(a);
    histories.keep(b);
    histories.find(a);
    histories.keep(c);
    expect([a, b, c].map((file) => histories.find(file) !== undefined)).toEqual([true, false, true]);
    expect(openBelow(directory).filter((name) => [a, b, c].includes(name)).sort()).toEqual([a, c]);
  });
});
