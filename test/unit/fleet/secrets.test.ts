import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readEnvironment } from '../../../proxy/fleet/secrets.js';

let directory: string;
beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'skyport-secrets-')); });
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const file = (name: string, content: string | Buffer) => {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
};
const node = (script: string) => ({ command: [process.execPath, '-e', script] });

describe('the configured environment', () => {
  it('is texts as they are, files and what commands print without their last newline', async () => {
    const read = await readEnvironment({
      PLAIN: ' a text\n', EMPTY: '', FILE: { file: file('key', 'of a file\n\n') }, WINDOWS: { file: file('crlf', 'a\r\n') }, PRINTED: node('console.log("printed")'),
    });
    expect(read).toEqual({ values: { PLAIN: ' a text\n', EMPTY: '', FILE: 'of a file\n', WINDOWS: 'a', PRINTED: 'printed' } });
  });

  it('is read anew each time', async () => {
    const path = file('key', 'old');
    expect(await readEnvironment({ KEY: { file: path } })).toEqual({ values: { KEY: 'old' } });
    writeFileSync(path, 'new');
    expect(await readEnvironment({ KEY: { file: path } })).toEqual({ values: { KEY: 'new' } });
  });

  it('gives its commands Skyport\'s environment and the mark', async () => {
    const read = await readEnvironment({ KEY: node('console.log(process.env.PATH + process.env.MARK)') }, { mark: { MARK: ' marked' } });
    expect(read).toEqual({ values: { KEY: `${process.env['PATH']} marked` } });
  });
});

describe('a value that cannot be read', () => {
  const failureOf = async (value: Parameters<typeof readEnvironment>[0][string], options = {}) => {
    const read = await readEnvironment({ GOOD: 'x', KEY: value }, options);
    return 'failure' in read ? read.failure : 'none';
  };

  it('is told with the variable and the file', async () => {
    const missing = join(directory, 'missing');
    expect(await failureOf({ file: missing })).toBe(`KEY: ${missing} cannot be read: ENOENT`);
    expect(await failureOf({ file: directory })).toBe(`KEY: ${directory} is not a file`);
    const empty = file('empty', '\n');
    expect(await failureOf({ file: empty })).toBe(`KEY: ${empty} is empty`);
    const binary = file('binary', Buffer.from([0xff, 0xfe]));
    expect(await failureOf({ file: binary })).toBe(`KEY: ${binary} is not UTF-8`);
    const large = file('large', 'x'.repeat(65_537));
    expect(await failureOf({ file: large })).toBe(`KEY: ${large} has more than 65536 bytes`);
  });

  it('does not wait for a pipe that nobody writes to', async () => {
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect(await failureOf({ file: pipe })).toBe(`KEY: ${pipe} is not a file`);
  });

  it('is told with how its command ended, and nothing of its arguments and output', async () => {
    expect(await failureOf(node('console.log("hunter2"); console.error("hunter2"); process.exit(3)'))).toBe('KEY: its command ended with code 3');
    expect(await failureOf(node('process.kill(process.pid, "SIGTERM")'))).toBe('KEY: its command was killed by SIGTERM');
    expect(await failureOf({ command: [join(directory, 'hunter2'), 'hunter2'] })).toBe('KEY: its command cannot be run: ENOENT');
    expect(await failureOf(node(''))).toBe('KEY: what its command prints is empty');
  });

  it('is told when its command prints without end', async () => {
    expect(await failureOf(node('setInterval(() => process.stdout.write("x".repeat(10000)), 1)'))).toBe('KEY: its command prints more than 65536 bytes');
  });

  it('is told when its command takes too long, or the start is cancelled', async () => {
    const hangs = node('process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)');
    expect(await failureOf(hangs, { timeout: 300 })).toBe('KEY: its command took longer than 300 ms');
    expect(await failureOf(hangs, { signal: AbortSignal.timeout(200) })).toBe('KEY: the start was cancelled');
    expect(await failureOf(hangs, { signal: AbortSignal.abort() })).toBe('KEY: the start was cancelled');
  });

  it('does not wait for what its command has left behind with its output in hand', async () => {
    expect(await readEnvironment({ KEY: { command: ['/bin/sh', '-c', 'sleep 1000 & echo printed'] } })).toEqual({ values: { KEY: 'printed' } });
  });

  it('is not shown when it holds a zero byte', async () => {
    expect(await failureOf('hunter2\0')).toBe('KEY: holds a zero byte');
  });
});
