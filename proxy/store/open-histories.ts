/**
 * Histories that are kept open for appending. A session in a turn appends again and again, and to find the
 * file by its path each time costs more than the write itself.
 *
 * A file that somebody has deleted behind the store's back is noticed at the next append. Whoever replaces,
 * moves or removes one for the store lets go of it first.
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { FILE_MODE } from './modes.js';

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;
/** O_NONBLOCK: opening a pipe that somebody put there would wait for ever. */
const APPEND = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK;

/** Files that are kept open, however many the process may have. */
const FEWEST = 32;
const MOST = 1024;

/** A file that is open for appending. */
export interface OpenFile {
  readonly fd: number;
  /** Bytes, when it was looked at last. */
  size: number;
}

export class OpenHistories {
  /** By path; least recently used first. */
  private readonly open = new Map<string, OpenFile>();

  constructor(private readonly most = mostOpen()) {}

  /** The open file of this path; undefined for one that is not open, or not there any more. */
  find(path: string): OpenFile | undefined {
    const file = this.open.get(path);
    if (!file) return undefined;
    const { nlink, size } = fstatSync(file.fd);
    if (nlink === 0) {
      this.letGo(path);
      return undefined;
    }
    file.size = size;
    this.open.delete(path);
    this.open.set(path, file);
    return file;
  }

  /** Whether it is still open. */
  has(path: string, file: OpenFile): boolean {
    return this.open.get(path) === file;
  }

  /** Opens a file, which is made if there is none, and keeps it open. @returns undefined if it is no file */
  keep(path: string): OpenFile | undefined {
    this.letGo(path);
    const file = this.openPatiently(path);
    if (!file) return undefined;
    this.open.set(path, file);
    if (this.open.size > this.most) this.letGo(this.open.keys().next().value!);
    return file;
  }

  letGo(path: string): void {
    const file = this.open.get(path);
    if (!file) return;
    this.open.delete(path);
    closeSync(file.fd);
  }

  close(): void {
    for (const path of [...this.open.keys()]) this.letGo(path);
  }

  /** When the process has too many files open, those that are only kept go first. */
  private openPatiently(path: string): OpenFile | undefined {
    try {
      return openToAppend(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EMFILE' || this.open.size === 0) throw error;
      this.close();
      return openToAppend(path);
    }
  }
}

/** Opens a file, which is made if there is none. @returns undefined if it is no file */
export function openToAppend(path: string): OpenFile | undefined {
  const fd = openSync(path, APPEND, FILE_MODE);
  const stat = fstatSync(fd);
  if (stat.isFile()) return { fd, size: stat.size };
  closeSync(fd);
  return undefined;
}

/** Adds to a file whose size was just looked at. Nothing is left of what the disk had no room for. */
export function append({ fd, size }: OpenFile, content: Buffer): void {
  try {
    for (let at = 0; at < content.length;) at += writeSync(fd, content, at);
  } catch (error) {
    ftruncateSync(fd, size);
    throw error;
  }
}

/** An eighth of what the process may have open: clients and servers need most of it. */
function mostOpen(): number {
  let limits = '';
  try {
    limits = readFileSync('/proc/self/limits', 'utf8');
  } catch {
    // Only Linux tells it there.
  }
  const allowed = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 2048);
  return Math.max(FEWEST, Math.min(MOST, Math.floor(allowed / 8)));
}
