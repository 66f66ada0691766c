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
import { sampleActions, sampleReport, sampleRow } from './sample-actions.js';

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
