/**
 * Which home is whose, in `<store.path>/servers/homes.json`. A home is the directory of a server of one
 * user, `managed-u<n>`, with its uid if it has one; it lasts over all runs of the server. A number is
 * never used again for another home, and what is in a home that is not in the file is left alone: it
 * may be a user's, from before the file was lost.
 */
import { readdirSync, readFileSync, renameSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

export interface Home {
  /** Of its directory and of its server: `managed-u7`. */
  readonly name: string;
  /** Undefined: a spare's. */
  readonly user?: string;
  /** From `fleet.uids`; stays the home's. */
  readonly uid?: number;
}

export interface UidRange {
  readonly from: number;
  readonly count: number;
}

const FILE = 'homes.json';
const NAME = /^managed-u([1-9]\d{0,14})$/;

export class Homes {
  readonly #directory: string;
  readonly #homes = new Map<string, Home>();
  readonly #byUser = new Map<string, string>();
  readonly #uids = new Set<number>();
  #next = 1;
  #dirty = false;
  #writing: Promise<void> | undefined;
  readonly #removals = new Set<Promise<void>>();

  /** @param directory `<store.path>/servers` */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Reads the file; a missing one is an empty one, and a damaged one is set aside as
   * `homes.json.damaged`.
   * @throws the file system's error when the directory cannot be read
   */
  load(): void {
    const file = join(this.#directory, FILE);
    let text: string | undefined;
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    const known = text === undefined ? { next: 1, homes: [] } : parse(text);
    if (known === undefined) renameSync(file, `${file}.damaged`);
    for (const home of known?.homes ?? []) this.#set(home);
    this.#next = Math.max(1, known?.next ?? 1);
    for (const name of [...readdirSync(this.#directory), ...this.#homes.keys()]) {
      this.#next = Math.max(this.#next, numberOf(name) + 1);
    }
  }

  of(user: string): Home | undefined {
    const name = this.#byUser.get(user);
    return name === undefined ? undefined : this.#homes.get(name);
  }

  get(name: string): Home | undefined {
    return this.#homes.get(name);
  }

  /** Those that nobody has got yet. */
  spares(): Home[] {
    return [...this.#homes.values()].filter(({ user }) => user === undefined);
  }

  /** @param user left out: for a spare */
  create(user?: string): Home {
    const home: Home = { name: `managed-u${this.#next++}`, user };
    this.#set(home);
    this.#save();
    return home;
  }

  /** The home of a spare becomes a user's. */
  give(name: string, user: string): void {
    const home = this.#homes.get(name);
    if (home === undefined) return;
    this.#set({ ...home, user });
    this.#save();
  }

  /**
   * Gives a home a uid, unless it has one.
   * @param reserved uids that are somebody's by other means
   * @returns false when none is left
   */
  allotUid(name: string, { from, count }: UidRange, reserved: ReadonlySet<number>): boolean {
    const home = this.#homes.get(name);
    if (home === undefined || home.uid !== undefined) return home !== undefined;
    for (let uid = from; uid < from + count; uid++) {
      if (this.#uids.has(uid) || reserved.has(uid)) continue;
      this.#set({ ...home, uid });
      this.#save();
      return true;
    }
    return false;
  }

  /** Removes a spare's home with all that is in it. Not to be called while anything runs there. */
  remove(name: string): Promise<void> {
    const home = this.#homes.get(name);
    if (home === undefined || home.user !== undefined) return Promise.resolve();
    const removal = this.#remove(home).finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
    return removal;
  }

  /** @returns when what is known is on the disk, or could not be written, and nothing is being removed */
  async flush(): Promise<void> {
    await Promise.all(this.#removals);
    while (this.#writing !== undefined) await this.#writing;
  }

  async #remove({ name, uid }: Home): Promise<void> {
    try {
      await rm(join(this.#directory, name), { recursive: true, force: true });
    } catch {
      // It stays in the file as a spare's, and the next start tries again.
      return;
    }
    this.#homes.delete(name);
    if (uid !== undefined) this.#uids.delete(uid);
    this.#save();
  }

  #set(home: Home): void {
    this.#homes.set(home.name, home);
    if (home.user !== undefined) this.#byUser.set(home.user, home.name);
    if (home.uid !== undefined) this.#uids.add(home.uid);
  }

  /** One write at a time; what changes meanwhile is in the next one. */
  #save(): void {
    this.#dirty = true;
    this.#writing ??= this.#write().finally(() => { this.#writing = undefined; });
  }

  async #write(): Promise<void> {
    while (this.#dirty) {
      // What changes in the same turn of the event loop goes with it.
      await new Promise((resolve) => { setImmediate(resolve); });
      this.#dirty = false;
      const text = `${JSON.stringify({ version: 1, next: this.#next, homes: [...this.#homes.values()] })}\n`;
      try {
        await replace(join(this.#directory, FILE), text);
      } catch {
        // A full disk: the next change writes all of it again.
      }
    }
  }
}

async function replace(file: string, text: string): Promise<void> {
  const aside = `${file}.new`;
  const handle = await open(aside, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  await rename(aside, file);
}

/** @returns undefined for anything but what `#write` writes */
function parse(text: string): { next: number; homes: Home[] } | undefined {
  try {
    const { next, homes } = JSON.parse(text) as { next: unknown; homes: unknown };
    if (!Number.isSafeInteger(next) || !Array.isArray(homes)) return undefined;
    const users = new Set<string>();
    for (const { name, user, uid } of homes as Record<string, unknown>[]) {
      const isHome = typeof name === 'string' && NAME.test(name)
        && (user === undefined || typeof user === 'string') && (uid === undefined || Number.isSafeInteger(uid));
      if (!isHome || (typeof user === 'string' && users.has(user))) return undefined;
      if (typeof user === 'string') users.add(user);
    }
    return { next: next as number, homes: homes as Home[] };
  } catch {
    return undefined;
  }
}

/** 0 for what is no home. */
function numberOf(name: string): number {
  return Number(NAME.exec(name)?.[1] ?? 0);
}
