/** Forks as runtime 1.0.85 makes them of the same files (measured). */
import { parse } from 'yaml';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appendNote, noteFork, planFork, writeFork, type ForkAsk, type ForkPlan } from '../../../proxy/state/fork.js';
import { events, Kept, said, START, WORKSPACE, yaml } from './kept.js';

let kept: Kept;

beforeEach(() => {
  kept = new Kept();
});

afterEach(() => kept.end());

const NOW = new Date('2026-03-03T00:00:00.000Z');
const LEASE = { sessionId: 's', epoch: 1 };

async function plan(ask: ForkAsk = {}): Promise<ForkPlan> {
  return (await planFork(kept.files, 's', 'new', ask, NOW)) as ForkPlan;
}

function historyOf(made: ForkPlan): { [key: string]: unknown }[] {
  return made.files.get('/events.jsonl')!.trim().split('\n').map((line) => JSON.parse(line) as { [key: string]: unknown });
}

function source(workspace: object = WORKSPACE, ...more: readonly object[]): Promise<void> {
  return kept.put('s', { 'workspace.yaml': yaml({ ...workspace }), 'events.jsonl': events(START, said('e2', 'one'), said('e3', 'two'), ...more) });
}

describe('the events of a fork', () => {
  it('are the source\'s to the byte, but for the first, and one more that says where they come from', async () => {
    await source();
    const made = await plan();
    const lines = made.files.get('/events.jsonl')!.split('\n');
    expect(lines.slice(1, 3)).toEqual(events(said('e2', 'one'), said('e3', 'two')).trim().split('\n'));
    const { remoteSteerable: _remote, ...data } = START.data;
    expect(JSON.parse(lines[0]!)).toEqual({
      ...START, timestamp: NOW.toISOString(), data: { ...data, sessionId: 'new', startTime: NOW.toISOString(), alreadyInUse: false },
    });
    const last = JSON.parse(lines[3]!) as { id: string };
    expect(last).toEqual({
      type: 'session.info', id: last.id, timestamp: NOW.toISOString(), parentId: 'e3',
      data: { infoType: 'fork', message: 'Forked from "A name" (s) as "A name (fork)" (new).' },
    });
  });

  it('end before the one that is named', async () => {
    await source();
    const made = await plan({ toEventId: 'e3' });
    expect(historyOf(made).map(({ id }) => id).slice(0, -1)).toEqual(['e1', 'e2']);
    expect(historyOf(made).at(-1)!['data']).toEqual({ infoType: 'fork', message: 'Forked from "A name" (s) before event e3 as "A name (fork)" (new).' });
    expect(made.note).toBe('Forked this session into "A name (fork)" (new) before event e3.');
  });

  it('are those of the server where none are stored', async () => {
    await kept.put('s', { 'workspace.yaml': yaml({ ...WORKSPACE, name: '""' }) });
    const made = await plan({ unsaved: [START] });
    expect([made.name, historyOf(made).length]).toEqual(['Session s (fork)', 2]);
  });
});

describe('the name of a fork', () => {
  it.each([[0, 'A name (fork)'], [1, 'A name (fork 2)'], [9, 'A name (fork 10)']])('after %i forks is %s', async (count, name) => {
    await source({ ...WORKSPACE, fork_count: count });
    expect((await plan()).name).toBe(name);
  });

  it('is the given one, and then it is the user\'s', async () => {
    await source();
    const made = await plan({ name: 'Mine' });
    const { name, user_named } = parse(made.files.get('/workspace.yaml')!) as { name: string; user_named: boolean };
    expect([made.name, name, user_named, made.counts]).toEqual(['Mine', 'Mine', true, false]);
  });

  it('is in one line and has 100 characters at most', async () => {
    await source({ ...WORKSPACE, name: `"${'x  y '.repeat(40)}"` });
    expect((await plan()).name).toBe(`${'x y '.repeat(23)}x (fork)`);
  });

  it('is the first message\'s where the source has none', async () => {
    const { name: _name, ...unnamed } = WORKSPACE;
    await source(unnamed);
    const made = await plan();
    expect(made.name).toBe('one (fork)');
    expect(historyOf(made).at(-1)!['data']).toMatchObject({ message: 'Forked from s as "one (fork)" (new).' });
  });
});

