import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UsageBook } from '../../../proxy/fleet/usage.js';

const PAGE = 4096;

interface Entry {
  readonly parent?: number;
  readonly group?: number;
  readonly session?: number;
  readonly state?: string;
  readonly name?: string;
  /** Pages. */
  readonly rss?: number;
  /** utime, stime, cutime, cstime: ticks of 10 ms. */
  readonly cpu?: readonly [number, number, number, number];
  /** Ticks since boot. */
  readonly start?: number;
  readonly files?: number;
}

describe('usage, by a process table', () => {
  let proc: string;

  beforeEach(() => {
    proc = mkdtempSync(join(tmpdir(), 'skyport-proc-'));
    writeFileSync(join(proc, 'uptime'), '1000.50 3000.00\n');
    mkdirSync(join(proc, 'sys'));
  });

  afterEach(() => rmSync(proc, { recursive: true, force: true }));

  function add(pid: number, { parent = 1, group = pid, session = group, state = 'S', name = 'server', rss = 0, cpu = [0, 0, 0, 0], start = 50_000, files }: Entry): void {
    mkdirSync(join(proc, String(pid)), { recursive: true });
    // state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime priority nice threads itreal start vsize rss …
    const fields = [state, parent, group, session, 0, -1, 0, 0, 0, 0, 0, ...cpu, 20, 0, 1, 0, start, 123_456_789, rss, 0, 0];
    writeFileSync(join(proc, String(pid), 'stat'), `${pid} (${name}) ${fields.join(' ')}\n`);
    if (files === undefined) return;
    mkdirSync(join(proc, String(pid), 'fd'), { recursive: true });
    for (let n = 0; n < files; n++) writeFileSync(join(proc, String(pid), 'fd', String(n)), '');
  }

  const remove = (pid: number): void => rmSync(join(proc, String(pid)), { recursive: true });
  const run = (name: string, pid: number, number = 1) => ({ name, run: number, pid });

  it('is that of the server and all that it has started, whatever they are called', async () => {
    add(10, { rss: 100, cpu: [10, 5, 1, 1], files: 7, name: 'a) S 1 (b' });
    add(11, { parent: 10, group: 10, session: 10, rss: 20, cpu: [1, 1, 0, 0], files: 3 });
    add(12, { parent: 11, group: 12, session: 12, rss: 3, name: 'bash' });
    add(99, { rss: 5_000 });
    const book = new UsageBook(proc);
    await book.sample([run('managed-1', 10)]);
    expect(book.of('managed-1')).toMatchObject({ rss: 123 * PAGE, openFiles: 7, children: 2, cpuMs: 190, age: 500_500 });
  });

  it('tells servers apart', async () => {
    add(10, { rss: 100, files: 1 });
    add(11, { parent: 10, rss: 1 });
    add(20, { rss: 200, files: 2 });
    add(21, { parent: 20, rss: 2 });
    add(22, { parent: 21, rss: 2 });
    const book = new UsageBook(proc);
    await book.sample([run('managed-1', 10), run('managed-2', 20, 4)]);
    expect([book.of('managed-1'), book.of('managed-2', 4)]).toMatchObject([
      { rss: 101 * PAGE, openFiles: 1, children: 1 }, { rss: 204 * PAGE, openFiles: 2, children: 2 },
    ]);
  });

  it('counts who lost his parent by his session and group', async () => {
    add(10, { rss: 100 });
    add(11, { parent: 1, session: 10, group: 11, rss: 1 });
    add(12, { parent: 1, session: 77, group: 10, rss: 1 });
    const book = new UsageBook(proc);
    await book.sample([run('managed-1', 10)]);
    expect(book.of('managed-1')).toMatchObject({ rss: 102 * PAGE, children: 2 });
  });

  it('counts who lost his parent in a session that was known', async () => {
    add(10, { rss: 100 });
    add(30, { parent: 10, rss: 1, name: 'bash' });
    add(31, { parent: 30, group: 31, session: 30, rss: 2 });
    const book = new UsageBook(proc);
    await book.sample([run('managed-1', 10)]);
    remove(30);
    add(31, { parent: 1, group: 31, session: 30, rss: 4 });
    for (let look = 0; look < 3; look++) {
      await book.sample([run('managed-1', 10)]);
      expect(book.of('managed-1')).toMatchObject({ rss: 104 * PAGE, children: 1 });
    }
  });

  it('does not count the session of a server that leads none', async () => {
    add(5, { rss: 1_000, name: 'skyport' });
    add(6, { parent: 1, group: 6, session: 5, rss: 1_000 });
    add(10, { parent: 5, group: 10, session: 5, rss: 100 });
    const book = new UsageBook(proc);
    for (let look = 0; look < 2; look++) {
      await book.sample([run('managed-1', 10)]);
      expect(book.of('managed-1')).toMatchObject({ rss: 100 * PAGE, children: 0 });
    }
  });

  it('counts no zombies', async () => {
    add(10, { rss: 100 });
    add(11, { parent: 10, state: 'Z' });
    const book = new UsageBook(proc);
    await book.sample([run('managed-1', 10)]);
    expect(book.of('managed-1')).toMatchObject({ children: 0 });
  });

  it('has processor time that does not go down when a child is gone', async () => {
    add(10, { cpu: [10, 0, 0, 0] });
    add(11, { parent: 10, cpu: [100, 0, 0, 0] });
    const book = new UsageBook(proc);
    await book.sample([run('managed-1', 10)]);
    remove(11);
    await book.sample([run('managed-1', 10)]);
    expect(book.of('managed-1')!.cpuMs).toBe(1_100);
  });

  it('keeps the runs of a name apart, and without one it is that of the latest', async () => {
    add(10, { rss: 100 });
    add(20, { rss: 30 });
    const book = new UsageBook(proc);
    await book.sample([run('managed-1', 20, 2), run('managed-1', 10, 1)]);
    expect([book.of('managed-1', 1)!.rss, book.of('managed-1', 2)!.rss, book.of('managed-1')!.rss]).toEqual([100 * PAGE, 30 * PAGE, 30 * PAGE]);
  });

  it('is forgotten with the server', async () => {
    add(10, { rss: 100 });
    const book = new UsageBook(proc);
    await book.sample([run('managed-1', 10)]);
    remove(10);
    await book.sample([run('managed-1', 10)]);
    expect(book.of('managed-1')).toBeUndefined();
    await book.sample([]);
    expect(book.of('managed-1', 1)).toBeUndefined();
  });

  it('says nothing of files that may not be looked at', async () => {
    add(10, { rss: 100 });
    const book = new UsageBook(proc);
    await book.sample([run('managed-1', 10)]);
    expect(book.of('managed-1')).toMatchObject({ openFiles: undefined, rss: 100 * PAGE });
  });

  it('is not known where there is no process table', async () => {
    const book = new UsageBook(join(proc, 'nothing'));
    await book.sample([run('managed-1', process.pid)]);
    expect(book.of('managed-1')).toBeUndefined();
  });
});

