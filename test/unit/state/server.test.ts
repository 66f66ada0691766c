import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { channels, type StateFault } from '../../../proxy/channels.js';
import type { BackendIdentity, Leases } from '../../../proxy/state/leases.js';
import type { Shell } from '../../../proxy/state/machine.js';
import { StateServer, type StateEvents } from '../../../proxy/state/server.js';
import { EmbeddedFiles } from '../../../proxy/store/embedded-files.js';
import { FileFault, type Lease, type Quotas, type SessionFiles } from '../../../proxy/store/session-files.js';
import { scopeOfEachTest } from '../../support/scope.js';

const scope = scopeOfEachTest();

const SERVER: BackendIdentity = { name: 'cli-1', backend: 1, incarnation: 1 };
const OTHER: BackendIdentity = { name: 'cli-2', backend: 2, incarnation: 1 };

const NO_SHELL: Shell = { run: () => Promise.resolve(undefined) };

const NO_QUOTA: Quotas = { session: undefined, user: undefined };

/** s1 is SERVER's, and the lease may be moved on. */
class Rig implements Leases, Shell {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'skyport-state-'));
  readonly files: EmbeddedFiles;
  readonly state: StateServer;
  readonly faults: StateFault[] = [];
  /** Commands that the server's shell was given; it refuses all of them. */
  readonly commands: string[] = [];
  epoch = 1;

  constructor(events: StateEvents = {}, quotas: Quotas = NO_QUOTA) {
    this.files = new EmbeddedFiles(this.directory, () => quotas);
    this.state = new StateServer(this.files, this, events);
    const note = (fault: StateFault): void => void this.faults.push(fault);
    channels.stateFault.subscribe(note);
    scope.after(async () => {
      channels.stateFault.unsubscribe(note);
      await this.files.close();
      rmSync(this.directory, { recursive: true, force: true });
    });
  }

  static async ready(events?: StateEvents, quotas?: Quotas): Promise<Rig> {
    const rig = new Rig(events, quotas);
    await rig.files.fence('s1', 1, 'alice');
    return rig;
  }

  leaseOf(sessionId: string, { name }: BackendIdentity): Lease | undefined {
    return sessionId === 's1' && name === 'cli-1' ? { sessionId, epoch: this.epoch } : undefined;
  }

  run(sessionId: string, command: string): Promise<undefined> {
    this.commands.push(`${sessionId}: ${command}`);
    return Promise.resolve(undefined);
  }

  async ask(call: string, params: object, from = SERVER): Promise<unknown> {
    const reply = await this.state.answer(from, `sessionFs.${call}`, { sessionId: 's1', ...params }, this);
    return 'result' in reply ? reply.result : reply;
  }
}

describe('a file of a session', () => {
  it('is written, added to and read, and null means that it is done', async () => {
    const rig = await Rig.ready();
    expect(await rig.ask('writeFile', { path: '/state/plan.md', content: 'one', mode: 384 })).toBeNull();
    expect(await rig.ask('appendFile', { path: '/state/plan.md', content: ' – two' })).toBeNull();
    expect(await rig.ask('readFile', { path: '/state/plan.md' })).toEqual({ content: 'one – two' });
  });

  it('that is not there is said to be so in the result of each call', async () => {
    const rig = await Rig.ready();
    const error = { code: 'ENOENT', message: expect.any(String) as string };
    expect(await rig.ask('readFile', { path: '/state/no' })).toEqual({ content: '', error });
    expect(await rig.ask('stat', { path: '/state/no' })).toMatchObject({ isFile: false, isDirectory: false, size: 0, error });
    expect(await rig.ask('readdir', { path: '/state/no' })).toEqual({ entries: [], error });
    expect(await rig.ask('readdirWithTypes', { path: '/state/no' })).toEqual({ entries: [], error });
    expect(await rig.ask('exists', { path: '/state/no' })).toEqual({ exists: false });
    expect(await rig.ask('rm', { path: '/state/no' })).toEqual(error);
    expect(await rig.ask('rename', { src: '/state/no', dest: '/state/yes' })).toEqual(error);
  });

  it('has a size in bytes and times, in the form of ISO 8601 and in milliseconds', async () => {
    const rig = await Rig.ready();
    await rig.ask('writeFile', { path: '/state/a', content: 'ä' });
    const iso = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string;
    const number = expect.any(Number) as number;
    expect(await rig.ask('stat', { path: '/state/a' })).toEqual({
      isFile: true, isDirectory: false, size: 2, mtime: iso, birthtime: iso, mtimeMs: number, birthtimeMs: number,
    });
  });

  it('takes the place of another one by a rename', async () => {
    const rig = await Rig.ready();
    await rig.ask('writeFile', { path: '/state/workspace.yaml', content: 'old' });
    await rig.ask('writeFile', { path: '/state/workspace.yaml.tmp.1', content: 'new' });
    expect(await rig.ask('rename', { src: '/state/workspace.yaml.tmp.1', dest: '/state/workspace.yaml' })).toBeNull();
    expect(await rig.ask('readFile', { path: '/state/workspace.yaml' })).toEqual({ content: 'new' });
    expect(await rig.ask('exists', { path: '/state/workspace.yaml.tmp.1' })).toEqual({ exists: false });
  });

  it('is listed with its directory, by names and with types, and removed', async () => {
    const rig = await Rig.ready();
    expect(await rig.ask('mkdir', { path: '/state/files/deep', recursive: true, mode: 448 })).toBeNull();
    await rig.ask('writeFile', { path: '/state/files/a', content: '' });
    expect(await rig.ask('readdir', { path: '/state/files' })).toEqual({ entries: ['a', 'deep'] });
    expect(await rig.ask('readdirWithTypes', { path: '/state/files/' })).toEqual({
      entries: [{ name: 'a', type: 'file' }, { name: 'deep', type: 'directory' }],
    });
    expect(await rig.ask('rm', { path: '/state/files', recursive: true, force: true })).toBeNull();
    expect(await rig.ask('exists', { path: '/state/files' })).toEqual({ exists: false });
    expect(await rig.ask('rm', { path: '/state/files', force: true })).toBeNull();
  });

  it('that is the history is told of once it is stored, and no other', async () => {
    const appended: string[] = [];
    const rig = await Rig.ready({ onAppend: (sessionId, file, content) => appended.push(`${sessionId} ${file} ${content}`) });
    await rig.ask('appendFile', { path: '/state/other.jsonl', content: 'x' });
    await rig.ask('appendFile', { path: '/state/./events.jsonl', content: '{}\n' });
    rig.epoch = 0;
    await rig.ask('appendFile', { path: '/state/events.jsonl', content: 'stale' });
    expect(appended).toEqual(['s1 /events.jsonl {}\n']);
  });
});

