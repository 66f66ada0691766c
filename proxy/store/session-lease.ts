/**
 * The lease of a session as it lies beside its files: which epoch may write, and whose session it is.
 * It is replaced at once: a crash leaves the one before or the new one.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { FILE_MODE } from './modes.js';

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
    text = readFileSync(join(directory, 'lease.json'), 'utf8');
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

/** Stores the lease of a session that had none, or another owner. */
export function storeLease(directory: string, lease: StoredLease): void {
  renameSync(writeFresh(directory, lease), join(directory, 'lease.json'));
}

/** The same for one that had a lease: to replace it waits for the disk (replacement.ts), so a thread does it. */
export async function replaceLease(directory: string, lease: StoredLease): Promise<void> {
  await rename(writeFresh(directory, lease), join(directory, 'lease.json'));
}

function writeFresh(directory: string, { epoch, owner }: StoredLease): string {
  const fresh = join(directory, 'new');
  rmSync(fresh, { force: true });
  writeFileSync(fresh, JSON.stringify({ epoch, owner }), { mode: FILE_MODE, flag: 'wx' });
  return fresh;
}
