/** Every expectation here was measured on runtime 1.0.85 with the same files on a server's disk. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Listing, matches, type Entry } from '../../../proxy/state/listing.js';
import { events, Kept, said, START, WORKSPACE, yaml } from './kept.js';

let kept: Kept;
let listing: Listing;

beforeEach(() => {
  kept = new Kept();
  listing = new Listing(kept.files);
});

afterEach(() => kept.end());

const { name: _name, ...UNNAMED } = WORKSPACE;

async function entryOf(contents: { readonly [path: string]: string }): Promise<Partial<Entry> | undefined> {
  await kept.put('s', contents);
  const entry = await listing.entry('s');
  if (!entry) return undefined;
  const { sessionId: _id, modifiedTime: _modified, isRemote: _remote, ...rest } = entry;
  return rest;
}

describe('an entry', () => {
  it('has name, client and directory from the workspace, in the order of the runtime', async () => {
    await kept.put('s', { 'workspace.yaml': yaml(WORKSPACE), 'events.jsonl': events(START, said('e2', 'hello')) });
    const { mtime } = await kept.files.stat('s', '/events.jsonl');
    expect(JSON.stringify(await listing.entry('s'))).toBe(JSON.stringify({
      sessionId: 's', startTime: '2026-02-02T00:00:00.000Z', modifiedTime: new Date(mtime).toISOString(), isRemote: false,
      isDetached: false, summary: 'A name', name: 'A name', clientName: 'sdk', context: { cwd: '/work' },
    }));
  });

  it('is not there before there are events', async () => {
    expect(await entryOf({ 'workspace.yaml': yaml(WORKSPACE) })).toBeUndefined();
  });

  it('of a session without a name has the first message with a text as its summary, in one line', async () => {
    const contents = { 'workspace.yaml': yaml(UNNAMED), 'events.jsonl': events(START, said('e2', ''), said('e3', '  two\n\nlines ')) };
    expect(await entryOf(contents)).toEqual({
      startTime: '2026-02-02T00:00:00.000Z', isDetached: false, summary: 'two lines', clientName: 'sdk', context: { cwd: '/work' },
    });
  });

  it('cuts a summary at 500 characters, whole ones', async () => {
    const found = await entryOf({ 'events.jsonl': events(START, said('e2', '😀'.repeat(600))) });
    expect(found?.summary).toBe(`${'😀'.repeat(500)}...`);
  });

  it.each([
    ['is missing', undefined], ['is no YAML', '{{{: -'], ['is a list', '- a\n'],
    ['has a name that is a number', yaml({ ...WORKSPACE, name: 123 })],
    ['has a key twice', `${yaml(WORKSPACE)}name: other\n`],
    ['has an unknown kind of host', yaml({ ...WORKSPACE, host_type: 'zzz' })],
    ['has a time that is none', yaml({ ...WORKSPACE, created_at: 'garbage' })],
    ['has nothing for a name', yaml({ ...WORKSPACE, name: '~' })],
  ])('takes nothing from a workspace that %s', async (_why, text) => {
    const contents = { ...(text === undefined ? {} : { 'workspace.yaml': text }), 'events.jsonl': events(START, said('e2', 'hello')) };
    expect(await entryOf(contents)).toEqual({ startTime: '2026-01-01T00:00:00.000Z', isDetached: false, summary: 'hello' });
  });

  it('tells the repository only together with a directory', async () => {
    const fields = { ...WORKSPACE, git_root: '/g', repository: 'o/r', branch: 'main', host_type: 'github', mc_task_id: 't1' };
    const found = await entryOf({ 'workspace.yaml': yaml(fields), 'events.jsonl': events(START, said('e2', 'x')) });
    expect([found?.context, found?.mcTaskId]).toEqual([{ cwd: '/work', gitRoot: '/g', repository: 'o/r', branch: 'main' }, 't1']);
    const { cwd: _cwd, ...homeless } = fields;
    await kept.put('s', { 'workspace.yaml': yaml(homeless) });
    expect((await listing.entry('s'))?.context).toBeUndefined();
  });

  it('follows a new name and the first message, also after it was read before', async () => {
    await kept.put('s', { 'workspace.yaml': yaml(UNNAMED), 'events.jsonl': events(START) });
    expect((await listing.entry('s'))?.summary).toBeUndefined();
    await kept.files.appendFile({ sessionId: 's', epoch: 1 }, '/events.jsonl', events(said('e2', 'hello')));
    expect((await listing.entry('s'))?.summary).toBe('hello');
    await kept.put('s', { 'workspace.yaml': yaml({ ...WORKSPACE, name: 'Renamed' }) });
    expect((await listing.entry('s'))?.summary).toBe('Renamed');
  });
});

describe('a list', () => {
  const detached = { ...START, data: { ...START.data, detachedFromSpawningParentSessionId: 'a' } };

  it('has the newest first and leaves out what is empty, detached or not there', async () => {
    await kept.put('old', { 'events.jsonl': events(START, said('e2', 'old')) });
    const { mtime } = await kept.files.stat('old', '/events.jsonl');
    do await kept.put('new', { 'events.jsonl': events(START, said('e2', 'new')) });
    while ((await kept.files.stat('new', '/events.jsonl')).mtime === mtime);
    await kept.put('empty', { 'workspace.yaml': yaml(UNNAMED), 'events.jsonl': events(START) });
    await kept.put('detached', { 'workspace.yaml': yaml(WORKSPACE), 'events.jsonl': events(detached) });
    const found = await listing.entries(['old', 'new', 'empty', 'detached', 'nobody']);
    expect(found.map(({ sessionId }) => sessionId)).toEqual(['new', 'old']);
  });

  it('has a session whose events cannot be read', async () => {
    await kept.put('s', { 'workspace.yaml': yaml(UNNAMED), 'events.jsonl': 'garbage\n' });
    expect((await listing.entries(['s'])).map(({ summary }) => summary)).toEqual([undefined]);
  });

  it('has the detached ones when they are asked for', async () => {
    await kept.put('s', { 'workspace.yaml': yaml(WORKSPACE), 'events.jsonl': events(detached) });
    expect((await listing.entries(['s'], true)).map(({ isDetached }) => isDetached)).toEqual([true]);
  });

  it('of sizes counts every file of a session', async () => {
    await kept.put('s', { 'workspace.yaml': yaml(WORKSPACE), 'events.jsonl': events(START), 'files/é.txt': 'é' });
    await kept.put('unused', { 'workspace.yaml': yaml(WORKSPACE) });
    const size = yaml(WORKSPACE).length + events(START).length + 2;
    expect(await listing.sizes(['s', 'unused'])).toEqual({ s: size });
  });
});

describe('a filter', () => {
  const entry = { context: { cwd: '/w', repository: 'o/r', branch: 'main' } } as Entry;

  it.each([
    [{ cwd: '/w' }, true], [{ cwd: '/w', branch: 'dev' }, false], [{ repository: 'o/r', branch: 'main' }, true], [{ gitRoot: '/g' }, false],
    [{}, true], [null, true], ['x', true], [{ cwd: null }, true], [{ cwd: 5 }, true], [{ other: 'x' }, true], [{ cwd: '' }, false],
  ])('%j: %s', (filter, expected) => {
    expect(matches(entry, filter)).toBe(expected);
  });
});

describe('enriching', () => {
  const record = { sessionId: 's', startTime: 'a', modifiedTime: 'b', isRemote: false };

  it('adds what the files tell', async () => {
    await kept.put('s', { 'workspace.yaml': yaml(WORKSPACE), 'events.jsonl': events(START, said('e2', 'x')) });
    expect(JSON.stringify(await listing.enriched(record, 's'))).toBe(JSON.stringify({
      ...record, summary: 'A name', name: 'A name', clientName: 'sdk', context: { cwd: '/work' }, isDetached: false,
    }));
  });

  it('leaves a record alone that has summary and context', async () => {
    const full = { ...record, summary: 'S', context: { cwd: '/q' } };
    expect(await listing.enriched(full, 's')).toEqual(full);
  });

  it('leaves out a session that is known to be empty', async () => {
    await kept.put('s', { 'workspace.yaml': yaml(UNNAMED), 'events.jsonl': events(START) });
    expect(await listing.enriched(record, 's')).toBeUndefined();
  });

  it('keeps one that has no events yet', async () => {
    await kept.put('s', { 'workspace.yaml': yaml(UNNAMED) });
    expect(await listing.enriched(record, 's')).toEqual({ ...record, clientName: 'sdk', context: { cwd: '/work' }, isDetached: false });
  });
});

describe('the remote flag', () => {
  it('is told only where it is noted', async () => {
    await kept.put('s', { 'workspace.yaml': yaml({ ...WORKSPACE, remote_steerable: true }) });
    await kept.put('t', { 'workspace.yaml': yaml(WORKSPACE) });
    expect([await listing.remoteSteerable('s'), await listing.remoteSteerable('t')]).toEqual([{ remoteSteerable: true }, {}]);
  });
});
