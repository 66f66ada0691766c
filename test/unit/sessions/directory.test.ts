import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Directory } from '../../../proxy/sessions/directory.js';
import type { Session } from '../../../proxy/sessions/session.js';
import { attach, event, FakeClient, FakeLink, FakeRegistry, settled, startTurn } from './cast.js';

let registry: FakeRegistry;
let told: string[];
let directory: Directory;

function open(from: FakeRegistry): Directory {
  registry = from;
  told = [];
  return new Directory(from, {
    turnStarted: ({ id }) => told.push(`${id}: turn`),
    turnEnded: ({ id }, outcome) => told.push(`${id}: ${outcome}`),
    changed: () => undefined,
    unloaded: ({ id }) => told.push(`${id}: unloaded`),
  }, (operation, error) => told.push(`${operation}: ${(error as Error).message}`));
}

/** A session as it is after its create was answered, with one client attached. */
async function created(id: string, owner = 'alice', backend = 'b1'): Promise<{ session: Session; link: FakeLink }> {
  const session = await directory.register(id, owner, backend, true);
  const link = new FakeLink();
  attach(session, link, new FakeClient());
  session.creating = false;
  session.changed();
  return { session, link };
}

beforeEach(() => {
  directory = open(new FakeRegistry());
});

describe('ownership', () => {
  it('is in memory before the registry has it, so that nobody else can take the id', () => {
    void directory.register('s1', 'alice', 'b1', true);
    expect(registry.records.has('s1')).toBe(false);
    expect(directory.get('s1')).toMatchObject({ owner: 'alice', backend: 'b1', epoch: 1, turns: 0, creating: true });
  });

  it('is in the registry when register resolves', async () => {
    await directory.register('s1', 'alice', 'b1', true);
    expect(registry.records.get('s1')).toMatchObject({ id: 's1', owner: 'alice', backend: 'b1' });
  });

  it('is found by owner', async () => {
    await directory.register('s1', 'alice', 'b1', false);
    await directory.register('s2', 'bob', 'b1', false);
    await directory.register('s3', 'alice', 'b2', false);
    expect([...directory.ownedBy('alice')].map(({ id }) => id)).toEqual(['s1', 's3']);
    expect([...directory.ownedBy('carol')]).toEqual([]);
    expect(directory.size).toBe(3);
  });

  it('that the registry refuses to write is nobody\'s', async () => {
    registry.failing = true;
    await expect(directory.register('s1', 'alice', 'b1', true)).rejects.toThrow('disk full');
    expect([directory.get('s1'), directory.size, directory.ownedBy('alice').size]).toEqual([undefined, 0, 0]);
    expect([directory.loaded('b1'), [...directory.live()]]).toEqual([0, []]);
  });

  it('is as it was after a restart', async () => {
    await created('s1');
    await directory.register('s2', 'bob', 'b2', false);
    const again = open(new FakeRegistry([...registry.records.values()]));
    expect([...again.all()].map(({ id, owner, backend, state }) => [id, owner, backend, state])).toEqual([
      ['s1', 'alice', 'b1', 'stored'], ['s2', 'bob', 'b2', 'stored'],
    ]);
    expect([...again.ownedBy('bob')].map(({ id }) => id)).toEqual(['s2']);
  });

  it('ends with the session, at once in memory', async () => {
    const session = await directory.register('s1', 'alice', 'b1', false);
    const removed = directory.remove(session);
    expect([directory.get('s1'), session.deleted, directory.ownedBy('alice').size]).toEqual([undefined, true, 0]);
    await removed;
    expect(registry.records.size).toBe(0);
  });

  it('of a deleted session\'s id goes to whoever registers it next', async () => {
    const before = await directory.register('s1', 'alice', 'b1', false);
    await directory.remove(before);
    const after = await directory.register('s1', 'bob', 'b1', false);
    await directory.remove(before);
    expect(directory.get('s1')).toBe(after);
  });

  it('moves to another backend with a higher epoch', async () => {
    const session = await directory.register('s1', 'alice', 'b1', true);
    await directory.rebind(session, 'b2');
    expect(registry.records.get('s1')).toMatchObject({ backend: 'b2', epoch: 2 });
    expect([directory.loaded('b1'), directory.loaded('b2')]).toEqual([0, 1]);
  });
});

