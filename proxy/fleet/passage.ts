/**
 * The way of a server with a uid of its own to what it must reach. Skyport's directories above the
 * servers' homes are private; such a server may pass through them, and see nothing in them:
 *
 *   <store.path>           rwx--x--x   and its entries closed to those who may pass now
 *   <store.path>/servers   rwx--x--x   as above
 *   …/servers/<home>       rwx------   the server's own
 */
import { chmodSync, lstatSync, readdirSync, realpathSync, statSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Owner } from './owner.js';

/** A permission bit of one class: owner, group or others. */
const SEARCH = 0o1;

/**
 * Lets a user search a directory of Skyport's, and closes what is in it to whom that lets in. What is
 * made in it later must be private from the start. Idempotent.
 * @throws the file system's error when its mode cannot be changed
 */
export function letThrough(directory: string, who: Owner): void {
  const found = statSync(directory);
  const shift = classOf(found, who);
  if (maySearch(found, who)) return;
  for (const name of readdirSync(directory)) {
    const entry = join(directory, name);
    const { mode } = lstatSync(entry);
    const closed = mode & 0o7777 & ~(0o7 << shift);
    if (!lstatSync(entry).isSymbolicLink() && (mode & 0o7777) !== closed) chmodSync(entry, closed);
  }
  chmodSync(directory, (found.mode & 0o7777) | (SEARCH << shift));
}

/**
 * The first directory on the way to a path that a user may not search, itself included. Goes by
 * permission bits: an access control list that gives more is not seen.
 * @returns undefined when the way is free
 * @throws the file system's error where there is nothing
 */
export function blockedAt(directory: string, who: Owner): string | undefined {
  return [...ancestry(directory), ...ancestry(realpathSync(directory))].find((one) => !maySearch(statSync(one), who));
}

/** The same for a program: that file itself when it may not be run. */
export function programBlockedAt(program: string, who: Owner): string | undefined {
  const file = realpathSync(program);
  return blockedAt(dirname(program), who) ?? blockedAt(dirname(file), who)
    ?? (maySearch(statSync(file), who) ? undefined : file);
}

/** Of a file: run it. */
function maySearch(found: Stats, who: Owner): boolean {
  return ((found.mode >> classOf(found, who)) & SEARCH) !== 0;
}

function classOf(found: Stats, who: Owner): 0 | 3 | 6 {
  if (found.uid === who.uid) return 6;
  return found.gid === who.gid ? 3 : 0;
}

/** From the root down. */
function ancestry(path: string): string[] {
  const above = dirname(path);
  return above === path ? [path] : [...ancestry(above), path];
}
