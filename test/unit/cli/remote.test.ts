import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AdminActions, RestartReport } from '../../../proxy/admin/actions.js';
import { createAdmin, type AdminServer } from '../../../proxy/admin/server.js';
import { runCommandLine } from '../../../proxy/cli/program.js';
import { sampleActions, sampleReport, sampleRestart, sampleRow } from '../admin/sample-actions.js';
import { sampleBackend, sampleSnapshot } from '../observe/sample-snapshot.js';
import { fakeTerminal, type FakeTerminal } from './fake-terminal.js';
import { sampleFleet } from './top/sample-fleet.js';

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

test('status tells of a backend that is being restarted', async () => {
  await running({ status: () => sampleSnapshot({ backends: [sampleBackend({ draining: true, drained: true, restarting: true })] }) });
  await skyport('status');
  expect(terminal.stdout).toContain('  up, restarting  ');
});

test('status says why Skyport is not ready', async () => {
  await running({ status: () => sampleSnapshot({ backends: [] }) });
  await skyport('status');
  expect(terminal.stdout).toContain('not ready: no backend is configured');
});

test('on a narrow terminal status leaves out what matters least', async () => {
  await running({ status: () => sampleSnapshot({ backends: [sampleBackend(), sampleBackend({ name: 'a-long-name-of-a-server', kind: 'static', draining: true })] }) });
  terminal.columns = 80;
  await skyport('status');
  expect(terminal.stdout.split('\n').slice(4)).toMatchInlineSnapshot(`
    [
      "",
      "BACKEND               STATE         SESSIONS  ATTACHED  TURNS  LATENCY  RESTARTS",
      "cli-1                 up                   7         3      2    0.3ms         1",
      "a-long-name-of-a-se…  up, draining         7         3      2    0.3ms         1",
      "",
    ]
  `);
});

test('columns that no backend has a value for are left out', async () => {
  await running();
  await skyport('status');
  expect(terminal.stdout).not.toMatch(/USER|RSS|DRIFT|NOTE/);
});

test('status tells what managed servers use, whose they are, and what is the matter', async () => {
  await running({ status: () => sampleFleet() });
  terminal.columns = 200;
  await skyport('status');
  expect(terminal.stdout).toMatchInlineSnapshot(`
    "Skyport 9.8.7, up 1m 40s, ready
    clients   10 connected, 8 authenticated
    sessions  20: 1 live, 2 idle, 3 busy, 4 lingering, 5 stored, 6 lost; 6 attached, 2 in a turn
    traffic   clients 100 B in, 2.0 KiB out; backends 29.3 KiB in, 400 B out
    users     12, 2 active, 3 turns queued
    process   77, 140.0 MiB in memory

    BACKEND    KIND     USER    STATE         VERSION     AGE   RSS  FILES  CHILDREN  WEIGHT  SESSIONS  ATTACHED  TURNS  WAITING  LINKS  LATENCY  CREATE  DRIFT  PID  RESTARTS  NOTE
    cli-1      static   -       up            1.0.85        -     -      -         -       1        12         4      0        5   2/32     12ms       -      -    -         -  -
    user-1     managed  alice   up, draining  1.0.85   1h 30m  300M     51         3       1         3         2      1        5   2/32    0.3ms    31ms   4.2x  501         1  latency, draining for 5s
    spare-1    managed  spare   up            1.0.85      30s   24M     20         0       1         0         0      0        0   0/32    0.3ms       -      -  502         0  canary
    managed-1  managed  shared  waiting       -             -     -      -         -       1         0         0      0        0   0/32        -       -      -    -         0  keeps dying

    managed-1: exit code 1

    USER   SERVER  SESSIONS  LOADED  TURNS  QUEUED  TURNS/MIN
    alice  user-1         3       2      1       3          7
    bob    -              2       1      0       0          4
    "
  `);
});

