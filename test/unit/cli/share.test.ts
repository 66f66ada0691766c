import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AdminActions } from '../../../proxy/admin/actions.js';
import { adminCall } from '../../../proxy/admin/client.js';
import { createAdmin, type AdminServer } from '../../../proxy/admin/server.js';
import { runCommandLine } from '../../../proxy/cli/program.js';
import { sharedText } from '../../../proxy/cli/share.js';
import { sampleActions, sampleRow } from '../admin/sample-actions.js';
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

test('share names users and roles, and says with whom the session is shared then', async () => {
  await running();
  expect(await skyport('share', 'alice-1', '--with', 'bob', 'carol', '--with-role', 'team', '--as', 'writer')).toBe(0);
  expect(asked).toEqual([['share', { session: 'alice-1', users: ['bob', 'carol'], roles: ['team'] }, 'writer']]);
  expect(terminal.stdout).toBe("alice-1 is alice's, shared with bob:writer,carol:writer,@team:writer\n");
});

test('share gives the least unless it is told otherwise', async () => {
  await running();
  await skyport('share', 'alice-1', '--with', 'bob');
  expect(asked).toEqual([['share', { session: 'alice-1', users: ['bob'], roles: [] }, 'reader']]);
});

test('unshare takes it away, and says what a rule still gives', async () => {
  await running({ unshare: () => ({ session: { ...sampleRow, sharedByRules: { users: {}, roles: { team: 'reader' } } }, missing: { users: [], roles: [] } }) });
  expect(await skyport('unshare', 'alice-1', '--with', 'bob')).toBe(0);
  expect(terminal.stdout).toBe("alice-1 is alice's, shared with nobody\nby sessions.shares of the config also with @team:reader\n");
});

test('unshare fails for a name with which it was not shared', async () => {
  await running();
  expect(await skyport('unshare', 'alice-1', '--with', 'bob', 'bbo', '--with-role', 'team')).toBe(1);
  expect(terminal.stderr).toBe('alice-1 was not shared with bbo\nalice-1 was not shared with role team\n');
});

test.each([
  ['an unknown session', ['share', 'gone', '--with', 'bob'], 1, 'There is no session gone\n'],
  ['an unknown session of unshare', ['unshare', 'gone', '--with', 'bob'], 1, 'There is no session gone\n'],
  ['the owner', ['share', 'alice-1', '--with', 'alice'], 1, "The session is alice's own\n"],
  ['nobody', ['share', 'alice-1'], 2, 'Name somebody: --with USER, --with-role ROLE\n'],
  ['another kind of access', ['share', 'alice-1', '--with', 'bob', '--as', 'owner'], 2, '--as owner: there are reader and writer\n'],
])('%s is told', async (_, args, code, text) => {
  await running();
  expect(await skyport(...args)).toBe(code);
  expect(terminal.stderr).toBe(text);
});

test('sessions has a column for shares where there are any', async () => {
  await running({ sessions: () => [sampleRow, { ...sampleRow, id: 'alice-2', shares: { users: { bob: 'writer' }, roles: {} }, sharedByRules: { users: {}, roles: { team: 'reader' } } }] });
  await skyport('sessions');
  const [head, one, two] = terminal.stdout.split('\n');
  expect([head, one, two].map((line) => line!.split(/ {2,}/).at(-1))).toEqual(['SHARED WITH', '-', 'bob:writer @team:reader']);
});

test.each([
  [{}], [{ session: 'alice-1' }], [{ session: 'alice-1', users: [], roles: [], as: 'reader' }], [{ session: '', users: ['bob'], roles: [], as: 'reader' }],
  [{ session: 'alice-1', users: [7], roles: [], as: 'reader' }], [{ session: 'alice-1', users: ['bob'], roles: [], as: 'owner' }],
  [{ session: 'alice-1', users: 'bob', roles: [], as: 'reader' }],
])('a request to share with the body %j reaches nobody', async (body) => {
  await running();
  await expect(adminCall(socket, 'POST', 'share', body)).rejects.toMatchObject({ status: 400 });
  expect(asked).toEqual([]);
});

test('nobody is no text', () => {
  expect([sharedText(undefined), sharedText({ users: {}, roles: {} })]).toEqual([undefined, undefined]);
});
