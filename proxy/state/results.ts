/**
 * What the runtime expects as the result of each `sessionFs` call (api.schema.json: SessionFs…Result).
 * A call that fails is answered all the same, with an `error` in the result; of a write, the error is
 * the result, and null means that it is done.
 */
import type { FileEntry, FileStat } from '../store/session-files.js';

export interface FsError {
  readonly code: 'ENOENT' | 'UNKNOWN';
  readonly message: string;
}

export type Operation =
  | 'readFile' | 'writeFile' | 'appendFile' | 'exists' | 'stat' | 'mkdir' | 'readdir' | 'readdirWithTypes' | 'rm' | 'rename';

export const DONE = null;

export function content(text: string): object {
  return { content: text };
}

export function stat({ isFile, isDirectory, size, mtime, birthtime }: FileStat): object {
  return { isFile, isDirectory, size, mtime: new Date(mtime).toISOString(), birthtime: new Date(birthtime).toISOString() };
}

export function names(entries: readonly FileEntry[]): object {
  return { entries: entries.map(({ name }) => name) };
}

export function typed(entries: readonly FileEntry[]): object {
  return { entries: entries.map(({ name, type }) => ({ name, type })) };
}

const EPOCH = new Date(0).toISOString();

/** The result of a call that failed. */
export function failed(operation: Operation, error: FsError): object {
  switch (operation) {
    case 'readFile':
      return { content: '', error };
    case 'exists':
      // Has no place for an error (SessionFsExistsResult).
      return { exists: false };
    case 'stat':
      return { isFile: false, isDirectory: false, size: 0, mtime: EPOCH, birthtime: EPOCH, error };
    case 'readdir':
    case 'readdirWithTypes':
      return { entries: [], error };
    default:
      return error;
  }
}
