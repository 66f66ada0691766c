import { describe, expect, it } from 'vitest';
import { Directory } from '../../../proxy/sessions/directory.js';
import { expireNeverUsed } from '../../../proxy/sessions/never-used.js';
import type { SessionRecord } from '../../../proxy/store/registry.js';
import type { SessionFiles } from '../../../proxy/store/session-files.js';
import { attach, FakeClient, FakeLink, FakeRegistry } from './cast.js';

let registry: FakeRegistry;
let directory: Directory;
let files: SessionFiles;

describe('sessions that were never used, where Skyport keeps the files', () => {
  const never = (id: string, more: Partial<SessionRecord> = {}) => ({ id, owner: 'alice', backend: 'b1', epoch: 1, createdAt: 1, usedAt: 10, turns: 0, ...more });

  function opened(records: readonly SessionRecord[], histories: readonly string[]): string[] {
    const wiped: string[] = [];
    registry = new FakeRegistry(records);
    const some: Pick<SessionFiles, 'exists' | 'wipe'> = {
      exists: (id, path) => Promise.resolve(path === '/events.jsonl' && histories.includes(id)),
      wipe: (id) => Promise.resolve(void wiped.push(id)),
    };
    files = some as SessionFiles;
    directory = new Directory(registry, {
      turnStarted: () => undefined, turnEnded: () => undefined, changed: () => undefined, unloaded: () => undefined,
    }, () => undefined, undefined, files);
    return wiped;
  }

  it('are deleted, a few at a time', async () => {
    const wiped = opened([never('s1'), never('s2'), never('s3'), never('new', { usedAt: 100 }), never('used', { turns: 1 })], []);
    expect((await expireNeverUsed(directory, files, 50, 2)).map(({ id }) => id)).toEqual(['s1', 's2']);
    expect((await expireNeverUsed(directory, files, 50, 2)).map(({ id }) => id)).toEqual(['s3']);
    expect([wiped, [...registry.records.keys()]]).toEqual([['s1', 's2', 's3'], ['new', 'used']]);
  });

  it('stay when there is a history after all, and are not looked at again', async () => {
    opened([never('s1')], ['s1']);
    expect(await expireNeverUsed(directory, files, 50, 10)).toEqual([]);
    expect(directory.get('s1')?.turns).toBe(1);
    expect(registry.records.get('s1')).toMatchObject({ turns: 1, usedAt: 10 });
  });

  it('stay while somebody has them attached', async () => {
    opened([never('s1')], []);
    attach(directory.get('s1')!, new FakeLink(), new FakeClient());
    expect(await expireNeverUsed(directory, files, 50, 10)).toEqual([]);
    expect(directory.get('s1')).toBeDefined();
  });
});
