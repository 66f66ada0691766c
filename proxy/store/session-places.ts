/**
 * Where sessions lie below `<store.path>/sessions/`, so that no directory has all of them.
 *
 *     format                             the number of this layout
 *     <xx>/<directory name>/             a session; xx: of a hash of its directory name
 *     owners/<hash>/<xx>/<directory name>   empty: a session that this owner has, or had
 *     wiped/…                            what is being deleted; taken away at the next start if a crash left it
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DIRECTORY_MODE, FILE_MODE } from './modes.js';

/** Bumped when the layout changes in a way that older code cannot read. */
const FORMAT = 1;

export class SessionPlaces {
  private readonly root: string;
  private wipes = 0;

  /** @throws when the directory cannot be used or has another layout */
  constructor(path: string) {
    this.root = join(path, 'sessions');
    mkdirSync(join(this.root, 'wiped'), { recursive: true, mode: DIRECTORY_MODE });
    const file = join(this.root, 'format');
    const format = readIfThere(file) ?? '';
    if (format.trim() === '') writeFileSync(file, `${FORMAT}\n`, { mode: FILE_MODE });
    else if (format.trim() !== String(FORMAT)) {
      throw new Error(`${this.root} holds sessions of format ${format.trim()}; this version reads format ${FORMAT}`);
    }
  }

  /** @param name a directory name (tree-path.ts) */
  of(name: string): string {
    return join(this.root, shardOf(name), name);
  }

  /** Makes a session's directory, and notes whose it is before anybody can find it there. */
  make(name: string, owner: string): void {
    this.note(name, owner);
    mkdirSync(join(this.of(name), 'files'), { recursive: true, mode: DIRECTORY_MODE });
  }

  note(name: string, owner: string): void {
    const note = this.noteOf(name, owner);
    mkdirSync(dirname(note), { recursive: true, mode: DIRECTORY_MODE });
    writeFileSync(note, '', { mode: FILE_MODE });
  }

  /** Forgets whose a session was. A note that a crash left does no harm: the lease says whose a session is. */
  unnote(name: string, owner: string): void {
    rmSync(this.noteOf(name, owner), { force: true });
  }

  /** Directory names of the sessions that an owner has, and of some that it had; looked up by and by. */
  *notedOf(owner: string): Iterable<string> {
    const notes = this.notesOf(owner);
    for (const shard of namesIn(notes)) yield* namesIn(join(notes, shard));
  }

  /** Takes a session away at once. @returns where it is to be deleted, undefined if it was not there */
  takeAway(name: string): string | undefined {
    const aside = join(this.root, 'wiped', `${process.pid}-${Date.now()}-${this.wipes++}`);
    try {
      renameSync(this.of(name), aside);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    return aside;
  }

  /** Deletes what an earlier process has taken away and not deleted. Never rejects: the next start tries again. */
  async sweep(): Promise<void> {
    const wiped = join(this.root, 'wiped');
    for (const name of await readdir(wiped).catch(() => [])) await remove(join(wiped, name));
  }

  private notesOf(owner: string): string {
    return join(this.root, 'owners', createHash('sha256').update(owner).digest('hex'));
  }

  private noteOf(name: string, owner: string): string {
    return join(this.notesOf(owner), shardOf(name), name);
  }
}

/** Deletes what has been taken away. Never rejects: what it could not delete, the next start tries again. */
export async function remove(aside: string): Promise<void> {
  await rm(aside, { recursive: true, force: true }).catch(() => undefined);
}

function shardOf(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 2);
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