describe('a history', () => {
  it('that is written anew, moved or removed is told of, and no other file', async () => {
    let replaced = 0;
    const rig = await Rig.ready({ onReplace: (sessionId) => (replaced += sessionId === 's1' ? 1 : 0) });
    const counts: number[] = [];
    const ask = async (call: string, params: object): Promise<void> => {
      await rig.ask(call, params);
      counts.push(replaced);
    };
    await ask('appendFile', { path: '/state/events.jsonl', content: 'x\n' });
    await ask('writeFile', { path: '/state/events.jsonl.tmp', content: 'y\n' });
    await ask('rename', { src: '/state/events.jsonl.tmp', dest: '/state/events.jsonl' });
    await ask('writeFile', { path: '/state/./events.jsonl', content: 'z\n' });
    await ask('rename', { src: '/state/events.jsonl', dest: '/state/old' });
    await ask('rm', { path: '/state/events.jsonl', force: true });
    await ask('rm', { path: '/state', recursive: true });
    expect(counts).toEqual([0, 0, 1, 2, 3, 4, 5]);
  });
});

describe('what lies outside of the session\'s state', () => {
  const EVERY_CALL: readonly [string, object][] = [
    ['readFile', {}], ['exists', {}], ['stat', {}], ['readdir', {}], ['readdirWithTypes', {}], ['writeFile', { content: 'x' }],
    ['appendFile', { content: 'x' }], ['mkdir', { recursive: true }], ['rm', { recursive: true, force: true }],
  ];

  it.each(['/etc/passwd', '/', '/stateful/x', '/state/../etc/passwd', '/state/..', '//etc'])('is the server\'s own, and asked of its own shell: %j', async (file) => {
    const rig = await Rig.ready();
    for (const [call, params] of EVERY_CALL) await rig.ask(call, { path: file, ...params });
    expect(rig.commands).toHaveLength(EVERY_CALL.length);
    for (const command of rig.commands) expect(command.startsWith(`s1: p='${file}'; `), command).toBe(true);
    expect(await rig.files.size('s1')).toBe(0);
  });

  it.each(['state/x', '../x', '', '-rf', '/etc/pass\0wd'])('is nowhere when its name is no absolute path: %j', async (file) => {
    const rig = await Rig.ready();
    for (const [call, params] of EVERY_CALL) expect(JSON.stringify(await rig.ask(call, { path: file, ...params }))).toContain('EINVAL');
    expect(rig.commands).toEqual([]);
  });

  it('is not reached by a rename out of the state, nor the state from there', async () => {
    const rig = await Rig.ready();
    await rig.ask('writeFile', { path: '/state/a', content: 'x' });
    const refused = { code: 'UNKNOWN', message: expect.stringContaining('EINVAL') as string };
    expect(await rig.ask('rename', { src: '/state/a', dest: '/tmp/a' })).toEqual(refused);
    expect(await rig.ask('rename', { src: '/tmp/a', dest: '/state/a' })).toEqual(refused);
    expect(rig.commands).toEqual([]);
  });

  it('is said to be out of reach when the server runs no commands', async () => {
    const rig = await Rig.ready();
    const error = { code: 'UNKNOWN', message: expect.stringContaining('could not be asked') as string };
    expect(await rig.ask('readFile', { path: '/srv/a' })).toEqual({ content: '', error });
    expect(await rig.ask('writeFile', { path: '/srv/a', content: 'x' })).toEqual(error);
  });

  it('is not asked for a server that does not have the session', async () => {
    const rig = await Rig.ready();
    await rig.ask('readFile', { path: '/srv/a' }, OTHER);
    expect(rig.commands).toEqual([]);
  });

  it('is a directory where it leads to the working directory that the runtime wrote down', async () => {
    const rig = await Rig.ready();
    await rig.ask('writeFile', { path: '/state/workspace.yaml', content: 'id: s1\ncwd: "/srv/work: alice"\n' });
    for (const file of ['/srv/work: alice', '/srv/work: alice/', '/srv', '/']) {
      expect(await rig.ask('stat', { path: file })).toMatchObject({ isDirectory: true, isFile: false });
      expect(await rig.ask('exists', { path: file })).toEqual({ exists: true });
    }
    expect(rig.commands).toEqual([]);
    for (const file of ['/srv/work: alice/deeper', '/srv/work']) await rig.ask('stat', { path: file });
    expect(rig.commands).toHaveLength(2);
  });
});

