/**
 * One session's directory, and what is done with its files. All of it is synchronous but deleting,
 * copying and reading much: next to the system call itself, going through a thread costs five times as much.
 *
 *     <directory>/
 *       lease.json    who may write, and whose session it is (session-lease.ts)
 *       files/        the tree that the session sees
 *       new           a content before it has its name
 *       old/…         what is being replaced, under its own path (replacement.ts)
 *       gone-<n>      what is being deleted
 *       copied        a tree that is being copied here
 *
 * Everything but the first two is left over from a crash when it is found at opening. Symbolic links and
 * whatever else is neither file nor directory are never followed, opened or listed.
 */
import {
  closeSync, constants, fstatSync, lstatSync, mkdirSync, openSync, readdirSync, readSync, renameSync, rmSync, unlinkSync,
  writeFileSync, type Stats,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileFault, notAFile } from './disk-fault.js';
import { readLarge } from './large-file.js';
import { DIRECTORY_MODE, FILE_MODE } from './modes.js';
import { append, openToAppend, OpenHistories } from './open-histories.js';
import { putBack, replaceFile } from './replacement.js';
import type { FileEntry, FileStat } from './session-files.js';
import { mendLastLine } from './torn-line.js';
import { directoriesAbove, isWithin } from './tree-path.js';
import { bytesBelow, copyBelow } from './tree-walk.js';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
/** O_NONBLOCK: opening a pipe that somebody put there would wait for ever. */
const READ = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;

/** Bytes from which on a file is read by and by. */
const LARGE = 1_048_576;

const HISTORY = '/events.jsonl';
const LASTING = new Set(['lease.json', 'files']);

/** A change that has been looked at and not made: what it adds, and the making of it. */
export interface Change {
  /** Bytes; negative for what it frees. */
  readonly growth: number;
  /** Has taken effect, whole, when it returns; throws if it had none. What it returns is only tidying up. */
  make(): void | Promise<void>;
}

/** Paths are of the form that `treePath` gives. Every method throws FileFaults and errors of the system. */
export class SessionTree {
  private readonly files: string;
  private deleted = 0;

  /** @param histories those of all sessions that are kept open */
  constructor(private readonly directory: string, private readonly histories: OpenHistories) {
    this.files = join(directory, 'files');
  }

  /** Makes the root if there is none, and puts right what a crash has left. */
  open(): void {
    const left = readdirSync(this.directory).filter((name) => !LASTING.has(name));
    mkdirSync(this.files, { recursive: true, mode: DIRECTORY_MODE });
    if (left.includes('old')) {
      putBack(join(this.directory, 'old'), (path) => (this.blockAbove(path) === undefined && !this.look(path) ? this.files + path : undefined));
    }
    for (const name of left) rmSync(join(this.directory, name), { recursive: true, force: true });
    mendLastLine(join(this.files, HISTORY));
  }

  /** @returns a promise for a large file only */
  read(path: string): string | Promise<string> {
    const what = `read ${path}`;
    const block = this.blockAbove(path);
    if (block !== undefined) throw this.faultAbove(block, what);
    const file = this.files + path;
    const fd = openSync(file, READ);
    try {
      const stat = fstatSync(fd);
      if (stat.isDirectory()) throw fileFault('EISDIR', what);
      if (!stat.isFile()) throw notAFile(what);
      return stat.size > LARGE ? readLarge(file, READ) : readWhole(fd, stat.size);
    } finally {
      closeSync(fd);
    }
  }

  has(path: string): boolean {
    const stat = this.blockAbove(path) === undefined ? this.look(path) : undefined;
    return stat !== undefined && (stat.isFile() || stat.isDirectory());
  }

  stat(path: string): FileStat {
    const stat = this.existing(path, `stat ${path}`);
    const isFile = stat.isFile();
    return {
      isFile,
      isDirectory: !isFile,
      size: isFile ? stat.size : 0,
      mtime: Math.floor(stat.mtimeMs),
      birthtime: Math.floor(stat.birthtimeMs),
    };
  }

