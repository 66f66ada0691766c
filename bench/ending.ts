/** However the bench ends, nothing of it stays: no process (test/support/process-group.ts), no directory. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
// First, so that at the end what writes to a directory is killed before it is removed.
import '../test/support/process-group.js';

/** Milliseconds. */
const LOOK = 250;

const directories = new Set<string>();
process.on('exit', () => {
  for (const directory of directories) remove(directory);
});

/** A new directory, until `remove` or the end of the bench. */
export function directoryOfTheRun(): string {
  return removedAtTheEnd(mkdtempSync(path.join(tmpdir(), 'skyport-bench-')));
}

export function removedAtTheEnd(directory: string): string {
  directories.add(directory);
  return directory;
}

export function remove(directory: string): void {
  directories.delete(directory);
  // Who writes there may have been killed this moment.
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
}

/** `npm run` and the shell between do not pass a signal on to what they have started. */
export function endWithParent(): void {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) process.exit(1);
  }, LOOK).unref();
}
