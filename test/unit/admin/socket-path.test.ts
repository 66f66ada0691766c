import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { makeSocketDirectory, socketPath } from '../../../proxy/admin/socket-path.js';

const made: string[] = [];
const tmpdirBefore = process.env['TMPDIR'];

afterEach(() => {
  if (tmpdirBefore === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = tmpdirBefore;
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true });
});

function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), 'sp-'));
  made.push(directory);
  return directory;
}

test('a path that fits is used as it is', () => {
  expect(socketPath('/var/lib/skyport/skyport.sock')).toBe('/var/lib/skyport/skyport.sock');
});

test('a long path becomes a short one, always the same, and another for another path', () => {
  const long = `/${'d'.repeat(120)}/skyport.sock`;
  expect(Buffer.byteLength(socketPath(long))).toBeLessThanOrEqual(100);
  expect(socketPath(long)).toBe(socketPath(long));
  expect(socketPath(long)).not.toBe(socketPath(`/${'e'.repeat(120)}/skyport.sock`));
});

test('the length is counted in bytes', () => {
  expect(socketPath(`/${'ä'.repeat(60)}.sock`)).toMatch(/[0-9a-f]{24}\.sock$/);
});

test('the directory of short paths is private', () => {
  process.env['TMPDIR'] = temporary();
  const long = `/${'d'.repeat(120)}/skyport.sock`;
  makeSocketDirectory(long);
  expect(statSync(dirname(socketPath(long))).mode & 0o777).toBe(0o700);
});

test('a directory of short paths that others may enter is not used', async () => {
  process.env['TMPDIR'] = temporary();
  const long = `/${'d'.repeat(120)}/skyport.sock`;
  makeSocketDirectory(long);
  const { chmodSync } = await import('node:fs');
  chmodSync(dirname(socketPath(long)), 0o755);
  expect(() => makeSocketDirectory(long)).toThrow('only this user can open');
});

test('a symbolic link in the place of the directory is not followed', async () => {
  process.env['TMPDIR'] = temporary();
  const long = `/${'d'.repeat(120)}/skyport.sock`;
  const { symlinkSync, mkdirSync } = await import('node:fs');
  const elsewhere = join(temporary(), 'elsewhere');
  mkdirSync(elsewhere, { mode: 0o700 });
  symlinkSync(elsewhere, dirname(socketPath(long)));
  expect(() => makeSocketDirectory(long)).toThrow('only this user can open');
});