  list(path: string): FileEntry[] {
    const what = `list ${path}`;
    if (!this.existing(path, what).isDirectory()) throw fileFault('ENOTDIR', what);
    const entries: FileEntry[] = [];
    for (const entry of readdirSync(this.files + path, { withFileTypes: true })) {
      if (entry.isFile()) entries.push({ name: entry.name, type: 'file' });
      else if (entry.isDirectory()) entries.push({ name: entry.name, type: 'directory' });
    }
    return entries.sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  write(path: string, content: string): Change {
    const what = `write ${path}`;
    const before = this.writable(path, what);
    return {
      growth: Buffer.byteLength(content) - (before?.size ?? 0),
      make: () => {
        this.makeAbove(path, what);
        this.letGo(path);
        const fresh = join(this.directory, 'new');
        try {
          writeFileSync(fresh, content, { encoding: 'utf8', mode: FILE_MODE, flag: 'wx' });
          this.place(fresh, path, before !== undefined);
        } catch (error) {
          rmSync(fresh, { force: true });
          throw error;
        }
      },
    };
  }

  append(path: string, content: string): Change {
    const what = `append to ${path}`;
    const bytes = Buffer.from(content);
    const file = this.files + path;
    const open = path === HISTORY ? this.histories.find(file) : undefined;
    if (!open) this.writable(path, what);
    return {
      growth: bytes.length,
      make: () => {
        if (open && this.histories.has(file, open)) append(open, bytes);
        else this.appendAnew(path, bytes, what);
      },
    };
  }

  private appendAnew(path: string, bytes: Buffer, what: string): void {
    this.makeAbove(path, what);
    const isHistory = path === HISTORY;
    const opened = isHistory ? this.histories.keep(this.files + path) : openToAppend(this.files + path);
    if (!opened) throw notAFile(what);
    try {
      append(opened, bytes);
    } finally {
      if (!isHistory) closeSync(opened.fd);
    }
  }

  makeDirectory(path: string, recursive: boolean): Change {
    const what = `make ${path}`;
    const block = this.blockAbove(path);
    if (block !== undefined && !(recursive && block === 'ENOENT')) throw this.faultAbove(block, what);
    const there = block === undefined ? this.look(path) : undefined;
    if (there && !(recursive && there.isDirectory())) throw fileFault('EEXIST', what);
    return {
      growth: 0,
      make: () => {
        if (recursive) this.makeAbove(path, what);
        if (!there) mkdirSync(this.files + path, DIRECTORY_MODE);
      },
    };
  }

  /** The root itself stays when it is removed, empty. */
  remove(path: string, { recursive, force }: { readonly recursive: boolean; readonly force: boolean }): Change {
    const what = `remove ${path}`;
    const block = this.blockAbove(path);
    const stat = block === undefined ? this.look(path) : undefined;
    if (!stat) {
      if (force && (block ?? 'ENOENT') === 'ENOENT') return { growth: 0, make: () => undefined };
      throw this.faultAbove(block ?? 'ENOENT', what);
    }
    const file = this.files + path;
    if (!stat.isDirectory()) {
      return {
        growth: stat.isFile() ? -stat.size : 0,
        make: () => {
          this.letGo(path);
          unlinkSync(file);
        },
      };
    }
    if (!recursive) throw fileFault('EISDIR', what);
    return {
      growth: -bytesBelow(file),
      make: () => {
        this.letGo(path);
        const gone = join(this.directory, `gone-${this.deleted++}`);
        renameSync(file, gone);
        if (path === '') mkdirSync(file, DIRECTORY_MODE);
        // What is left of it is beside the tree, and taken away when it is opened again.
        return rm(gone, { recursive: true, force: true }).catch(() => undefined);
      },
    };
  }

  rename(src: string, dest: string): Change {
    const what = `rename ${src} to ${dest}`;
    const from = this.existing(src, what);
    if (src === '' || dest === '' || (isWithin(dest, src) && dest !== src)) throw fileFault('EINVAL', what);
    const block = this.blockAbove(dest);
    if (block !== undefined) throw this.faultAbove(block, what);
    const to = this.look(dest);
    if (src === dest) return { growth: 0, make: () => undefined };
    if (to && to.isDirectory() !== from.isDirectory()) throw fileFault(to.isDirectory() ? 'EISDIR' : 'ENOTDIR', what);
    const replaces = to !== undefined && !to.isDirectory();
    return {
      growth: to?.isFile() ? -to.size : 0,
      make: () => {
        this.letGo(src);
        this.letGo(dest);
        this.place(this.files + src, dest, replaces);
      },
    };
  }

  /** Bytes of all files. */
  count(): number {
    return bytesBelow(this.files);
  }

  /**
   * Copies all of another tree, in which nothing changes meanwhile, to beside this one, which is empty;
   * the change then puts it in place.
   */
  async copyOf(other: SessionTree): Promise<Change> {
    const copied = join(this.directory, 'copied');
    await rm(copied, { recursive: true, force: true });
    await copyBelow(other.files, copied);
    // Takes the place of an empty directory, and of no other.
    return { growth: other.count(), make: () => renameSync(copied, this.files) };
  }

  /** Has nothing open any more, before what is at this path is replaced, moved or taken away. */
  letGo(path = ''): void {
    if (isWithin(HISTORY, path)) this.histories.letGo(this.files + HISTORY);
  }

  private look(path: string): Stats | undefined {
    return lstatSync(this.files + path, { throwIfNoEntry: false });
  }

  private existing(path: string, what: string): Stats {
    const block = this.blockAbove(path);
    if (block !== undefined) throw this.faultAbove(block, what);
    const stat = this.look(path);
    if (!stat) throw fileFault('ENOENT', what);
    if (!stat.isFile() && !stat.isDirectory()) throw notAFile(what);
    return stat;
  }

  /** The file that will be written; undefined if there is none yet. Directories above it may be missing, too. */
  private writable(path: string, what: string): Stats | undefined {
    const block = this.blockAbove(path);
    if (block !== undefined && block !== 'ENOENT') throw this.faultAbove(block, what);
    const stat = block === undefined ? this.look(path) : undefined;
    if (!stat) return undefined;
    if (stat.isDirectory()) throw fileFault('EISDIR', what);
    if (!stat.isFile()) throw notAFile(what);
    return stat;
  }

  /** What is wrong with the directories above a path; undefined if they are all there. */
  private blockAbove(path: string): 'ENOENT' | 'ENOTDIR' | 'EINVAL' | undefined {
    if (path.lastIndexOf('/') <= 0) return undefined;
    for (const above of directoriesAbove(path)) {
      const stat = this.look(above);
      if (!stat) return 'ENOENT';
      if (!stat.isDirectory()) return stat.isFile() ? 'ENOTDIR' : 'EINVAL';
    }
    return undefined;
  }

  private faultAbove(block: 'ENOENT' | 'ENOTDIR' | 'EINVAL', what: string): Error {
    return block === 'EINVAL' ? notAFile(what) : fileFault(block, what);
  }

  private makeAbove(path: string, what: string): void {
    if (this.blockAbove(path) === undefined) return;
    for (const above of directoriesAbove(path)) {
      const stat = this.look(above);
      if (!stat) mkdirSync(this.files + above, DIRECTORY_MODE);
      else if (!stat.isDirectory()) throw this.faultAbove(stat.isFile() ? 'ENOTDIR' : 'EINVAL', what);
    }
  }

  /** Gives a file the name that it is to have. */
  private place(file: string, path: string, replaces: boolean): void {
    if (replaces) replaceFile(file, this.files + path, `${this.directory}/old${path}`, join(this.directory, 'old'));
    else renameSync(file, this.files + path);
  }
}

function readWhole(fd: number, size: number): string {
  const bytes = Buffer.allocUnsafe(size);
  let length = 0;
  for (let read = -1; read !== 0 && length < size; length += read) read = readSync(fd, bytes, length, size - length, null);
  return bytes.toString('utf8', 0, length);
}
