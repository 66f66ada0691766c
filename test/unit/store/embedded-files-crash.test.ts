import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedFiles } from '../../../proxy/store/embedded-files.js';
import { scopeOfEachTest } from '../../support/scope.js';

const COMPILED = pathToFileURL(fileURLToPath(new URL('../../../dist/proxy/store/embedded-files.js', import.meta.url))).href;
const scope = scopeOfEachTest();
const lease = { sessionId: 's1', epoch: 1 };
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'skyport-crash-'));
  scope.after(() => rmSync(directory, { recursive: true, force: true }));
});

function openFiles(): EmbeddedFiles {
  const opened = new EmbeddedFiles(directory, () => ({ session: undefined, user: undefined }));
  scope.after(() => opened.close());
  return opened;
}

function script(body: string): string[] {
  return ['--input-type=module', '--eval', `
    import { writeSync } from 'node:fs';
    import { EmbeddedFiles } from ${JSON.stringify(COMPILED)};
    const files = new EmbeddedFiles(${JSON.stringify(directory)}, () => ({ session: undefined, user: 1e12 }));
    const lease = { sessionId: 's1', epoch: 1 };
    const say = (text) => writeSync(1, text + '\\n');
    ${body}
  `];
}

/** Runs a writer that says what has resolved, and kills it with -9 once it has said so many lines. @returns the last */
async function killAfter(lines: number, body: string): Promise<number> {
  const child = spawn(process.execPath, script(body), { stdio: ['ignore', 'pipe', 'inherit'] });
  scope.after(() => void child.kill('SIGKILL'));
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (said.split('\n').length > lines) child.kill('SIGKILL');
  });
  await new Promise((resolve) => child.once('close', resolve));
  expect(child.signalCode).toBe('SIGKILL');
  return Number(said.slice(0, said.lastIndexOf('\n')).split('\n').at(-1));
}

function placeOf(): string {
  const root = path.join(directory, 'sessions');
  return readdirSync(root).map((shard) => path.join(root, shard, 's1')).find((place) => existsSync(place))!;
}

describe('after a kill -9 in the middle of writes', () => {
  const WRITER = `
    await files.fence('s1', 1, 'alice');
    const until = Number((await files.exists('s1', '/last')) ? await files.readFile('s1', '/last') : 0);
    for (let n = until + 1; ; n++) {
      await files.appendFile(lease, '/events.jsonl', JSON.stringify({ n, text: 'x'.repeat((n * 7919) % 40_000) }) + '\\n');
      await files.writeFile(lease, '/whole', n + ':' + 'x'.repeat((n * 104729) % 30_000) + ':' + n);
      await files.writeFile(lease, '/renamed.tmp', n + ':' + 'y'.repeat((n * 31) % 9_000) + ':' + n);
      await files.rename(lease, '/renamed.tmp', '/renamed');
      await files.writeFile(lease, '/last', String(n));
      say(String(n));
    }`;

  it('files are the old or the new one whole, and histories a beginning with every line that was acknowledged', async () => {
    for (const lines of [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 200]) {
      const acknowledged = await killAfter(lines, WRITER);
      const files = openFiles();
      for (const name of ['/whole', '/renamed']) {
        const [first, , last] = (await files.readFile('s1', name)).split(':');
        expect(last).toBe(first);
        expect([acknowledged, acknowledged + 1]).toContain(Number(first));
      }
      const history = await files.readFile('s1', '/events.jsonl');
      expect(history.endsWith('\n')).toBe(true);
      const numbers = history.trimEnd().split('\n').map((line) => (JSON.parse(line) as { n: number }).n);
      const last = numbers.at(-1)!;
      expect([acknowledged, acknowledged + 1]).toContain(last);
      // The writer goes on from what it has acknowledged: the line after that may be there twice, and never torn.
      expect([...new Set(numbers)]).toEqual(Array.from({ length: last }, (_, n) => n + 1));
      expect((await files.readdir('s1', '/')).map(({ name }) => name).filter((name) => name !== 'renamed.tmp'))
        .toEqual(['events.jsonl', 'last', 'renamed', 'whole']);
      expect(readdirSync(placeOf()).sort()).toEqual(['files', 'lease.json']);
      await files.close();
    }
  });

  it('a fence that had resolved still holds', async () => {
    const epoch = await killAfter(20, "for (let n = 1; ; n++) { await files.fence('s1', n, 'alice'); say(String(n)); }");
    const files = openFiles();
    await expect(files.writeFile({ sessionId: 's1', epoch: epoch - 1 }, '/a', '')).rejects.toMatchObject({ code: 'ESTALE' });
    await files.writeFile({ sessionId: 's1', epoch: epoch + 1 }, '/a', '');
  });

  it('a session that was being wiped is there whole or not at all', async () => {
    await killAfter(3, `
      for (let n = 1; ; n++) {
        await files.fence('s1', 1, 'alice');
        for (let file = 0; file < 20; file++) await files.writeFile(lease, '/d/' + file, 'x');
        say(String(n));
        await files.wipe('s1');
      }`);
    const files = openFiles();
    const there = await files.exists('s1', '/d');
    const names = there ? (await files.readdir('s1', '/d')).length : 0;
    expect(names).toBeLessThanOrEqual(20);
    await files.close();
    expect(readdirSync(path.join(directory, 'sessions', 'wiped'))).toEqual([]);
  });
});

