import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AdminActions } from '../../../proxy/admin/actions.js';
import { createAdmin, type AdminServer } from '../../../proxy/admin/server.js';
import { runCommandLine } from '../../../proxy/cli/program.js';
import { sampleActions, sampleReport, sampleRow } from '../admin/sample-actions.js';
import { sampleBackend, sampleSnapshot } from '../observe/sample-snapshot.js';
import { fakeTerminal, type FakeTerminal } from './fake-terminal.js';

let directory: string;
let socket: string;
let asked: unknown[];
let terminal: FakeTerminal;
let server: AdminServer | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sp-'));
  socket = join(directory, 's.sock');
  asked = [];
  terminal = fakeTerminal(directory);
});

afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(directory, { recursive: true });
});

async function running(change: Partial<AdminActions> = {}): Promise<void> {
  server = await createAdmin({ path: socket, actions: sampleActions(asked, change) });
}

function skyport(...args: string[]): Promise<number> {
  return runCommandLine([...args, '--socket', socket], terminal);
}

test('status tells people how Skyport and its backends are', async () => {
  const backends = [
    sampleBackend(),
    sampleBackend({ name: 'cli-2', kind: 'static', state: 'down', backup: true, draining: true, latencyMs: undefined, pid: undefined, restarts: undefined, version: undefined, lastError: 'connect ECONNREFUSED' }),
  ];
  await running({ status: () => sampleSnapshot({ backends }) });
  expect(await skyport('status')).toBe(0);
  expect(terminal.stdout).toBe(`\
Skyport 9.8.7, up 1m 40s, ready
clients   10 connected, 8 authenticated
sessions  20: 1 live, 2 idle, 3 busy, 4 lingering, 5 stored, 6 lost; 6 attached, 2 in a turn
traffic   clients 100 B in, 2.0 KiB out; backends 29.3 KiB in, 400 B out

BACKEND  KIND           STATE           VERSION  WEIGHT  SESSIONS  ATTACHED  TURNS  WAITING  LINKS  LATENCY   PID  RESTARTS
cli-1    managed        up              1.0.85        1         7         3      2        5   2/32    0.3ms  4242         1
cli-2    static backup  down, draining  -             1         7         3      2        5   2/32        -     -         -

cli-2: connect ECONNREFUSED
`);
});

test('status says why Skyport is not ready', async () => {
  await running({ status: () => sampleSnapshot({ backends: [] }) });
  await skyport('status');
  expect(terminal.stdout).toContain('not ready: no backend is configured');
});

test('on a narrow terminal status shows each backend as a block', async () => {
  await running();
  terminal.columns = 60;
  await skyport('status');
  expect(terminal.stdout).toContain('BACKEND   cli-1\nKIND      managed\nSTATE     up\n');
});

test('status --json is the snapshot', async () => {
  await running();
  await skyport('status', '--json');
  expect(JSON.parse(terminal.stdout)).toEqual(sampleSnapshot());
});

test('sessions is a table of owners and bindings', async () => {
  await running();
  expect(await skyport('sessions')).toBe(0);
  expect(terminal.stdout).toBe(`\
SESSION  OWNER  BACKEND  STATE  EPOCH  CLIENTS  TURNS     AGE  UNUSED
alice-1  alice  cli-1    busy       3        2      4  1m 40s     40s
`);
});

test('sessions passes its filters on', async () => {
  await running();
  await skyport('sessions', '--user', 'alice&bob', '--backend', 'cli-1', '--state', 'busy', '--json');
  expect(asked).toEqual([['sessions', { user: 'alice&bob', backend: 'cli-1', state: 'busy' }]]);
  expect(JSON.parse(terminal.stdout)).toEqual([sampleRow]);
});

test('no sessions are told on stderr, and as an empty list to machines', async () => {
  await running({ sessions: () => [] });
  await skyport('sessions');
  expect([terminal.stdout, terminal.stderr]).toEqual(['', 'No sessions.\n']);
  await skyport('sessions', '--json');
  expect(terminal.stdout).toBe('[]\n');
});

test('a state that does not exist is a usage error', async () => {
  expect(await skyport('sessions', '--state', 'asleep')).toBe(2);
  expect(terminal.stderr).toContain('live, idle, busy, lingering, stored, lost');
});

test('drain returns at once and says what is left', async () => {
  await running();
  expect(await skyport('drain', 'cli-1')).toBe(0);
  expect(terminal.stdout).toBe('cli-1 is draining: 3 loaded sessions, 1 open turn\n');
});

test('drain --wait looks until nothing is left', async () => {
  const left = [2, 2, 1, 0];
  await running({
    status: () => {
      const turnsOpen = left.shift()!;
      return sampleSnapshot({ backends: [sampleBackend({ draining: true, drained: turnsOpen === 0, turnsOpen, sessionsAttached: 1 })] });
    },
  });
  expect(await skyport('drain', 'cli-1', '--wait')).toBe(0);
  expect(terminal.stdout).toBe('cli-1 is drained: it may be stopped\n');
  expect(terminal.stderr).toBe([
    'cli-1 is draining: 3 loaded sessions, 1 open turn',
    'cli-1 is draining: 1 loaded session, 2 open turns',
    'cli-1 is draining: 1 loaded session, 1 open turn',
    '',
  ].join('\n'));
});

