import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createAdmin, type AdminServer } from '../../../proxy/admin/server.js';
import { runCommandLine } from '../../../proxy/cli/program.js';
import { top } from '../../../proxy/cli/top.js';
import { mayColour } from '../../../proxy/cli/top/tty.js';
import type { Snapshot } from '../../../proxy/observe/snapshot.js';
import { sampleActions } from '../admin/sample-actions.js';
import { fakeTerminal, type FakeTerminal } from './fake-terminal.js';
import { FakeTty } from './top/fake-tty.js';
import { sampleFleet } from './top/sample-fleet.js';
import { until } from '../wire/sockets.js';

let directory: string;
let socket: string;
let terminal: FakeTerminal;
let server: AdminServer | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sp-'));
  socket = join(directory, 's.sock');
  terminal = fakeTerminal(directory);
});

afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(directory, { recursive: true });
});

async function running(status: () => Snapshot = sampleFleet): Promise<void> {
  server = await createAdmin({ path: socket, actions: sampleActions([], { status }) });
}

function skyport(...args: string[]): Promise<number> {
  return runCommandLine([...args, '--socket', socket], terminal);
}

test('--count prints so many plain tables, one per interval, with nothing but text', async () => {
  let asked = 0;
  await running(() => sampleFleet({ version: `1.0.${++asked}` }));
  expect(await skyport('top', '--count', '3', '--interval', '5s')).toBe(0);
  expect(terminal.stdout.match(/^Skyport \d.*?,/gm)).toEqual(['Skyport 1.0.1,', 'Skyport 1.0.2,', 'Skyport 1.0.3,']);
  expect(terminal.stdout).not.toContain('\u001b');
  expect([asked, terminal.slept]).toEqual([3, 2]);
});

test('--users shows users only, --sort the order', async () => {
  await running();
  await skyport('top', '--count', '1', '--users', '--sort', 'sessions');
  expect(terminal.stdout.split('\n').map((line) => line.split(' ')[0]!).filter((word) => /^[a-z]+$/.test(word)).slice(-3)).toEqual(['carol', 'alice', 'bob']);
  expect(terminal.stdout).not.toContain('managed-1  ');
});

test('a Skyport that goes away between two tables is told of, and the next table comes when it is back', async () => {
  let asked = 0;
  await running(() => {
    asked++;
    if (asked === 2) throw new Error('away');
    return sampleFleet();
  });
  expect(await skyport('top', '--count', '3')).toBe(0);
  expect(terminal.stdout.match(/^Skyport \d/gm)).toHaveLength(2);
  expect(terminal.stderr).toMatch(/^Skyport does not answer, trying again: /);
});

test('it fails when the last table could not be made', async () => {
  await running();
  const sleep = terminal.sleep;
  terminal.sleep = async (ms) => {
    await server!.close();
    server = undefined;
    await sleep(ms);
  };
  expect(await skyport('top', '--count', '2')).toBe(1);
  expect(terminal.stderr).toBe(`Skyport does not answer, trying again: No Skyport runs here: nobody answers on ${socket}\n`);
});

test('without a running Skyport it fails at once and says where it looked', async () => {
  expect(await skyport('top')).toBe(1);
  expect(terminal.stderr).toBe(`No Skyport runs here: nobody answers on ${socket}\n`);
});

test.each([['--interval', 'soon'], ['--interval', '10ms'], ['--sort', 'name'], ['--count', '0'], ['--count', 'x']])('%s %s is a usage error', async (...args) => {
  await running();
  expect(await skyport('top', ...args)).toBe(2);
});

test('on a terminal it draws until q', async () => {
  await running();
  const tty = new FakeTty(24, 120);
  const ended = top({ socket, interval: '100ms', sort: 'turns' }, terminal, tty);
  await until(() => tty.screen.text.includes('user-1'));
  tty.listeners!.typed('q');
  expect(await ended).toBe(0);
  expect(tty.isRestored).toBe(true);
  expect(terminal.stdout).toBe('');
});

test('NO_COLOR means no colours, unless it is empty', () => {
  expect([{}, { NO_COLOR: '' }, { NO_COLOR: '1' }].map(mayColour)).toEqual([true, true, false]);
});