describe('usage, of processes that run', () => {
  /** Whose leaders they are. */
  const groups: number[] = [];

  afterEach(() => {
    for (const group of groups.splice(0)) {
      try {
        process.kill(-group, 'SIGKILL');
      } catch {
        // Gone already.
      }
    }
  });

  /** A program that prints a line when it has done what it is for. */
  async function start(source: string): Promise<{ child: ChildProcess; pid: number; line: string }> {
    const child = spawn(process.execPath, ['-e', source], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
    groups.push(child.pid!);
    const [line] = await once(child.stdout, 'data') as [Buffer];
    return { child, pid: child.pid!, line: line.toString() };
  }

  it('is the memory, the files and the children that they really have', async () => {
    const { pid } = await start(`
      globalThis.kept = Buffer.alloc(100 << 20, 1);
      globalThis.open = Array.from({ length: 50 }, () => require('fs').openSync('/dev/null', 'r'));
      for (let n = 0; n < 3; n++) require('child_process').spawn('sleep', ['1000'], { stdio: 'ignore' });
      console.log('done');
      setInterval(() => {}, 1000);
    `);
    const book = new UsageBook();
    await book.sample([{ name: 'managed-1', run: 1, pid }]);
    const usage = book.of('managed-1')!;
    expect(usage.children).toBe(3);
    expect(usage.rss).toBeGreaterThan(100 << 20);
    expect(usage.rss).toBeLessThan(400 << 20);
    expect(usage.openFiles).toBeGreaterThanOrEqual(50);
    expect(usage.openFiles).toBeLessThan(100);
    expect(usage.cpuMs).toBeGreaterThan(0);
  });

  it('finds a shell in a session of its own, and what it leaves behind', async () => {
    const { child, pid, line } = await start(`
      const shell = require('child_process').spawn('sh', ['-c', 'sleep 1000 & echo; read line; exit 0'], { detached: true, stdio: ['pipe', 'pipe', 'ignore'] });
      shell.on('exit', () => console.log('left'));
      process.on('SIGUSR2', () => shell.stdin.end());
      // The shell says so when it has begun its own child.
      shell.stdout.once('data', () => console.log(shell.pid));
      setInterval(() => {}, 1000);
    `);
    groups.push(Number(line));
    const book = new UsageBook();
    const look = async (): Promise<number | undefined> => {
      await book.sample([{ name: 'managed-1', run: 1, pid }]);
      return book.of('managed-1')?.children;
    };
    expect(await look()).toBe(2);
    const left = once(child.stdout!, 'data');
    process.kill(pid, 'SIGUSR2');
    await left;
    // The sleep, which nobody of the server's is the parent of any more.
    expect(await look()).toBe(1);
  });
});
