/**
 * Replacing a file without waiting for the disk.
 *
 * rename(2) over an existing file makes ext4 write the new content out first: about 1 ms during which the event loop
 * stands still, and a disk does some hundreds of that in a second. So
 *
 *     place -> old      the old file is moved aside
 *     file  -> place    the new one takes its name
 *     old   deleted
 *
 * and between the first two steps nobody else has his turn. After a crash there the old one is put back when the
 * session is opened. (A power cut may lose the last half minute, as it does of appends.)
 */
import { mkdirSync, readdirSync, renameSync, rmSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DIRECTORY_MODE } from './modes.js';

/**
 * @param old where the old file is meanwhile: below `aside`, where only replacements are
 * @throws errors of the system; then `place` has what it had
 */
export function replaceFile(file: string, place: string, old: string, aside: string): void {
  try {
    renameSync(place, old);
  } catch {
    // The first of its directory; or what was a file at an earlier replacement is a directory now.
    rmSync(aside, { recursive: true, force: true });
    mkdirSync(dirname(old), { recursive: true, mode: DIRECTORY_MODE });
    renameSync(place, old);
  }
  try {
    renameSync(file, place);
  } catch (error) {
    renameSync(old, place);
    throw error;
  }
  unlinkSync(old);
}

/**
 * Gives files their names back that a crash has kept from being replaced.
 * @param placeFor where the file of a path belongs; undefined if something is there, or can no longer be
 */
export function putBack(aside: string, placeFor: (path: string) => string | undefined, below = ''): void {
  for (const entry of readdirSync(aside + below, { withFileTypes: true })) {
    const path = `${below}/${entry.name}`;
    if (entry.isDirectory()) {
      putBack(aside, placeFor, path);
      continue;
    }
    const place = placeFor(path);
    if (place !== undefined) renameSync(join(aside, path), place);
  }
}