describe('a server', () => {
  it('that does not have the session is refused whatever it asks', async () => {
    const rig = await Rig.ready();
    await rig.ask('writeFile', { path: '/state/a', content: 'alice\'s' });
    const error = { code: 'UNKNOWN', message: expect.stringContaining('not bound to this server') as string };
    expect(await rig.ask('readFile', { path: '/state/a' }, OTHER)).toEqual({ content: '', error });
    expect(await rig.ask('stat', { path: '/state/a' }, OTHER)).toMatchObject({ error });
    expect(await rig.ask('readdir', { path: '/state' }, OTHER)).toEqual({ entries: [], error });
    expect(await rig.ask('exists', { path: '/state/a' }, OTHER)).toEqual({ error: { code: -32603, message: error.message } });
    expect(await rig.ask('writeFile', { path: '/state/a', content: 'bob\'s' }, OTHER)).toEqual(error);
    expect(await rig.ask('readFile', { path: '/state/a', sessionId: 'unheard-of' })).toEqual({ content: '', error });
    expect(await rig.ask('readFile', { path: '/state/a' })).toEqual({ content: 'alice\'s' });
  });

  it('whose lease is over is refused its writes', async () => {
    const rig = await Rig.ready();
    await rig.files.fence('s1', 2, 'alice');
    const stale = { code: 'UNKNOWN', message: expect.stringContaining('ESTALE') as string };
    expect(await rig.ask('appendFile', { path: '/state/events.jsonl', content: 'late' })).toEqual(stale);
    rig.epoch = 2;
    expect(await rig.ask('appendFile', { path: '/state/events.jsonl', content: 'new' })).toBeNull();
    expect(await rig.ask('readFile', { path: '/state/events.jsonl' })).toEqual({ content: 'new' });
  });

  it('that insists is counted each time and told of once a session and lease', async () => {
    const faults: string[] = [];
    const rig = await Rig.ready({ onFault: (sessionId, code) => faults.push(`${sessionId} ${code}`) });
    for (let n = 0; n < 3; n++) await rig.ask('readFile', { path: '/state/a' }, OTHER);
    await rig.ask('readFile', { path: '/state/a' }, { ...OTHER, incarnation: 2 });
    await rig.files.fence('s1', 5, 'alice');
    for (const epoch of [3, 3, 4]) {
      rig.epoch = epoch;
      await rig.ask('writeFile', { path: '/state/a', content: '' });
    }
    expect(rig.faults.map(({ code, first }) => `${code} ${first}`)).toEqual([
      'not_bound true', 'not_bound false', 'not_bound false', 'not_bound true', 'ESTALE true', 'ESTALE false', 'ESTALE true',
    ]);
    expect(faults).toHaveLength(7);
  });

  it('over its session\'s quota is told so, and what is there stays', async () => {
    const rig = await Rig.ready({}, { session: 10, user: undefined });
    expect(await rig.ask('appendFile', { path: '/state/events.jsonl', content: '12345678' })).toBeNull();
    expect(await rig.ask('appendFile', { path: '/state/events.jsonl', content: '90ab' })).toMatchObject({ code: 'UNKNOWN', message: expect.stringContaining('EDQUOT') as string });
    expect(await rig.ask('readFile', { path: '/state/events.jsonl' })).toEqual({ content: '12345678' });
    expect(rig.faults.map(({ code }) => code)).toEqual(['EDQUOT']);
  });

  it('gets nothing for SQLite, which Skyport does not claim, nor for a method that is none', async () => {
    const rig = await Rig.ready();
    for (const call of ['sqliteQuery', 'sqliteExists', 'sqliteTransaction', 'chmod', '__proto__']) {
      expect(await rig.ask(call, { path: '/state/a' })).toMatchObject({ error: { code: -32601 } });
    }
  });

  it.each([undefined, null, 'x', 7, [], { sessionId: 7 }, { sessionId: 's1' }, { sessionId: 's1', path: 7 }, { sessionId: 's1', path: '/state/a', content: {} }])(
    'that sends %j gets an error for an answer', async (params) => {
      const rig = await Rig.ready();
      const reply = await rig.state.answer(SERVER, 'sessionFs.writeFile', params, rig);
      expect(reply).toMatchObject({ result: { code: 'UNKNOWN' } });
    });

  it('is told nothing of the machine when the store fails', async () => {
    const failing = { readFile: () => Promise.reject(new FileFault('EIO', '/var/lib/skyport: I/O error')) } as unknown as SessionFiles;
    const state = new StateServer(failing, { leaseOf: (sessionId) => ({ sessionId, epoch: 1 }) });
    const reply = await state.answer(SERVER, 'sessionFs.readFile', { sessionId: 's1', path: '/state/a' }, NO_SHELL);
    expect(reply).toEqual({ result: { content: '', error: { code: 'UNKNOWN', message: 'EIO: the session store failed' } } });
  });
});