describe('the files of a fork', () => {
  const INDEX = '# Checkpoint History\n\n| # | Title | File |\n|---|-------|------|\n| 1 | One | 001-one.md |\n| 2 | Two | 002-two.md |\n';
  const compaction = { type: 'session.compaction_complete', data: { success: true, checkpointNumber: 1 }, id: 'c1' };

  beforeEach(async () => {
    await source({ ...WORKSPACE, summary_count: 2, remote_steerable: true, mc_task_id: 't' }, compaction, said('e4', 'three'));
    await kept.put('s', {
      'plan.md': 'plan', 'client-metadata.json': '{}', 'files/d/x.txt': 'x', 'session.db': 'no', 'workspace.yaml.tmp.1': 'no',
      'checkpoints/index.md': INDEX, 'checkpoints/001-one.md': '1', 'checkpoints/002-two.md': '2',
    });
  });

  it('are plan, notes, files and checkpoints, and nothing else', async () => {
    expect([...(await plan()).files.keys()].sort()).toEqual([
      '/checkpoints/001-one.md', '/checkpoints/002-two.md', '/checkpoints/index.md', '/client-metadata.json', '/events.jsonl',
      '/files/d/x.txt', '/plan.md', '/workspace.yaml',
    ]);
  });

  it('have only the checkpoints that its events have made', async () => {
    const made = await plan({ toEventId: 'e4' });
    expect([...made.files.keys()].filter((name) => name.startsWith('/checkpoints')).sort()).toEqual(['/checkpoints/001-one.md', '/checkpoints/index.md']);
    expect(made.files.get('/checkpoints/index.md')).toBe(INDEX.replace('| 2 | Two | 002-two.md |\n', ''));
    expect(parse(made.files.get('/workspace.yaml')!)).toMatchObject({ summary_count: 1 });
  });

  it('have a workspace of their own, without a remote task', async () => {
    expect(parse((await plan()).files.get('/workspace.yaml')!)).toEqual({
      id: 'new', cwd: '/work', client_name: 'sdk', name: 'A name (fork)', user_named: false, summary_count: 2, fork_count: 0,
      created_at: NOW.toISOString(), updated_at: NOW.toISOString(),
    });
  });

  it('are written under the lease of the new session', async () => {
    await kept.files.fence('new', 1, 'alice');
    const made = await plan();
    await writeFork(kept.files, made, { sessionId: 'new', epoch: 1 });
    expect(await kept.files.readFile('new', '/events.jsonl')).toBe(made.files.get('/events.jsonl'));
    expect(await kept.files.readFile('new', '/files/d/x.txt')).toBe('x');
  });
});

describe('the source of a fork', () => {
  it('counts it, and has everything else as it was', async () => {
    await source();
    await noteFork(kept.files, await plan(), LEASE);
    expect(await kept.files.readFile('s', '/workspace.yaml')).toBe(yaml({ ...WORKSPACE, fork_count: 1 }));
  });

  it('does not count one with a name of its own', async () => {
    await source();
    await noteFork(kept.files, await plan({ name: 'Mine' }), LEASE);
    expect(await kept.files.readFile('s', '/workspace.yaml')).toBe(yaml(WORKSPACE));
  });

  it('keeps its history, which is told of the fork', async () => {
    await source();
    await appendNote(kept.files, await plan(), LEASE);
    const text = await kept.files.readFile('s', '/events.jsonl');
    const last = JSON.parse(text.trim().split('\n').at(-1)!) as { parentId: string; data: object };
    expect([text.split('\n').length, last.parentId, last.data]).toEqual([
      5, 'e3', { infoType: 'fork', message: 'Forked this session into "A name (fork)" (new).' },
    ]);
  });

  it('is not written to after a line that was cut off', async () => {
    await kept.put('s', { 'workspace.yaml': yaml(WORKSPACE), 'events.jsonl': `${events(START)}{"type":"us` });
    await appendNote(kept.files, await plan(), LEASE);
    expect(await kept.files.readFile('s', '/events.jsonl')).toBe(`${events(START)}{"type":"us`);
  });
});

describe('what is refused', () => {
  it.each([
    [{ toEventId: 'nope' }, 'params', 'Event nope not found in session s'],
    [{ toEventId: 'e1' }, 'params', 'Cannot fork: truncation to the specified event would result in an empty session'],
    [{ name: '' }, 'params', 'Session name cannot be empty.'],
    [{ name: ' a' }, 'params', 'Session name must not have leading or trailing whitespace.'],
    [{ name: 'x'.repeat(101) }, 'params', 'Session name must be 100 characters or less.'],
  ])('is %j', async (ask, fault, message) => {
    await source();
    expect(await plan(ask)).toEqual({ fault, message });
  });

  it('is a session without events', async () => {
    await kept.put('s', { 'workspace.yaml': yaml(WORKSPACE) });
    expect(await plan()).toEqual({ fault: 'missing', message: 'Cannot fork session s: no persisted or in-memory events found' });
  });

  it('is a history that cannot be read', async () => {
    await kept.put('s', { 'events.jsonl': `garbage\n${events(START)}` });
    expect(await plan()).toMatchObject({ fault: 'damaged' });
  });
});
