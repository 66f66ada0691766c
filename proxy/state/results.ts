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

/** What is sent back: a result in the runtime's shape, or an error for a call that is not served. */
export type Reply =
  | { readonly result: object | null }
  | { readonly error: { readonly code: number; readonly message: string } };

export type Operation =
  | 'readFile' | 'writeFile' | 'appendFile' | 'exists' | 'stat' | 'mkdir' | 'readdir' | 'readdirWithTypes' | 'rm' | 'rename';

export const DONE = null;

export function content(text: string): object {
  return { content: text };
}

/**
 * With the times as numbers as well, which the schema does not name: without them the agent's tool `view`
 * says of every file that it does not exist (measured, runtime 1.0.85).
 */
export function stat({ isFile, isDirectory, size, mtime, birthtime }: FileStat): object {
  return {
    isFile, isDirectory, size,
    mtime: new Date(mtime).toISOString(), birthtime: new Date(birthtime).toISOString(), mtimeMs: mtime, birthtimeMs: birthtime,
  };
}

export function names(entries: readonly FileEntry[]): object {
  return { entries: entries.map(({ name }) => name) };
}

export function typed(entries: readonly FileEntry[]): object {
  return { entries: entries.map(({ name, type }) => ({ name, type })) };
}

const EPOCH = new Date(0).toISOString();

/** The reply to a call that failed. */
export function failed(operation: Operation, error: FsError): Reply {
  switch (operation) {
    case 'readFile':
      return { result: { content: '', error } };
    case 'exists':
      // Its result has no place for an error (SessionFsExistsResult), and "no" would be a lie that hides a history.
      return { error: { code: -32603, message: error.message } };
    case 'stat':
      return { result: { isFile: false, isDirectory: false, size: 0, mtime: EPOCH, birthtime: EPOCH, error } };
    case 'readdir':
    case 'readdirWithTypes':
      return { result: { entries: [], error } };
    default:
      return { result: error };
  }
}