test('status warns of a line and of servers that are not replaced any more', async () => {
  await running({ status: () => sampleSnapshot({ line: { waiting: 1 }, rollOverStopped: 'the new command \u001b[2Jdoes not start' }) });
  await skyport('status');
  expect(terminal.stdout).toMatch(/\nservers are not replaced any more: the new command \?\[2Jdoes not start\n1 user waits for a server\n$/);
});

test('on a very narrow terminal status shows each backend as a block', async () => {
  await running();
  terminal.columns = 30;
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

test('drain tells of sessions that work in the background', async () => {
  await running({ drain: () => ({ ...sampleReport, turnsOpen: 0, sessionsStaying: 2 }) });
  expect(await skyport('drain', 'cli-1')).toBe(0);
  expect(terminal.stdout).toBe('cli-1 is draining: 3 loaded sessions, 0 open turns, 2 at work in the background\n');
});

test('move says from where to where', async () => {
  await running();
  expect(await skyport('move', 'alice-1')).toBe(0);
  expect(terminal.stdout).toBe('alice-1 has moved from cli-1 to cli-2\n');
  expect(asked).toEqual([['move', { session: 'alice-1', backend: undefined, wait: 0 }]]);
});

test('move waits for a session that is not idle, and says why', async () => {
  const reasons = ['a turn runs', 'a turn runs', 'a prompt waits for its answer'];
  const waits: number[] = [];
  await running({
    move: ({ session, wait }) => {
      waits.push(wait);
      const waitsFor = reasons.shift();
      return waitsFor === undefined ? { session, from: 'cli-1', to: 'cli-2' } : { session, waitsFor };
    },
  });
  expect(await skyport('move', 'alice-1', 'cli-2', '--timeout', '3s')).toBe(0);
  expect(terminal.stderr).toBe('alice-1 is not idle: a turn runs\nalice-1 is not idle: a prompt waits for its answer\n');
  expect(waits).toEqual([0, 3_000, 3_000, 3_000]);
});

test('move gives up after its timeout with the reason', async () => {
  await running({ move: ({ session }) => ({ session, waitsFor: 'a turn runs' }) });
  expect(await skyport('move', 'alice-1', '--timeout', '0s')).toBe(1);
  expect(terminal.stderr).toBe('alice-1 was not moved: a turn runs; the time is up\n');
});

test.each([
  [['nobody'], 'There is no session nobody\n'],
  [['alice-1', 'cli-9'], 'No backend is called cli-9; there are cli-1, cli-2\n'],
  [['alice-1', 'cli-3'], 'cli-3 takes no sessions: it is down\n'],
])('move %j fails with what is wrong', async (args, text) => {
  await running();
  expect(await skyport('move', ...args)).toBe(1);
  expect(terminal.stderr).toBe(text);
});

test('restart tells of each step once', async () => {
  const states = [['draining', 'waiting'], ['draining', 'waiting'], ['stopping', 'waiting'], ['done', 'starting'], ['done', 'done']] as const;
  let at = 0;
  const report = (): RestartReport => {
    const current = states[at++]!;
    return {
      running: at < states.length,
      servers: current.map((state, n) => ({ name: `managed-${n + 1}`, state, sessionsLoaded: 2, sessionsStaying: 1, turnsOpen: 1 })),
    };
  };
  await running({ restart: report, restartProgress: report });
  expect(await skyport('restart')).toBe(0);
  expect(terminal.stdout).toBe('2 servers run anew\n');
  expect(terminal.stderr).toBe([
    'managed-1 is draining: 2 loaded sessions, 1 open turn, 1 at work in the background',
    'managed-1 is stopping',
    'managed-1 is up again',
    'managed-2 is starting',
    'managed-2 is up again',
    '',
  ].join('\n'));
});

test('restart fails with the reason', async () => {
  await running({ restart: () => ({ ...sampleRestart, failure: 'managed-1 was not restarted while starting: it does not come up: exit code 1' }) });
  expect(await skyport('restart')).toBe(1);
  expect(terminal.stderr).toContain('it does not come up: exit code 1\n');
  terminal.stderr = '';
  await server!.close();
  await running({ restart: () => ({ orderRefused: 'A restart is under way: managed-1 is draining' }) });
  expect(await skyport('restart')).toBe(1);
  expect(terminal.stderr).toBe('A restart is under way: managed-1 is draining\n');
});

test('sessions prune --dry-run shows what would go and deletes nothing', async () => {
  await running();
  expect(await skyport('sessions', 'prune', '--older-than', '30d', '--user', 'alice', '--dry-run', '--json')).toBe(0);
  expect(JSON.parse(terminal.stdout)).toEqual([sampleRow]);
  expect(terminal.stderr).toBe('1 session would be deleted.\n');
  expect(asked).toEqual([['sessions', { user: 'alice', unusedFor: 30 * 86_400_000 }]]);
});

test('sessions prune deletes in small steps', async () => {
  const rows = Array.from({ length: 45 }, (_, n) => ({ ...sampleRow, id: `s${n}` }));
  await running({ sessions: () => rows });
  expect(await skyport('sessions', 'prune', '--older-than', '30d')).toBe(0);
  expect(terminal.stdout).toBe('45 sessions deleted.\n');
  expect(asked.map((one) => (one as [string, { sessions: string[] }])[1].sessions.length)).toEqual([20, 20, 5]);
});

test('sessions prune fails when something could not be deleted', async () => {
  await running({ prune: ({ sessions }) => ({ deleted: [], kept: sessions }) });
  expect(await skyport('sessions', 'prune', '--older-than', '30d')).toBe(1);
  expect(terminal.stderr).toContain('alice-1\n');
});

test.each([['sessions', 'prune'], ['sessions', 'prune', '--older-than', 'long'], ['move', 'alice-1', '--timeout', 'soon'], ['restart', '--timeout', 'soon']])('%s %s %s is a usage error', async (...args) => {
  await running();
  expect(await skyport(...args)).toBe(2);
  expect(asked).toEqual([]);
});

test.each([['status'], ['top'], ['sessions'], ['drain', 'cli-1'], ['undrain', 'cli-1'], ['reload'], ['move', 'alice-1'], ['restart'], ['sessions', 'prune', '--older-than', '1d']])('%s without a running Skyport fails and says where it looked', async (...args) => {
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
