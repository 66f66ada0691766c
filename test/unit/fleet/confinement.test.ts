import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { confinementTrouble, findProgram, gatedCommand, needsShell, ownerOf, ownLimits, uidsTrouble } from '../../../proxy/fleet/confinement.js';

const NONE = new Set<string>();
const HIGH = { openFiles: 1_000_000, processes: 100_000 };
const steps = (...args: Parameters<typeof gatedCommand>) => gatedCommand(...args)[2]!.split('\n').slice(2, -1);

describe('the user of a server', () => {
  it('has a gid of the same number where none is given', () => {
    expect(ownerOf({ uid: 5, limits: {} })).toEqual({ uid: 5, gid: 5 });
    expect(ownerOf({ uid: 5, gid: 6, limits: {} })).toEqual({ uid: 5, gid: 6 });
    expect(ownerOf({ gid: 6, limits: {} })).toBeUndefined();
    expect(ownerOf(undefined)).toBeUndefined();
  });

  it('needs a Skyport that is root, on Linux', () => {
    const confinement = { uid: 5, limits: {} };
    expect(confinementTrouble(confinement, { platform: 'linux', uid: 0 })).toBeUndefined();
    expect(confinementTrouble(confinement, { platform: 'linux', uid: 1000 })).toBe('a server can have a uid of its own only when Skyport is root, and it is uid 1000');
    expect(confinementTrouble(confinement, { platform: 'darwin', uid: 0 })).toBe('limits and uids of servers need Linux, and this is darwin');
    expect(confinementTrouble({ limits: { openFiles: 5 } }, { platform: 'darwin', uid: 0 })).toBeDefined();
    expect(confinementTrouble({ limits: {} }, { platform: 'darwin', uid: 501 })).toBeUndefined();
  });

  it('can be checked for a whole configuration', () => {
    const self = { platform: 'linux', uid: 1000 } as const;
    expect(uidsTrouble({ users: { alice: {} } }, self)).toBeUndefined();
    expect(uidsTrouble({ users: { alice: {}, bob: { uid: 7 } } }, self)).toMatch(/^fleet\.users\.bob\.uid: a server can have/);
    expect(uidsTrouble({ users: {}, uids: { from: 1, count: 1 } }, self)).toMatch(/^fleet\.uids: a server can have/);
    expect(uidsTrouble({ users: {}, uids: { from: 1, count: 1 } }, { ...self, uid: 0 })).toBeUndefined();
  });
});

describe('the limits of a server', () => {
  it('are set by a shell that waits, and becomes the server', () => {
    expect(gatedCommand(['/bin/server', '--port', '0'], { limits: {} }, NONE, HIGH))
      .toEqual(['/bin/sh', '-c', 'read -r _ <&3 || exit 125\nexec 3<&-\nexec "$@"', 'skyport', '/bin/server', '--port', '0']);
  });

  it('are of each process where no cgroup keeps them', () => {
    const confinement = { uid: 5, limits: { openFiles: 500, memory: 256 * 1024 * 1024, processes: 60 } };
    expect(steps(['x'], confinement, NONE, HIGH)).toEqual([
      'ulimit -n 500 || exit 125', 'ulimit -d 262144 || exit 125', 'ulimit -u 60 2>/dev/null || ulimit -p 60 || exit 125',
    ]);
    expect(steps(['x'], confinement, new Set(['memory', 'pids']), HIGH)).toEqual(['ulimit -n 500 || exit 125']);
  });

  it('count processes only for a uid of its own', () => {
    expect(steps(['x'], { limits: { processes: 60 } }, NONE, HIGH)).toEqual([]);
    expect(needsShell({ limits: { processes: 60 } }, NONE)).toBe(false);
    expect(needsShell({ uid: 5, limits: { processes: 60 } }, NONE)).toBe(true);
    expect(needsShell({ uid: 5, limits: { processes: 60 } }, new Set(['pids']))).toBe(false);
  });

  it('are no higher than Skyport\'s own, which only root could raise', () => {
    expect(steps(['x'], { limits: { openFiles: 5_000 } }, NONE, { openFiles: 4_096 })).toEqual(['ulimit -n 4096 || exit 125']);
    expect(steps(['x'], { limits: { openFiles: 5_000 } }, NONE, {})).toEqual(['ulimit -n 5000 || exit 125']);
  });

  it('are read as the kernel writes them', () => {
    const text = 'Limit                     Soft Limit           Hard Limit           Units     \n'
      + 'Max processes             unlimited            unlimited            processes \nMax open files            1024                 524288               files     \n';
    expect(ownLimits(text)).toEqual({ openFiles: 524_288, processes: undefined });
  });
});

describe('a program', () => {
  let directory: string;
  beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'skyport-program-')); });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('is found as spawn would find it, or missing in its words', () => {
    mkdirSync(join(directory, 'bin', 'dir'), { recursive: true });
    for (const name of ['one', 'data']) writeFileSync(join(directory, 'bin', name), '');
    chmodSync(join(directory, 'bin', 'one'), 0o755);
    const path = `/nowhere:${directory}/bin`;
    expect(findProgram('one', path, '/')).toEqual({ program: join(directory, 'bin', 'one') });
    expect(findProgram('./bin/one', path, directory)).toEqual({ program: join(directory, 'bin', 'one') });
    expect(findProgram('two', path, '/')).toEqual({ missing: 'spawn two ENOENT' });
    expect(findProgram('dir', path, '/')).toEqual({ missing: 'spawn dir ENOENT' });
    expect(findProgram('data', path, '/')).toEqual({ missing: 'spawn data EACCES' });
  });
});
