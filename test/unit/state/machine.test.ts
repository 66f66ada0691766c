import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { Machine } from '../../../proxy/state/machine.js';

const home = mkdtempSync(path.join(tmpdir(), 'skyport-machine-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** Lengths of the commands that were run. */
const lengths: number[] = [];

/** As a CLI server runs commands: by /bin/sh. */
const machine = new Machine({
  run: (_sessionId, command) => new Promise((resolve) => {
    lengths.push(Buffer.byteLength(command));
    execFile('/bin/sh', ['-c', command], { cwd: home, maxBuffer: 1 << 26 }, (error, stdout) => {
      resolve({ exitCode: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, output: stdout });
    });
  }),
}, 's1');

let places = 0;

/** A directory of its own. */
function place(): string {
  const directory = path.join(home, `place ${++places}`);
  mkdirSync(directory);
  return directory;
}

const fault = (code: string) => expect.objectContaining({ code }) as object;

describe('a file on the server\'s machine', () => {
  it('is written, added to and read', async () => {
    const file = path.join(place(), 'poem.txt');
    await machine.write(file, 'roses\n', false);
    await machine.write(file, 'are röd \\n $HOME `x` 🌹', true);
    expect(readFileSync(file, 'utf8')).toBe('roses\nare röd \\n $HOME `x` 🌹');
    expect(await machine.read(file)).toBe('roses\nare röd \\n $HOME `x` 🌹');
    await machine.write(file, '', false);
    expect(readFileSync(file, 'utf8')).toBe('');
    expect(await machine.read(file)).toBe('');
  });

  it('keeps its mode, and a link to it, when it is written', async () => {
    const directory = place();
    writeFileSync(path.join(directory, 'run.sh'), 'old');
    chmodSync(path.join(directory, 'run.sh'), 0o755);
    symlinkSync('run.sh', path.join(directory, 'link'));
    await machine.write(path.join(directory, 'link'), 'new', false);
    expect([readFileSync(path.join(directory, 'run.sh'), 'utf8'), statSync(path.join(directory, 'run.sh')).mode & 0o777]).toEqual(['new', 0o755]);
  });

  it('may be larger than a command', async () => {
    const file = path.join(place(), 'large');
    const content = `${"it's ".repeat(40_000)}${'äöü🌹'.repeat(30_000)}`;
    lengths.length = 0;
    await machine.write(file, content, false);
    expect(Math.max(...lengths)).toBeLessThan(131_072);
    expect(readFileSync(file, 'utf8')).toBe(content);
    expect(await machine.read(file)).toBe(content);
  });

  it('has a size in bytes and a time', async () => {
    const file = path.join(place(), 'a');
    writeFileSync(file, 'ä');
    const stat = await machine.stat(file);
    expect(stat).toMatchObject({ isFile: true, isDirectory: false, size: 2 });
    expect(Math.abs(stat.mtime - statSync(file).mtimeMs)).toBeLessThan(1000);
    expect(await machine.stat(path.dirname(file))).toMatchObject({ isFile: false, isDirectory: true, size: 0 });
  });

  it('is listed with its directory, hidden ones too, and is there or not', async () => {
    const directory = place();
    mkdirSync(path.join(directory, 'sub'));
    for (const name of ['a', '.hidden', 'with space', '-rf', 'ö']) writeFileSync(path.join(directory, name), '');
    const entries = await machine.list(directory);
    expect(new Map(entries.map(({ name, type }) => [name, type]))).toEqual(new Map([
      ['a', 'file'], ['.hidden', 'file'], ['with space', 'file'], ['-rf', 'file'], ['ö', 'file'], ['sub', 'directory'],
    ]));
    expect([await machine.exists(path.join(directory, 'a')), await machine.exists(path.join(directory, 'b'))]).toEqual([true, false]);
    expect(await machine.list(path.join(directory, 'sub'))).toEqual([]);
  });

  it('is moved and removed, and directories are made', async () => {
    const directory = place();
    await machine.mkdir(path.join(directory, 'one/two'), true);
    await machine.write(path.join(directory, 'one/a'), 'x', false);
    await machine.rename(path.join(directory, 'one/a'), path.join(directory, 'one/two/b'));
    expect(readdirSync(path.join(directory, 'one'), { recursive: true }).sort()).toEqual(['two', 'two/b']);
    await machine.remove(path.join(directory, 'one/two/b'), { recursive: false, force: false });
    await expect(machine.remove(path.join(directory, 'one'), { recursive: false, force: false })).rejects.toEqual(fault('EISDIR'));
    await machine.remove(path.join(directory, 'one'), { recursive: true, force: false });
    await machine.remove(path.join(directory, 'one'), { recursive: true, force: true });
    expect(readdirSync(directory)).toEqual([]);
  });

  it('that is not there, or is something else, is said to be so', async () => {
    const directory = place();
    const missing = path.join(directory, 'no');
    writeFileSync(path.join(directory, 'a'), '');
    await expect(machine.read(missing)).rejects.toEqual(fault('ENOENT'));
    await expect(machine.stat(missing)).rejects.toEqual(fault('ENOENT'));
    await expect(machine.list(missing)).rejects.toEqual(fault('ENOENT'));
    await expect(machine.remove(missing, { recursive: false, force: false })).rejects.toEqual(fault('ENOENT'));
    await expect(machine.rename(missing, path.join(directory, 'b'))).rejects.toEqual(fault('ENOENT'));
    await expect(machine.read(directory)).rejects.toEqual(fault('EISDIR'));
    await expect(machine.write(directory, 'x', false)).rejects.toEqual(fault('EISDIR'));
    await expect(machine.list(path.join(directory, 'a'))).rejects.toEqual(fault('ENOTDIR'));
    await expect(machine.write(path.join(missing, 'x'), 'x', false)).rejects.toEqual(fault('EINVAL'));
    await expect(machine.mkdir(path.join(missing, 'x'), false)).rejects.toEqual(fault('EINVAL'));
  });

  it('that is too large is not fetched', async () => {
    const file = path.join(place(), 'huge');
    writeFileSync(file, Buffer.alloc(16 * 1_048_576 + 1));
    await expect(machine.read(file)).rejects.toEqual(fault('EINVAL'));
  });

  it('cannot hold what a command cannot carry', async () => {
    await expect(machine.write(path.join(place(), 'a'), 'a\0b', false)).rejects.toEqual(fault('EINVAL'));
  });
});

describe('whatever a name or a content holds', () => {
  const HOSTILE = ["'; touch pwned; '", '$(touch pwned)', '`touch pwned`', '"; touch pwned; "', '\\', "'", "it's", '*', 'a\nb', '; exit 44', '#', '~', '!!', '%s%n'];

  it.each(HOSTILE)('it is a name and nothing else: %j', async (name) => {
    const directory = place();
    const file = path.join(directory, name);
    await machine.write(file, 'content', false);
    await machine.rename(file, `${file}.2`);
    expect(await machine.read(`${file}.2`)).toBe('content');
    expect(readdirSync(directory)).toEqual([`${name}.2`]);
    expect(readdirSync(home)).not.toContain('pwned');
  });

  it('it is a content and nothing else', async () => {
    const file = path.join(place(), 'a');
    const piece = fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom(...HOSTILE));
    await fc.assert(fc.asyncProperty(fc.array(piece).map((parts) => parts.join('').replaceAll('\0', '')), async (content) => {
      await machine.write(file, content, false);
      expect(readFileSync(file, 'utf8')).toBe(content);
      expect(await machine.read(file)).toBe(content);
    }), { numRuns: 100 });
    expect(readdirSync(home)).not.toContain('pwned');
  });
});
