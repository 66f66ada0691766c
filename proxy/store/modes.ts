import { chmodSync, mkdirSync, statSync } from 'node:fs';

/** Who may do what with the store's files: their owner alone. */
export const FILE_MODE = 0o600;
export const DIRECTORY_MODE = 0o700;

/** Makes a directory that is its owner's alone, or closes one that is there; one of another user stays as it is. */
export function makePrivate(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
  const { mode, uid } = statSync(directory);
  const euid = process.geteuid?.();
  if ((mode & 0o077) !== 0 && (euid === 0 || euid === uid)) chmodSync(directory, DIRECTORY_MODE);
}