describe('the last news of a deleted session', () => {
  it('still find their owner for a few seconds', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      const session = await directory.register('s1', 'alice', 'b1', false);
      await directory.remove(session);
      expect([directory.get('s1'), directory.remembered('s1')]).toEqual([undefined, session]);
      vi.setSystemTime(Date.now() + 4_999);
      await directory.flush();
      expect(directory.remembered('s1')).toBe(session);
      vi.setSystemTime(Date.now() + 2);
      await directory.flush();
      expect(directory.remembered('s1')).toBeUndefined();
    } finally {
      vi.useRealTimers();
    }
  });

  it('are the living session\'s when its id has been taken again', async () => {
    await directory.remove(await directory.register('s1', 'alice', 'b1', false));
    const after = await directory.register('s1', 'bob', 'b1', false);
    expect(directory.remembered('s1')).toBe(after);
  });
});

describe('the counts of a backend', () => {
  it('have a session from its create to its last detach', async () => {
    const { session } = await created('s1');
    expect([directory.loaded('b1'), directory.loaded('b2')]).toEqual([1, 0]);
    expect([...directory.live()]).toEqual([session]);
    session.stored();
    session.attachments[0]!.gone();
    expect([directory.loaded('b1'), [...directory.live()]]).toEqual([0, []]);
  });

  it('have a turn while it is open', async () => {
    const { session } = await created('s1');
    startTurn(session);
    expect(directory.turnsOpen('b1')).toBe(1);
    event(session.attachments[0]!, 'session.idle');
    expect(directory.turnsOpen('b1')).toBe(0);
    expect(told).toEqual(['s1: turn', 's1: idle']);
  });

  it('forget a session that is deleted in mid-turn', async () => {
    const { session } = await created('s1');
    startTurn(session);
    await directory.remove(session);
    for (const attachment of [...session.attachments]) attachment.gone();
    expect([directory.loaded('b1'), directory.turnsOpen('b1'), [...directory.live()]]).toEqual([0, 0, []]);
  });

  it('do not take a create up again that came to nothing while its link was lost', async () => {
    const session = await directory.register('s1', 'alice', 'b1', true);
    const link = new FakeLink();
    const attachment = attach(session, link, new FakeClient());
    attachment.recipe = undefined;
    await directory.remove(session);
    link.lose();
    expect([directory.loaded('b1'), [...directory.live()]]).toEqual([0, []]);
  });

  it('do not take a session up again whose send was on its way while it was deleted', async () => {
    const { session } = await created('s1');
    await directory.remove(session);
    const idles = session.turn.sent();
    await settled();
    expect([directory.turnsOpen('b1'), registry.records.size]).toEqual([0, 0]);
    session.turn.answered(true, idles);
    session.turn.end('client_gone');
    await directory.flush();
    expect([directory.turnsOpen('b1'), registry.records.size, told]).toEqual([0, 0, []]);
  });

  it('are not opened again by the late answer to a send of a session deleted meanwhile', async () => {
    const { session } = await created('s1');
    const idles = session.turn.sent();
    await directory.remove(session);
    session.turn.answered(true, idles);
    expect([directory.turnsOpen('b1'), session.turn.open]).toEqual([0, false]);
  });
});

