/** Directories of servers with users of their own. Only root can give something away. */
import { chmodSync, chownSync, existsSync, linkSync, lstatSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { prepareDirectory } from '../../../proxy/fleet/owner.js';
import { blockedAt, letThrough, programBlockedAt } from '../../../proxy/fleet/passage.js';

const ROOT = process.geteuid?.() === 0;
const ALICE = { uid: 61_001, gid: 61_001 };
const BOB = { uid: 61_002, gid: 61_002 };

let base: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'skyport-owner-')));
  chmodSync(base, 0o755);
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

function shown(path: string): string {
  const { uid, gid, mode } = lstatSync(path);
  return `${uid}:${gid} ${(mode & 0o7777).toString(8)}`;
}

describe('a directory of nobody in particular', () => {
  it('is made with all above it', async () => {
    await prepareDirectory(base, join(base, 'a', 'b'));
    expect(statSync(join(base, 'a', 'b')).isDirectory()).toBe(true);
  });
});

describe.runIf(ROOT)('a directory for a user', () => {
  it('is his, private, and so is what is made in it', async () => {
    await prepareDirectory(join(base, 'work'), join(base, 'work', 'alice', 'project', 'src'), ALICE);
    expect(shown(join(base, 'work'))).toMatch(/^0:0 /);
    for (const path of ['alice', 'alice/project', 'alice/project/src']) expect(shown(join(base, 'work', path))).toBe('61001:61001 700');
  });

  it('is taken over with what its owner had in it, and with nothing of others', async () => {
    const own = join(base, 'alice');
    mkdirSync(join(own, 'sub'), { recursive: true });
    writeFileSync(join(own, 'sub', 'file'), '');
    writeFileSync(join(own, 'sub', 'bobs'), '');
    writeFileSync(join(base, 'outside'), '');
    symlinkSync(join(base, 'outside'), join(own, 'link'));
    chownSync(join(own, 'sub', 'bobs'), 61_002, 61_002);
    await prepareDirectory(base, own, ALICE);
    expect(['.', 'sub', 'sub/file', 'link'].map((path) => lstatSync(join(own, path)).uid)).toEqual([61_001, 61_001, 61_001, 61_001]);
    expect(lstatSync(join(own, 'sub', 'bobs')).uid).toBe(61_002);
    expect(lstatSync(join(base, 'outside')).uid).toBe(0);
  });

  it('does not bring a file of root\'s that its last user has linked into it', async () => {
    const own = join(base, 'shared');
    await prepareDirectory(base, own, BOB);
    writeFileSync(join(base, 'roots'), '');
    linkSync(join(base, 'roots'), join(own, 'hard'));
    await prepareDirectory(base, own, ALICE);
    expect(lstatSync(own).uid).toBe(61_001);
    expect(lstatSync(join(base, 'roots')).uid).toBe(0);
  });

  it('leaves alone what its owner has in it', async () => {
    const own = join(base, 'alice');
    await prepareDirectory(base, own, ALICE);
    mkdirSync(join(own, 'open'), { mode: 0o755 });
    chownSync(join(own, 'open'), 61_001, 61_001);
    chmodSync(own, 0o755);
    await prepareDirectory(base, join(own, 'open', 'new'), ALICE);
    expect(['.', 'open', 'open/new'].map((path) => shown(join(own, path)))).toEqual(['61001:61001 700', '61001:61001 755', '61001:61001 700']);
  });

  it('is not made through a link that somebody has put in its way', async () => {
    const target = join(base, 'target');
    mkdirSync(target);
    await prepareDirectory(base, join(base, 'alice'), ALICE);
    symlinkSync(target, join(base, 'alice', 'way'));
    symlinkSync(target, join(base, 'bob'));
    await expect(prepareDirectory(base, join(base, 'alice', 'way', 'in'), ALICE)).rejects.toThrow(/^.*\/alice\/way\/in cannot be made for uid 61001: /);
    await expect(prepareDirectory(base, join(base, 'bob'), BOB)).rejects.toThrow(/cannot be made for uid 61002/);
    expect(existsSync(join(target, 'in'))).toBe(false);
    expect(lstatSync(target).uid).toBe(0);
  });

  it('does not lie outside', async () => {
    await expect(prepareDirectory(base, join(base, '..', 'elsewhere'), ALICE)).rejects.toThrow('does not lie below');
    await expect(prepareDirectory(base, base, ALICE)).rejects.toThrow('does not lie below');
  });
});

describe('the way of a user', () => {
  it('is blocked by the first directory that others may not search', () => {
    mkdirSync(join(base, 'a', 'b', 'c'), { recursive: true });
    expect(blockedAt(join(base, 'a', 'b', 'c'), ALICE)).toBeUndefined();
    chmodSync(join(base, 'a', 'b'), 0o750);
    expect(blockedAt(join(base, 'a', 'b', 'c'), ALICE)).toBe(join(base, 'a', 'b'));
    expect(blockedAt(join(base, 'a', 'b', 'c'), { uid: ALICE.uid, gid: statSync(base).gid })).toBeUndefined();
    expect(blockedAt(join(base, 'a', 'b', 'c'), { uid: statSync(base).uid, gid: 1 })).toBeUndefined();
  });

  it('leads through links', () => {
    mkdirSync(join(base, 'closed', 'in'), { recursive: true });
    chmodSync(join(base, 'closed'), 0o700);
    symlinkSync(join(base, 'closed', 'in'), join(base, 'link'));
    expect(blockedAt(join(base, 'link'), ALICE)).toBe(join(base, 'closed'));
  });

  it('to a program may end at the program itself', () => {
    const program = join(base, 'program');
    writeFileSync(program, '', { mode: 0o700 });
    expect(programBlockedAt(program, ALICE)).toBe(program);
    chmodSync(program, 0o755);
    expect(programBlockedAt(program, ALICE)).toBeUndefined();
  });
});

describe('a directory that lets a user through', () => {
  const modeOf = (path: string) => (lstatSync(path).mode & 0o7777).toString(8);

  it('may be searched and not listed, and what was in it is closed', () => {
    const store = join(base, 'store');
    mkdirSync(join(store, 'registry'), { recursive: true, mode: 0o755 });
    writeFileSync(join(store, 'registry', 'data'), '');
    writeFileSync(join(store, 'tokens'), '', { mode: 0o644 });
    symlinkSync(base, join(store, 'link'));
    chmodSync(store, 0o700);
    letThrough(store, ALICE);
    expect([modeOf(store), modeOf(join(store, 'registry')), modeOf(join(store, 'tokens'))]).toEqual(['701', '750', '640']);
    expect(modeOf(base)).toBe('755');
  });

  it('stays as it is when it does already', () => {
    const store = join(base, 'store');
    mkdirSync(store);
    chmodSync(store, 0o755);
    writeFileSync(join(store, 'file'), '', { mode: 0o644 });
    letThrough(store, ALICE);
    expect([modeOf(store), modeOf(join(store, 'file'))]).toEqual(['755', '644']);
  });
});
