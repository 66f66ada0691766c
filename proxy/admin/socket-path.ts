/** Where the control socket really is: the kernel's limit on the length of its path is short. */
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';

/** Bytes: macOS takes 103 and Linux 107. */
const PATH_MAX = 100;

/**
 * The path to bind or to dial for a configured one: itself, or, when that is too long for the kernel,
 * a short one in a private directory under the system's temporary directory. It follows from the
 * configured path alone, so server and client find each other as long as both see the same TMPDIR.
 */
export function socketPath(configured: string): string {
  const path = resolve(configured);
  if (Buffer.byteLength(path) <= PATH_MAX) return path;
  const name = createHash('sha256').update(path).digest('hex').slice(0, 24);
  return join(privateDirectory(), `${name}.sock`);
}

function privateDirectory(): string {
  return join(tmpdir(), `skyport-${userInfo().uid}`);
}

/**
 * Makes the directory of a bound path. The temporary directory belongs to everybody, so the one in it
 * must be a real directory, ours, and closed to others.
 * @throws Error when it is somebody else's
 */
export function makeSocketDirectory(configured: string): void {
  const path = socketPath(configured);
  if (path === resolve(configured)) {
    mkdirSync(resolve(path, '..'), { recursive: true });
    return;
  }
  const directory = privateDirectory();
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const stat = lstatSync(directory);
  if (!stat.isDirectory() || stat.uid !== userInfo().uid || (stat.mode & 0o077) !== 0) {
    throw new Error(`${directory} is not a directory that only this user can open; remove it or set admin.socket to a shorter path`);
  }
}
