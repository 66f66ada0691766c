import { describe, expect, it } from 'vitest';
import { OwnersLine } from '../../../proxy/sessions/owners-line.js';
import { settled } from './cast.js';

/** Tasks that end when the test says so. */
function stage() {
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  let emptied = 0;
  const line = new OwnersLine(() => emptied++);
  const run = (owner: string, name: string): Promise<string> => line.run(owner, () => {
    begun.push(name);
    return new Promise((resolve) => ends.push(() => resolve(name)));
  });
  const end = async (): Promise<void> => {
    ends.shift()!();
    await settled();
  };
  return { line, begun, run, end, emptied: () => emptied };
}

describe('a line of owners', () => {
  it('runs one task at a time and gives what it returns', async () => {
    const { begun, run, end } = stage();
    const results = [run('alice', 'one'), run('alice', 'two')];
    expect(begun).toEqual(['one']);
    await end();
    expect(begun).toEqual(['one', 'two']);
    await end();
    expect(await Promise.all(results)).toEqual(['one', 'two']);
  });

  it('lets owners take turns, and keeps the order of each', async () => {
    const { begun, run, end } = stage();
    for (const name of ['a1', 'a2', 'a3', 'a4']) void run('alice', name);
    for (const name of ['b1', 'b2']) void run('bob', name);
    void run('carol', 'c1');
    for (let n = 0; n < 7; n++) await end();
    expect(begun).toEqual(['a1', 'b1', 'a2', 'c1', 'b2', 'a3', 'a4']);
  });

  it('goes on after a task that fails', async () => {
    const line = new OwnersLine();
    const failed = line.run('alice', () => Promise.reject(new Error('no')));
    const other = line.run('alice', () => Promise.resolve('yes'));
    await expect(failed).rejects.toThrow('no');
    expect(await other).toBe('yes');
  });

  it('tells when nobody is in it any more', async () => {
    const { run, end, emptied } = stage();
    void run('alice', 'one');
    void run('bob', 'two');
    await end();
    expect(emptied()).toBe(0);
    await end();
    expect(emptied()).toBe(1);
  });
});
