import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { DrainReport, SessionRow } from '../../../proxy/admin/actions.js';
import { adminCall } from '../../../proxy/admin/client.js';
import { createAdmin, type AdminServer } from '../../../proxy/admin/server.js';
import type { Snapshot } from '../../../proxy/observe/snapshot.js';
import { sampleSnapshot } from '../observe/sample-snapshot.js';
import { sampleActions, sampleReport, sampleRestart, sampleRow } from './sample-actions.js';

let directory: string;
let path: string;
let asked: unknown[];
const servers: AdminServer[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sp-'));
  path = join(directory, 'skyport.sock');
  asked = [];
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  rmSync(directory, { recursive: true });
});

async function serve(at = path, change: Parameters<typeof sampleActions>[1] = {}): Promise<AdminServer> {
  const server = await createAdmin({ path: at, actions: sampleActions(asked, change) });
  servers.push(server);
  return server;
}

/** A socket file without a process: what kill -9 leaves behind. */
function leaveStaleSocket(): void {
  spawnSync(process.execPath, ['-e', `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`]);
  expect(statSync(path).isSocket()).toBe(true);
}

test('status gives the snapshot', async () => {
  await serve();
  expect(await adminCall<Snapshot>(path, 'GET', 'status')).toEqual(sampleSnapshot());
});

test('sessions passes the filter on and gives the rows', async () => {
  await serve();
  expect(await adminCall<SessionRow[]>(path, 'GET', 'sessions?user=alice&backend=cli-1&state=busy')).toEqual([sampleRow]);
  expect(asked).toEqual([['sessions', { user: 'alice', backend: 'cli-1', state: 'busy' }]]);
});

test('a state that does not exist is refused with the list of those that do', async () => {
  await serve();
  await expect(adminCall(path, 'GET', 'sessions?state=asleep')).rejects
    .toMatchObject({ status: 400, message: 'Unknown state asleep; there are live, idle, busy, lingering, stored, lost' });
});

test('drain and undrain name a backend and give its report', async () => {
  await serve();
  expect(await adminCall<DrainReport>(path, 'POST', 'drain', { name: 'cli-1' })).toEqual(sampleReport);
  expect(await adminCall<DrainReport>(path, 'POST', 'undrain', { name: 'cli-1' })).toEqual({ ...sampleReport, draining: false });
  expect(asked).toEqual([['drain', 'cli-1'], ['undrain', 'cli-1']]);
});

test('an unknown backend is a 404 with the names that exist', async () => {
  await serve();
  await expect(adminCall(path, 'POST', 'drain', { name: 'cli-9' })).rejects
    .toMatchObject({ status: 404, message: 'No backend is called cli-9; there are cli-1, cli-2' });
});

test.each([[undefined], [{}], [{ name: '' }], [{ name: 7 }], [{ name: 'x'.repeat(20_000) }]])('drain with the body %.40j reaches no backend', async (body) => {
  await serve();
  await expect(adminCall(path, 'POST', 'drain', body)).rejects.toThrow();
  expect(asked).toEqual([]);
});

test('move passes on where to and how long to wait, which is bounded', async () => {
  await serve();
  expect(await adminCall(path, 'POST', 'move', { session: 'alice-1', backend: 'cli-2', wait: 3_600_000 })).toEqual({ session: 'alice-1', from: 'cli-1', to: 'cli-2' });
  expect(asked).toEqual([['move', { session: 'alice-1', backend: 'cli-2', wait: 20_000 }]]);
});

test.each([
  ['nobody', 'cli-1', 404, 'There is no session nobody'],
  ['alice-1', 'cli-9', 404, 'No backend is called cli-9; there are cli-1, cli-2'],
  ['alice-1', 'cli-3', 409, 'cli-3 takes no sessions: it is down'],
])('move of %s to %s is refused with %d', async (session, backend, status, message) => {
  await serve();
  await expect(adminCall(path, 'POST', 'move', { session, backend })).rejects.toMatchObject({ status, message });
});

test('restart begins with a timeout, and its progress can be looked at', async () => {
  await serve();
  expect(await adminCall(path, 'POST', 'restart', { timeout: 1_000 })).toEqual({ running: false, servers: sampleRestart.servers });
  expect(await adminCall(path, 'GET', 'restart-progress')).toEqual({ running: false, servers: sampleRestart.servers });
  expect(asked).toEqual([['restart', 1_000]]);
});

test('prune names the sessions and since when nobody has used them', async () => {
  await serve();
  expect(await adminCall(path, 'POST', 'prune', { sessions: ['a', 'b'], unusedFor: 5 })).toEqual({ deleted: ['a', 'b'], kept: [] });
  expect(asked).toEqual([['prune', { sessions: ['a', 'b'], unusedFor: 5 }]]);
});

