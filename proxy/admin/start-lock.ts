/** Lets one process at a time look at a socket file and replace it. */
import { closeSync, openSync, rmSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds. The work takes a few; a lock as old as this was left behind by a crash. */
const LEFT_BEHIND = 10_000;
const RETRY = 20;

/**
 * Does the work while holding the lock file.
 * @param now for tests; milliseconds since the epoch
 */
export async function withLock<T>(file: string, work: () => Promise<T>, now: () => number = Date.now): Promise<T> {
  for (let waited = 0; !take(file); waited += RETRY) {
    const held = statSync(file, { throwIfNoEntry: false });
    const left = held !== undefined && (now() - held.mtimeMs > LEFT_BEHIND || waited > LEFT_BEHIND);
    if (left) rmSync(file, { force: true });
    else await sleep(RETRY);
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

/** Making a file that must not exist is the one step that the file system lets only one process do. */
function take(file: string): boolean {
  try {
    closeSync(openSync(file, 'wx', 0o600));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
