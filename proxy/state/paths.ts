/**
 * Names of files as CLI servers write them. Each session has a file system of its own in which the
 * runtime keeps the session's state under one directory, the `sessionStatePath` it was told; what is
 * outside of that is on the machine of the server.
 */
import { posix } from 'node:path';

/** The `sessionStatePath` that every server is told. */
export const STATE_PATH = '/state';

/** The place in the session's own tree (`/events.jsonl`); undefined for what lies outside of it, however it is spelled. */
export function placeOf(path: string): string | undefined {
  const plain = plainOf(path);
  if (plain === STATE_PATH) return '/';
  return plain?.startsWith(`${STATE_PATH}/`) ? plain.slice(STATE_PATH.length) : undefined;
}

/** Whether `path` is the directory or lies above it. */
export function leadsTo(path: string, directory: string | undefined): boolean {
  const plain = plainOf(path);
  const target = directory === undefined ? undefined : plainOf(directory);
  if (plain === undefined || target === undefined) return false;
  return plain === '/' || target === plain || target.startsWith(`${plain}/`);
}

/** Absolute, without `.`, `..`, doubled and trailing slashes; undefined for a relative path. */
function plainOf(path: string): string | undefined {
  if (!path.startsWith('/')) return undefined;
  const plain = posix.normalize(path);
  return plain.length > 1 && plain.endsWith('/') ? plain.slice(0, -1) : plain;
}