describe('what a crash has left', () => {
  /** A session with one file, closed. */
  async function left(): Promise<string> {
    const files = openFiles();
    await files.fence('s1', 1, 'alice');
    await files.writeFile(lease, '/a', 'old');
    await files.writeFile(lease, '/d/b', 'old');
    await files.close();
    return placeOf();
  }

  it('of a replacement gets the old file back if the new one had not taken its name', async () => {
    const place = await left();
    mkdirSync(path.join(place, 'old', 'd'), { recursive: true });
    writeFileSync(path.join(place, 'old', 'a'), 'before a');
    writeFileSync(path.join(place, 'old', 'd', 'b'), 'before b');
    rmSync(path.join(place, 'files', 'd', 'b'));
    const files = openFiles();
    expect([await files.readFile('s1', '/a'), await files.readFile('s1', '/d/b')]).toEqual(['old', 'before b']);
    expect(readdirSync(place).sort()).toEqual(['files', 'lease.json']);
  });

  it('is not put back through a symbolic link', async () => {
    const place = await left();
    const outside = path.join(directory, 'outside');
    mkdirSync(outside);
    mkdirSync(path.join(place, 'old', 'e'), { recursive: true });
    writeFileSync(path.join(place, 'old', 'e', 'b'), 'before');
    symlinkSync(outside, path.join(place, 'files', 'e'));
    const files = openFiles();
    expect(await files.readFile('s1', '/a')).toBe('old');
    expect(readdirSync(outside)).toEqual([]);
  });

  it('half made, half copied or half deleted is not seen, and taken away', async () => {
    const place = await left();
    writeFileSync(path.join(place, 'new'), 'half');
    for (const name of ['copied', 'gone-0']) {
      mkdirSync(path.join(place, name));
      writeFileSync(path.join(place, name, 'x'), 'half');
    }
    const files = openFiles();
    expect((await files.readdir('s1', '/')).map(({ name }) => name)).toEqual(['a', 'd']);
    expect(readdirSync(place).sort()).toEqual(['files', 'lease.json']);
  });

  it('of a history is mended before anybody reads it', async () => {
    const place = await left();
    writeFileSync(path.join(place, 'files', 'events.jsonl'), '{"n":1}\n{"n":2,"te');
    const files = openFiles();
    expect((await files.stat('s1', '/events.jsonl')).size).toBe(8);
    await files.appendFile(lease, '/events.jsonl', '{"n":2}\n');
    expect(await files.readFile('s1', '/events.jsonl')).toBe('{"n":1}\n{"n":2}\n');
  });

  it('of wiped sessions is deleted at the next start', async () => {
    await left();
    const wiped = path.join(directory, 'sessions', 'wiped', '1-1-0', 'files');
    mkdirSync(wiped, { recursive: true });
    writeFileSync(path.join(wiped, 'a'), 'x');
    await openFiles().close();
    expect(readdirSync(path.join(directory, 'sessions', 'wiped'))).toEqual([]);
  });

  it('is no session without a lease', async () => {
    const place = await left();
    rmSync(path.join(place, 'lease.json'));
    const files = openFiles();
    expect([await files.exists('s1', '/a'), await files.size('s1')]).toEqual([false, 0]);
    await files.fence('s1', 1, 'alice');
    await files.writeFile(lease, '/c', '');
  });
});

describe('a disk that takes no more', () => {
  it.each(['/log', '/events.jsonl'])('leaves nothing of an append to %s or of a write that it took a part of', (log) => {
    // The limit on a file's size stands for a full disk: a write is cut short there, then refused.
    const run = spawnSync('bash', ['-c', 'trap "" XFSZ; ulimit -f 64; exec "$0" "$@"', process.execPath, ...script(`
      await files.fence('s1', 1, 'alice');
      await files.appendFile(lease, '${log}', 'x'.repeat(60_000));
      await files.writeFile(lease, '/whole', 'old');
      const outcome = (call) => call.then(() => 'done', (error) => error.code + ' ' + error.message);
      say(await outcome(files.appendFile(lease, '${log}', 'y'.repeat(20_000))));
      say(await outcome(files.writeFile(lease, '/whole', 'y'.repeat(80_000))));
      say(String((await files.stat('s1', '${log}')).size + ' ' + await files.size('s1')));
      say(await files.readFile('s1', '/whole'));
    `)], { encoding: 'utf8' });
    expect(run.stdout.split('\n')).toEqual([
      `EIO append to ${log}: the store failed (EFBIG)`, 'EIO write /whole: the store failed (EFBIG)', '60000 60003', 'old', '',
    ]);
    expect(readdirSync(placeOf()).sort()).toEqual(['files', 'lease.json']);
  });
});
