/**
 * The lease of a session as it lies beside its files: which epoch may write, and whose session it is.
 * It is replaced at once: a crash leaves the one before or the new one.
 */
import { constants, readFileSync, rename, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;

export interface StoredLease {
  /** The lowest that may write. */
  readonly epoch: number;
  /** Whose quota the session counts against. */
  readonly owner: string;
}

/** @returns 'none' if there is no lease and so no session, 'unreadable' for one that a power cut has emptied */
export function readLease(directory: string): StoredLease | 'none' | 'unreadable' {
  let text: string;
  try {
    text = readFileSync(join(directory, 'lease.json'), { encoding: 'utf8', flag: (O_RDONLY | O_NOFOLLOW) as unknown as string });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'none';
    throw error;
  }
  try {
    const { epoch, owner } = JSON.parse(text) as Partial<StoredLease>;
    return Number.isSafeInteger(epoch) && typeof owner === 'string' ? { epoch: epoch!, owner } : 'unreadable';
  } catch {
    return 'unreadable';
  }
}

/** Resolves when the lease is in its place. Replacing one waits for the disk (session-tree.ts), so it is done by a thread. */
export async function storeLease(directory: string, { epoch, owner }: StoredLease): Promise<void> {
  const fresh = join(directory, 'new');
  rmSync(fresh, { force: true });
  writeFileSync(fresh, JSON.stringify({ epoch, owner }), { mode: 0o600, flag: (O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW) as unknown as string });
  await promisify(rename)(fresh, join(directory, 'lease.json'));
}