test('drain --wait gives up after its timeout', async () => {
  await running({ status: () => sampleSnapshot({ backends: [sampleBackend({ draining: true })] }) });
  expect(await skyport('drain', 'cli-1', '--wait', '--timeout', '2s')).toBe(1);
  expect(terminal.slept).toBe(4);
  expect(terminal.stderr).toContain('the time is up');
});

test('drain --wait ends when somebody takes the drain back', async () => {
  await running({ status: () => sampleSnapshot() });
  expect(await skyport('drain', 'cli-1', '--wait')).toBe(1);
  expect(terminal.stderr).toContain('somebody called undrain');
});

test('drain --wait ends well when the backend leaves the config', async () => {
  await running({ status: () => sampleSnapshot({ backends: [] }) });
  expect(await skyport('drain', 'cli-1', '--wait')).toBe(0);
});

test('a timeout that is no duration is a usage error and drains nothing', async () => {
  await running();
  expect(await skyport('drain', 'cli-1', '--wait', '--timeout', 'soon')).toBe(2);
  expect(asked).toEqual([]);
});

test('an unknown backend fails with the names that exist', async () => {
  await running();
  expect(await skyport('drain', 'cli-9')).toBe(1);
  expect(terminal.stderr).toBe('No backend is called cli-9; there are cli-1, cli-2\n');
});

test('undrain says that the backend is in service', async () => {
  await running({ undrain: () => ({ ...sampleReport, draining: false }) });
  expect(await skyport('undrain', 'cli-1')).toBe(0);
  expect(terminal.stdout).toBe('cli-1 takes new sessions again; it is up\n');
});

test('reload tells what is in force and what waits for a restart', async () => {
  await running({ reload: () => ({ ok: true, problems: ['a.yaml:1:1: warning: x'], reloaded: ['limits.clients'], needsRestart: ['listen'] }) });
  expect(await skyport('reload')).toBe(0);
  expect(terminal.stdout).toBe('Reloaded: limits.clients\n');
  expect(terminal.stderr).toBe('a.yaml:1:1: warning: x\nOnly a restart puts these in force: listen\n');
});

test('reload fails with the mistakes of the file', async () => {
  await running({ reload: () => ({ ok: false, problems: ['a.yaml:3:5: error: limits.clients: is not a whole number'] }) });
  expect(await skyport('reload')).toBe(1);
  expect(terminal.stderr).toContain('a.yaml:3:5: error: limits.clients: is not a whole number\n');
  expect(terminal.stderr).toContain('stays in force');
});

test.each([['status'], ['sessions'], ['drain', 'cli-1'], ['undrain', 'cli-1'], ['reload']])('%s without a running Skyport fails and says where it looked', async (...args) => {
  expect(await skyport(...args)).toBe(1);
  expect(terminal.stderr).toBe(`No Skyport runs here: nobody answers on ${socket}\n`);
});

test('without --socket the config names the socket', async () => {
  await running();
  writeFileSync(join(directory, 'skyport.yaml'), 'fleet: { count: 1 }\nadmin: { socket: ./s.sock }\n');
  expect(await runCommandLine(['status'], terminal)).toBe(0);
  expect(terminal.stdout).toContain('Skyport 9.8.7');
});

test('mistakes that have nothing to do with the socket do not keep a command from a running Skyport', async () => {
  await running();
  const mistakes = 'limits: { clients: many }\nbackends: [{ name: a, url: "tcp://h:1", token: "${NOT_SET_HERE}" }]\n';
  writeFileSync(join(directory, 'skyport.yaml'), `${mistakes}admin: { socket: ./s.sock }\n`);
  expect(await runCommandLine(['status'], terminal)).toBe(0);
  expect(terminal.stdout).toContain('Skyport 9.8.7');
  expect(terminal.stderr).toBe('');
});

test('with mistakes elsewhere the socket is found by the store as well', async () => {
  socket = join(directory, 'state', 'skyport.sock');
  mkdirSync(join(directory, 'state'));
  await running();
  writeFileSync(join(directory, 'skyport.yaml'), 'store: { path: ./state }\nlimits: { clients: many }\n');
  expect(await runCommandLine(['status'], terminal)).toBe(0);
});

test.each([
  ['admin: { sockte: ./s.sock }', 'skyport.yaml:1:10: error: admin.sockte'],
  ['store: { path: "${NOT_SET_HERE}" }', 'skyport.yaml:1:16: error: store.path'],
  ['store: [', 'skyport.yaml:2:1: error: '],
])('a config that does not tell the socket is told, and how to do without: %s', async (text, mistake) => {
  writeFileSync(join(directory, 'skyport.yaml'), `${text}\n`);
  expect(await runCommandLine(['status'], terminal)).toBe(2);
  expect(terminal.stderr).toContain(mistake);
  expect(terminal.stderr).toContain('--socket PATH');
});