test.each([
  ['move', {}], ['move', { session: '' }], ['move', { session: 'a', backend: 7 }], ['move', { session: 'a', wait: -1 }], ['move', { session: 'a', wait: '1s' }],
  ['restart', {}], ['restart', { timeout: 'soon' }],
  ['prune', {}], ['prune', { sessions: ['a'] }], ['prune', { sessions: 'a', unusedFor: 1 }], ['prune', { sessions: [7], unusedFor: 1 }],
  ['prune', { sessions: Array.from({ length: 101 }, () => 'a'), unusedFor: 1 }],
])('%s with the body %.60j does nothing', async (action, body) => {
  await serve();
  await expect(adminCall(path, 'POST', action, body)).rejects.toMatchObject({ status: 400 });
  expect(asked).toEqual([]);
});

test('sessions unused for a while are asked for in milliseconds', async () => {
  await serve();
  await adminCall(path, 'GET', 'sessions?unusedFor=60000');
  expect(asked).toEqual([['sessions', { unusedFor: 60_000 }]]);
  await expect(adminCall(path, 'GET', 'sessions?unusedFor=long')).rejects.toMatchObject({ status: 400 });
});

test('reload gives its report', async () => {
  await serve();
  expect(await adminCall(path, 'POST', 'reload')).toEqual({ ok: true, problems: [], reloaded: ['limits.clients'], needsRestart: [] });
});

test('an action with the wrong method is refused', async () => {
  await serve();
  await expect(adminCall(path, 'GET', 'drain')).rejects.toMatchObject({ status: 405 });
  await expect(adminCall(path, 'POST', 'status')).rejects.toMatchObject({ status: 405 });
});

test.each(['', 'nothing', 'constructor', '__proto__', '/', '/:0'])('the action %j does not exist', async (action) => {
  await serve();
  await expect(adminCall(path, 'GET', action)).rejects.toMatchObject({ status: 404 });
});

test('a request line that is no path does not disturb the server', async () => {
  await serve();
  await new Promise((resolve, reject) => {
    request({ socketPath: path, path: '*', method: 'OPTIONS' }, (response) => response.resume().on('end', resolve)).on('error', reject).end();
  });
  await expect(adminCall(path, 'GET', 'status')).resolves.toBeDefined();
});

test('an action that throws is told as an internal error, without its message', async () => {
  await serve(path, { status: () => { throw new Error('secret detail'); } });
  await expect(adminCall(path, 'GET', 'status')).rejects.toMatchObject({ status: 500, message: 'Internal error; the log has the details' });
});

test('only its user may open the socket', async () => {
  await serve();
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('making the socket leaves the process\'s umask as it was', async () => {
  const before = process.umask();
  await serve();
  expect(process.umask()).toBe(before);
});

test('a socket file that nobody answers on is replaced', async () => {
  leaveStaleSocket();
  await serve();
  expect(await adminCall(path, 'GET', 'status')).toEqual(sampleSnapshot());
  expect(existsSync(`${path}.lock`)).toBe(false);
});

test('a socket that a Skyport answers on is left to it', async () => {
  await serve();
  await expect(createAdmin({ path, actions: sampleActions([]) })).rejects.toThrow('another Skyport runs on this store');
  expect(await adminCall(path, 'GET', 'status')).toEqual(sampleSnapshot());
});

test('of many that start at once over a stale socket, one wins and goes on answering', async () => {
  leaveStaleSocket();
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => serve()));
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(await adminCall(path, 'GET', 'status')).toEqual(sampleSnapshot());
});

test('a file that is not a socket is not touched', async () => {
  writeFileSync(path, 'precious');
  await expect(createAdmin({ path, actions: sampleActions([]) })).rejects.toThrow('exists and is not a socket');
  expect(statSync(path).size).toBe(8);
});

test('closing removes the socket file', async () => {
  const server = await serve();
  servers.length = 0;
  await server.close();
  expect(existsSync(path)).toBe(false);
});

test('a path that is too long for the kernel works all the same', async () => {
  const long = join(directory, 'd'.repeat(100), 'skyport.sock');
  const server = await serve(long);
  expect(server.path).not.toBe(long);
  expect(await adminCall(long, 'GET', 'status')).toEqual(sampleSnapshot());
});

test('a missing directory is made', async () => {
  const deeper = join(directory, 'data', 'skyport.sock');
  await serve(deeper);
  expect(await adminCall(deeper, 'GET', 'status')).toEqual(sampleSnapshot());
});

test('without a Skyport the message says so and names the socket', async () => {
  await expect(adminCall(path, 'GET', 'status')).rejects.toThrow(`No Skyport runs here: nobody answers on ${path}`);
});

test('with a socket that nobody answers on the message is the same', async () => {
  leaveStaleSocket();
  await expect(adminCall(path, 'GET', 'status')).rejects.toThrow(`No Skyport runs here: nobody answers on ${path}`);
});
