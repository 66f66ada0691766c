/**
 * The files of sessions: what CLI servers would keep in `session-state/<id>/`, kept here instead.
 *
 * Every session has a tree of its own. Paths are `/`-separated and absolute within that tree
 * (`/events.jsonl`); none leads out of it, however it is spelled. Contents are UTF-8 text, as on the
 * wire (session-fs schema). Calls of one session take effect in the order they were made.
 *
 * Writes carry the epoch of the lease they are made under. `fence` ends every older lease: a write
 * that was not yet carried out when `fence` resolves is refused, also one made by another process.
 */
import type { Soon } from './soon.js';

/** Why a call on a file failed. */
export type FileFaultCode =
  | 'ENOENT' | 'EEXIST' | 'ENOTDIR' | 'EISDIR' | 'ENOTEMPTY'
  /** The name cannot be: too long, or it holds what no file name holds. */
  | 'EINVAL'
  /** The write would exceed a quota. */
  | 'EDQUOT'
  /** The lease is over: the session has moved to another server. */
  | 'ESTALE'
  /** The store itself failed. */
  | 'EIO';

export class FileFault extends Error {
  constructor(readonly code: FileFaultCode, message: string) {
    super(message);
    this.name = 'FileFault';
  }
}

/** A right to write a session's files: valid until a higher epoch is fenced off. */
export interface Lease {
  readonly sessionId: string;
  readonly epoch: number;
}

export interface FileStat {
  readonly isFile: boolean;
  readonly isDirectory: boolean;
  /** Bytes; 0 for a directory. */
  readonly size: number;
  /** Milliseconds since the Unix epoch. */
  readonly mtime: number;
  readonly birthtime: number;
}

export interface FileEntry {
  readonly name: string;
  readonly type: 'file' | 'directory';
}

export interface Quotas {
  /** Bytes that one session's files may have; undefined for no bound. */
  readonly session: number | undefined;
  /** Bytes that all sessions of one owner may have. */
  readonly user: number | undefined;
}

/**
 * The calls of a server on its session's files. One that had nothing to wait for gives its result itself, or throws
 * the FileFault; it has taken effect then.
 */
export interface DirectFiles {
  readFile(sessionId: string, path: string): Soon<string>;
  exists(sessionId: string, path: string): Soon<boolean>;
  stat(sessionId: string, path: string): Soon<FileStat>;
  readdir(sessionId: string, path: string): Soon<FileEntry[]>;
  writeFile(lease: Lease, path: string, content: string): Soon<void>;
  appendFile(lease: Lease, path: string, content: string): Soon<void>;
  mkdir(lease: Lease, path: string, recursive: boolean): Soon<void>;
  rm(lease: Lease, path: string, how: { readonly recursive: boolean; readonly force: boolean }): Soon<void>;
  rename(lease: Lease, src: string, dest: string): Soon<void>;
}

/** Every method may reject with a FileFault. */
export interface SessionFiles {
  /** The same calls, in one order with these, of a store that carries most of them out at once. */
  readonly direct?: DirectFiles;

  /**
   * Makes `epoch` the lowest that may write; never lowers it. Resolves when that outlives a crash.
   * @param owner whose quota the session counts against
   */
  fence(sessionId: string, epoch: number, owner: string): Promise<void>;

  readFile(sessionId: string, path: string): Promise<string>;
  exists(sessionId: string, path: string): Promise<boolean>;
  stat(sessionId: string, path: string): Promise<FileStat>;
  /** In the order of their names. */
  readdir(sessionId: string, path: string): Promise<FileEntry[]>;

  /** Replaces the content at once: a reader, and a crash, find the old or the new one whole. Makes parent directories. */
  writeFile(lease: Lease, path: string, content: string): Promise<void>;
  /** Adds to the end without rewriting what is there. Makes the file and its parent directories. */
  appendFile(lease: Lease, path: string, content: string): Promise<void>;
  mkdir(lease: Lease, path: string, recursive: boolean): Promise<void>;
  rm(lease: Lease, path: string, how: { readonly recursive: boolean; readonly force: boolean }): Promise<void>;
  /** Replaces what is at `dest`, as rename(2) does. */
  rename(lease: Lease, src: string, dest: string): Promise<void>;

  /** Bytes of all files of a session; 0 for one that is not known. */
  size(sessionId: string): Promise<number>;
  /** Copies a session's whole tree to another session that has none; under the lease of the new one. */
  copy(from: string, to: Lease, owner: string): Promise<void>;
  /** Deletes a session's whole tree and forgets its fence. */
  wipe(sessionId: string): Promise<void>;
  close(): Promise<void>;
}