describe('a session that was never used', () => {
  it('is forgotten when the last client has left it: no server has anything of it', async () => {
    const { session } = await created('s1');
    session.attachments[0]!.gone();
    await settled();
    expect([directory.get('s1'), registry.records.size, told]).toEqual([undefined, 0, ['s1: unloaded']]);
  });

  it('is not forgotten while it is being created', async () => {
    const session = await directory.register('s1', 'alice', 'b1', true);
    attach(session, new FakeLink(), new FakeClient()).gone();
    expect(directory.get('s1')).toBe(session);
  });

  it('that a server could load is kept: it was used before a crash', async () => {
    const { session } = await created('s1');
    session.stored();
    session.attachments[0]!.gone();
    expect(directory.get('s1')).toBe(session);
  });

  it('tells when the registry refuses to forget it', async () => {
    const { session } = await created('s1');
    registry.failing = true;
    session.attachments[0]!.gone();
    await settled();
    expect(told).toContain('remove: disk full');
  });
});

describe('sessions that nobody has used for long', () => {
  const stored = (id: string, usedAt: number) => ({ id, owner: 'alice', backend: 'b1', epoch: 1, createdAt: 1, usedAt, turns: 3 });

  it('are deleted, a few at a time, and the others stay', async () => {
    const wiped: string[] = [];
    registry = new FakeRegistry([stored('old-1', 10), stored('old-2', 20), stored('old-3', 30), stored('new', 100)]);
    directory = new Directory(registry, {
      turnStarted: () => undefined, turnEnded: () => undefined, changed: () => undefined, unloaded: () => undefined,
    }, () => undefined, (session) => Promise.resolve(wiped.push(session.id) > 0));
    expect((await directory.expire(50, 2)).map(({ id }) => id)).toEqual(['old-1', 'old-2']);
    expect((await directory.expire(50, 2)).map(({ id }) => id)).toEqual(['old-3']);
    expect(await directory.expire(50, 2)).toEqual([]);
    expect([wiped, [...registry.records.keys()]]).toEqual([['old-1', 'old-2', 'old-3'], ['new']]);
  });

  it('stay while somebody is attached', async () => {
    const { session } = await created('s1');
    session.turns = 1;
    expect(await directory.expire(Date.now() + 1_000, 10)).toEqual([]);
    expect(directory.get('s1')).toBe(session);
  });

  it('stay their owner\'s while their server cannot be asked', async () => {
    registry = new FakeRegistry([stored('old', 10)]);
    directory = new Directory(registry, {
      turnStarted: () => undefined, turnEnded: () => undefined, changed: () => undefined, unloaded: () => undefined,
    }, () => undefined, () => Promise.resolve(false));
    expect(await directory.expire(50, 10)).toEqual([]);
    expect([directory.get('old')?.owner, registry.records.size]).toEqual(['alice', 1]);
  });
});

describe('times and counts', () => {
  it('are written at the first turn at once: from then on a server has the session', async () => {
    const { session } = await created('s1');
    startTurn(session);
    await settled();
    expect(registry.records.get('s1')?.turns).toBe(1);
  });

  it('are told when the registry refuses that write', async () => {
    const { session } = await created('s1');
    registry.failing = true;
    startTurn(session);
    await settled();
    expect(told).toContain('put: disk full');
  });

  it('are written by the next flush, once', async () => {
    const { session } = await created('s1');
    await created('s2');
    registry.writes.length = 0;
    directory.touched(session);
    directory.touched(session);
    await directory.flush();
    await directory.flush();
    expect(registry.writes).toEqual(['s1']);
    expect(registry.records.get('s1')?.usedAt).toBe(session.usedAt);
  });

  it('that could not be written are written by the flush after', async () => {
    const { session } = await created('s1');
    directory.touched(session);
    registry.failing = true;
    await expect(directory.flush()).rejects.toThrow('disk full');
    registry.failing = false;
    registry.writes.length = 0;
    await directory.flush();
    expect(registry.writes).toEqual(['s1']);
  });

  it('of a deleted session are never written', async () => {
    const session = await directory.register('s1', 'alice', 'b1', false);
    directory.touched(session);
    await directory.remove(session);
    directory.touched(session);
    await directory.flush();
    expect(registry.records.size).toBe(0);
  });
});
