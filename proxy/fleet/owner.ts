/**
 * Directories that belong to the user that a server runs as. They are made and given by root below a
 * directory of the operator's, in places where the new owner may be at work, so nothing there is
 * followed but real directories: each is opened without following links, and what is in it is reached
 * through the open directory (`/proc/self/fd/<n>/<name>`), which nobody can exchange.
 */
import { constants } from 'node:fs';
import { lchown, lstat, mkdir, open, readdir, type FileHandle } from 'node:fs/promises';
import { relative, sep } from 'node:path';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export const PRIVATE = 0o700;

/**
 * Makes a directory, and those that are missing above it.
 * @param base a directory of the operator's, above `path`; links on the way to it are followed
 * @param owner given the first directory below `base`, with all that belonged to its owner before, and
 *   what is made below that; closed to everybody else. Left out: nothing is given to anybody, and
 *   what exists stays as it is
 * @throws when it cannot be made, or something on the way from `base` is not a directory
 */
export async function prepareDirectory(base: string, path: string, owner?: Owner): Promise<void> {
  if (owner === undefined) {
    await mkdir(path, { recursive: true });
    return;
  }
  const names = relative(base, path).split(sep).filter((name) => name !== '');
  if (names.length === 0 || names.includes('..')) throw new Error(`${path} does not lie below ${base}`);
  try {
    await walk(base, names, owner);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // The path in the system's message is one of this file's detours.
    throw new Error(`${path} cannot be made for uid ${owner.uid}: ${code ?? message}`);
  }
}

async function walk(base: string, names: readonly string[], owner: Owner): Promise<void> {
  await mkdir(base, { recursive: true });
  let above = await open(base, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    for (const [depth, name] of names.entries()) {
      const made = await makeIn(above, name);
      const next = await openIn(above, name);
      await above.close();
      above = next;
      if (made) await above.chown(owner.uid, owner.gid);
      if (depth === 0) await take(above, owner);
    }
  } finally {
    await above.close();
  }
}

/** @returns whether it is new */
async function makeIn(above: FileHandle, name: string): Promise<boolean> {
  try {
    await mkdir(within(above, name), PRIVATE);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  }
}

async function openIn(above: FileHandle, name: string): Promise<FileHandle> {
  try {
    return await open(within(above, name), DIRECTORY_ONLY);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ELOOP' && code !== 'ENOTDIR') throw error;
    throw new Error(`${name} is not a directory`);
  }
}

const DIRECTORY_ONLY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** The directory itself comes last: one that was interrupted is gone through again. */
async function take(directory: FileHandle, owner: Owner): Promise<void> {
  const { uid, gid, mode } = await directory.stat();
  if (uid !== owner.uid || gid !== owner.gid) {
    await takeContents(directory, uid, owner);
    await directory.chown(owner.uid, owner.gid);
  }
  if ((mode & 0o7777) !== PRIVATE) await directory.chmod(PRIVATE);
}

/** Only what was `from`'s: a hard link to somebody else's file gives nobody that file. */
async function takeContents(directory: FileHandle, from: number, owner: Owner): Promise<void> {
  for (const entry of await readdir(within(directory, '.'), { withFileTypes: true })) {
    const at = within(directory, entry.name);
    if (entry.isDirectory()) {
      const below = await open(at, DIRECTORY_ONLY).catch(() => undefined);
      if (below === undefined) continue;
      try {
        await takeContents(below, from, owner);
        if ((await below.stat()).uid === from) await below.chown(owner.uid, owner.gid);
      } finally {
        await below.close();
      }
    } else {
      const found = await lstat(at).catch(() => undefined);
      if (found?.uid === from) await lchown(at, owner.uid, owner.gid).catch(() => undefined);
    }
  }
}

function within(directory: FileHandle, name: string): string {
  return `/proc/self/fd/${directory.fd}/${name}`;
}
