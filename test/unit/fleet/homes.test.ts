import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Homes } from '../../../proxy/fleet/homes.js';

let directory: string;
beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'skyport-homes-')); });
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const FILE = 'homes.json';
const NOBODY = new Set<number>();

/** What another Skyport on this directory reads. */
function loaded(): Homes {
  const homes = new Homes(directory);
  homes.load();
  return homes;
}

describe('homes', () => {
  it('are numbered, and known again after a restart', async () => {
    const homes = loaded();
    homes.create('alice');
    homes.create('bob');
    await homes.flush();
    expect(loaded().of('alice')).toEqual({ name: 'managed-u1', user: 'alice' });
    expect(loaded().of('bob')).toEqual({ name: 'managed-u2', user: 'bob' });
    expect(loaded().of('carol')).toBeUndefined();
  });

  it('of spares become a user\'s', async () => {
    const homes = loaded();
    const { name } = homes.create();
    expect(homes.spares().map((home) => home.name)).toEqual([name]);
    homes.give(name, 'alice');
    await homes.flush();
    expect(loaded().of('alice')?.name).toBe(name);
    expect(loaded().spares()).toEqual([]);
  });

  it('of spares are removed with what is in them, and their number is not used again', async () => {
    const homes = loaded();
    const { name } = homes.create();
    mkdirSync(join(directory, name, 'home'), { recursive: true });
    await homes.remove(name);
    await homes.flush();
    expect(existsSync(join(directory, name))).toBe(false);
    expect(loaded().create('alice').name).toBe('managed-u2');
  });

  it('of users are not removed', async () => {
    const homes = loaded();
    const { name } = homes.create('alice');
    mkdirSync(join(directory, name));
    await homes.remove(name);
    expect(existsSync(join(directory, name))).toBe(true);
    expect(homes.of('alice')?.name).toBe(name);
  });

  it('are kept where only this user looks', async () => {
    const homes = loaded();
    homes.create('alice');
    await homes.flush();
    expect(statSync(join(directory, FILE)).mode & 0o777).toBe(0o600);
    expect(existsSync(join(directory, `${FILE}.new`))).toBe(false);
  });

  it.each([
    ['torn', '{"version":1,"next":7,"homes":[{"name":"manag'],
    ['empty', ''],
    ['no list', '{"next":3,"homes":{}}'],
    ['a list of other things', '{"next":3,"homes":[null]}'],
    ['a path instead of a name', '{"next":3,"homes":[{"name":"../../etc","user":"alice"}]}'],
    ['one user twice', '{"next":3,"homes":[{"name":"managed-u1","user":"alice"},{"name":"managed-u2","user":"alice"}]}'],
  ])('whose file is damaged (%s) are left alone, and new ones get other numbers', async (_, text) => {
    writeFileSync(join(directory, FILE), text);
    mkdirSync(join(directory, 'managed-u41'));
    const homes = loaded();
    expect(homes.of('alice')).toBeUndefined();
    expect(homes.create('alice').name).toBe('managed-u42');
    await homes.flush();
    expect(readFileSync(join(directory, `${FILE}.damaged`), 'utf8')).toBe(text);
    expect(loaded().of('alice')?.name).toBe('managed-u42');
    expect(existsSync(join(directory, 'managed-u41'))).toBe(true);
  });

  it('may belong to users of any name', async () => {
    const homes = loaded();
    for (const user of ['__proto__', 'constructor', 'a"b\n']) homes.create(user);
    await homes.flush();
    expect(['__proto__', 'constructor', 'a"b\n', 'toString'].map((user) => loaded().of(user)?.name))
      .toEqual(['managed-u1', 'managed-u2', 'managed-u3', undefined]);
  });
});

describe('the uid of a home', () => {
  const RANGE = { from: 20_000, count: 3 };

  it('is the first that is nobody\'s, and stays', async () => {
    const homes = loaded();
    const [alice, bob] = [homes.create('alice'), homes.create('bob')];
    expect(homes.allotUid(alice.name, RANGE, new Set([20_000]))).toBe(true);
    expect(homes.allotUid(bob.name, RANGE, new Set([20_000]))).toBe(true);
    await homes.flush();
    const again = loaded();
    expect(again.of('alice')?.uid).toBe(20_001);
    expect(again.of('bob')?.uid).toBe(20_002);
    expect(again.allotUid(alice.name, { from: 1, count: 1 }, NOBODY)).toBe(true);
    expect(again.of('alice')?.uid).toBe(20_001);
  });

  it('is refused when all are taken, and free again when a spare\'s home is gone', async () => {
    const homes = loaded();
    const spare = homes.create();
    for (const { name } of [spare, homes.create('alice'), homes.create('bob')]) homes.allotUid(name, RANGE, NOBODY);
    const carol = homes.create('carol');
    expect(homes.allotUid(carol.name, RANGE, NOBODY)).toBe(false);
    await homes.remove(spare.name);
    expect(homes.allotUid(carol.name, RANGE, NOBODY)).toBe(true);
    expect(homes.of('carol')?.uid).toBe(20_000);
  });
});
