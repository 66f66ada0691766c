/** The directory of one of several Skyports on one registry. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Directory } from '../../../proxy/sessions/directory.js';
import { IdTaken, type Others } from '../../../proxy/sessions/others.js';
import type { SessionRecord } from '../../../proxy/store/registry.js';
import type { SessionFiles } from '../../../proxy/store/session-files.js';
import { attach, FakeClient, FakeLink, FakeRegistry, startTurn } from './cast.js';

const THEIRS: SessionRecord = { id: 's1', owner: 'alice', backend: 'b1', epoch: 4, createdAt: 1, usedAt: 1, turns: 2, holder: 'other' };

let registry: FakeRegistry;
let directory: Directory;
/** What the others' registry has. */
let records: Map<string, SessionRecord>;
let fenced: number[];
let wiped: string[];
/** Of the next claim, or fence. */
let failure: { claim?: Error; fence?: Error };

beforeEach(() => {
  registry = new FakeRegistry();
  records = new Map();
  fenced = [];
  wiped = [];
  failure = {};
  const others: Others = {
    self: 'self',
    create: async (record) => !records.has(record.id) && !!records.set(record.id, record),
    claim: async (record, from) => {
      if (failure.claim) throw failure.claim;
      return records.get(record.id)?.epoch === from && !!records.set(record.id, record);
    },
    find: async (id) => records.get(id),
    gone: async () => false,
  };
  const files = {
    fence: async (_id: string, epoch: number) => {
      if (failure.fence) throw failure.fence;
      fenced.push(epoch);
    },
    wipe: async (id: string) => void wiped.push(id),
  } as unknown as SessionFiles;
  directory = new Directory(registry, {
    turnStarted: () => undefined, turnEnded: () => undefined, changed: () => undefined, unloaded: () => undefined,
  }, () => undefined, undefined, files, others);
});

/** Another Skyport has made a session, and told of it. */
function theirs(more: Partial<SessionRecord> = {}): SessionRecord {
  const record = { ...THEIRS, ...more };
  records.set(record.id, record);
  directory.told(record.id, record);
  return record;
}

describe('an id', () => {
  it('that another Skyport gave away first is taken, and not known as one\'s own', async () => {
    records.set('s1', THEIRS);
    await expect(directory.register('s1', 'bob', 'b1', true)).rejects.toThrow(IdTaken);
    expect(directory.get('s1')).toBeUndefined();
    expect(await directory.learn('s1')).toMatchObject({ owner: 'alice', holder: 'other', foreign: true });
  });
});

describe('a session of another Skyport', () => {
  it('is taken by a claim from the epoch that it was known with, and fenced', async () => {
    theirs();
    const session = directory.get('s1')!;
    await directory.rebind(session, 'b9');
    expect(records.get('s1')).toMatchObject({ holder: 'self', backend: 'b9', epoch: 5 });
    expect([session.foreign, directory.holds(session), fenced]).toEqual([false, true, [5]]);
  });

  it('that a third one has taken first is that one\'s', async () => {
    theirs();
    records.set('s1', { ...THEIRS, holder: 'third', epoch: 5 });
    const session = directory.get('s1')!;
    await expect(directory.rebind(session, 'b9')).rejects.toThrow(/was moved meanwhile/);
    expect(session).toMatchObject({ holder: 'third', backend: 'b1', epoch: 5, foreign: true });
    expect(fenced).toEqual([]);
  });

  it('stays as it was when the store does not answer, and can be claimed after that', async () => {
    theirs();
    const session = directory.get('s1')!;
    failure.claim = new Error('away');
    await expect(directory.rebind(session, 'b9')).rejects.toThrow('away');
    expect(session).toMatchObject({ holder: 'other', backend: 'b1', epoch: 4, foreign: true });
    failure = {};
    await directory.rebind(session, 'b9');
    expect(records.get('s1')).toMatchObject({ holder: 'self', epoch: 5 });
  });

  it('whose claim was carried out though its answer was lost is one\'s own at the next look', async () => {
    theirs();
    const session = directory.get('s1')!;
    records.set('s1', { ...THEIRS, holder: 'self', epoch: 5 });
    await expect(directory.rebind(session, 'b9')).rejects.toThrow(/was moved meanwhile/);
    expect([session.epoch, directory.holds(session)]).toEqual([5, true]);
  });

  it('that could be claimed and not fenced is not used before it has been bound anew', async () => {
    theirs();
    const session = directory.get('s1')!;
    failure.fence = new Error('away');
    await expect(directory.rebind(session, 'b9')).rejects.toThrow('away');
    expect(directory.isFenced(session)).toBe(false);
    failure = {};
    await directory.rebind(session, 'b9');
    expect([directory.isFenced(session), fenced]).toEqual([true, [6]]);
  });

  it('is never written, deleted for its age or forgotten as unused here', async () => {
    theirs({ turns: 0 });
    const session = directory.get('s1')!;
    const attachment = attach(session, new FakeLink(), new FakeClient());
    startTurn(session);
    directory.touched(session);
    attachment.gone();
    await directory.flush();
    await directory.expire(Infinity, 10);
    expect([registry.records.size, wiped, directory.get('s1')]).toEqual([0, [], session]);
    await expect(directory.keep(session)).rejects.toThrow(/held by another Skyport/);
  });

  it('does not count for a backend of one\'s own that has the same name', () => {
    theirs();
    const session = directory.get('s1')!;
    attach(session, new FakeLink(), new FakeClient());
    expect([directory.loaded('b1'), directory.loaded('skyport:other')]).toEqual([0, 1]);
  });
});

describe('a session of one\'s own', () => {
  it('that another Skyport has taken over has another holder, and older news of it change nothing', async () => {
    const session = await directory.register('s1', 'alice', 'b1', false);
    expect(directory.told('s1', { ...session.record(), holder: 'other', epoch: 2 })).toBe(session);
    expect(directory.told('s1', { ...session.record(), holder: 'self', epoch: 1 })).toBeUndefined();
    expect([session.holder, session.foreign]).toEqual(['other', true]);
    expect(directory.leaseOf('s1', { name: 'b1', backend: 1 })).toBeUndefined();
  });

  it('is ceded when nobody has it attached, with what has changed of it written before', async () => {
    const session = await directory.register('s1', 'alice', 'b1', false);
    const attachment = attach(session, new FakeLink(), new FakeClient());
    session.used = true;
    directory.touched(session);
    expect(await directory.cede(session, 'other')).toBe(false);
    attachment.gone();
    directory.touched(session);
    expect(await directory.cede(session, 'other')).toBe(true);
    expect(registry.records.get('s1')).toMatchObject({ holder: 'self' });
    expect([session.holder, session.foreign]).toEqual(['other', true]);
  });

  it('is not deleted when another Skyport has taken it meanwhile', async () => {
    const session = await directory.register('s1', 'alice', 'b1', false);
    records.set('s1', { ...session.record(), holder: 'other', epoch: 2 });
    await expect(directory.remove(session)).rejects.toThrow(/was moved meanwhile/);
    expect(wiped).toEqual([]);
  });

  it('that another Skyport has deleted is remembered for its last news', async () => {
    const session = await directory.register('s1', 'alice', 'b1', false);
    expect(directory.told('s1', undefined)).toBe(session);
    expect([session.deleted, directory.get('s1'), directory.remembered('s1')]).toEqual([true, undefined, session]);
  });
});
