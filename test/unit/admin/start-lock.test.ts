import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { withLock } from '../../../proxy/admin/start-lock.js';

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sp-'));
  file = join(directory, 'a.lock');
});

afterEach(() => rmSync(directory, { recursive: true }));

test('the work of one is over before that of the next begins', async () => {
  const steps: string[] = [];
  const work = (name: string) => withLock(file, async () => {
    steps.push(`${name} begins`);
    await new Promise((resolve) => setImmediate(resolve));
    steps.push(`${name} ends`);
  });
  await Promise.all([work('a'), work('b'), work('c')]);
  expect(steps).toHaveLength(6);
  for (let i = 0; i < 6; i += 2) expect(steps[i + 1]).toBe(steps[i]!.replace('begins', 'ends'));
});

test('the lock is gone after work that fails', async () => {
  await expect(withLock(file, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(existsSync(file)).toBe(false);
});

test('a lock that a crash left behind is taken over', async () => {
  writeFileSync(file, '');
  expect(await withLock(file, () => Promise.resolve('done'), () => Date.now() + 11_000)).toBe('done');
});