describe('the calls of a session', () => {
  it('are with the store in the order they came, before anything else happens', () => {
    const seen: string[] = [];
    const note = (name: string) => (_lease: Lease, file: string, content: string): Promise<void> => {
      seen.push(`${name} ${file} ${content}`);
      return new Promise(() => undefined);
    };
    const recording = { appendFile: note('append'), writeFile: note('write') } as unknown as SessionFiles;
    const state = new StateServer(recording, { leaseOf: (sessionId) => ({ sessionId, epoch: 1 }) });
    for (let n = 1; n <= 3; n++) {
      void state.answer(SERVER, 'sessionFs.appendFile', { sessionId: 's1', path: '/state/events.jsonl', content: `${n}` }, NO_SHELL);
      void state.answer(SERVER, 'sessionFs.writeFile', { sessionId: 's1', path: '/state/a', content: `${n}` }, NO_SHELL);
    }
    expect(seen).toEqual([
      'append /events.jsonl 1', 'write /a 1', 'append /events.jsonl 2', 'write /a 2', 'append /events.jsonl 3', 'write /a 3',
    ]);
  });

  it('are answered at once where the store has carried them out, also those that fail', async () => {
    const appended: string[] = [];
    const rig = await Rig.ready({ onAppend: (_sessionId, _file, content) => appended.push(content) });
    const answer = (call: string, params: object): unknown => rig.state.answer(SERVER, `sessionFs.${call}`, { sessionId: 's1', ...params }, rig);
    expect(answer('appendFile', { path: '/state/events.jsonl', content: 'one\n' })).toEqual({ result: null });
    expect(appended).toEqual(['one\n']);
    expect(answer('readFile', { path: '/state/events.jsonl' })).toEqual({ result: { content: 'one\n' } });
    expect(answer('appendFile', { path: '/state/events.jsonl', content: 1 })).toMatchObject({ result: { code: 'UNKNOWN' } });
    expect(answer('readFile', { path: '/state/no' })).toMatchObject({ result: { content: '', error: { code: 'ENOENT' } } });
  });

  it('take effect in the order they came', async () => {
    const rig = await Rig.ready();
    const calls = Array.from({ length: 200 }, (_, n) => rig.ask('appendFile', { path: '/state/events.jsonl', content: `${n} ` }));
    await Promise.all(calls);
    expect(await rig.ask('readFile', { path: '/state/events.jsonl' })).toEqual({ content: Array.from({ length: 200 }, (_, n) => `${n} `).join('') });
  });

  it('leave nothing outside of the store', async () => {
    const rig = await Rig.ready();
    const before = readdirSync(rig.directory);
    await rig.ask('writeFile', { path: '/state/../../../x', content: '' });
    await rig.ask('mkdir', { path: `/state/../${rig.directory}/sessions/other`, recursive: true });
    await rig.ask('writeFile', { path: '/state//state/../../state/./ok', content: '' });
    expect(readdirSync(rig.directory)).toEqual(before);
    expect(await rig.ask('readdir', { path: '/state' })).toEqual({ entries: ['ok'] });
  });
});
