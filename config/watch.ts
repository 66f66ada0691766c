import { createHash } from 'node:crypto';
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, dirname, join, parse, resolve } from 'node:path';
import { watch, type FSWatcher } from 'chokidar';
import { loadConfig, type LoadOptions, type LoadResult } from './load.js';
import type { SkyportConfig } from './schema.js';

export interface Reload extends LoadResult {
  /** The files, as named by the caller, whose content is another than at the last reload; empty for a `reload()` of unchanged files. */
  changed: string[];
}

/** A burst of changes (an editor's truncate and write, a rename dance) is over after this much quiet, in ms. */
const QUIET = 100;
/** A burst that does not end is looked at this often, in ms. */
const LONGEST_BURST = 1_000;

/**
 * Reads the configuration again when it, or a file it names, has another content.
 *
 * Not the files are watched but the directories that decide what their names mean, so that a file that
 * is replaced by a rename, and a symbolic link that is pointed elsewhere, are seen like a write:
 *
 *     /etc/skyport/skyport.yaml -> ..data/skyport.yaml      a Kubernetes volume
 *     /etc/skyport/..data       -> ..2025_01_01/            is swapped by a rename
 *
 * What is seen only makes it look: the content decides. The timer that waits for the end of a
 * burst is the one timer here, and runs only during one.
 */
export class ConfigWatcher {
  readonly #file: string;
  readonly #onChange: (reload: Reload) => void;
  readonly #extraFiles: (loaded?: SkyportConfig) => string[];
  readonly #options: LoadOptions;
  #watcher: FSWatcher | undefined;
  #watched = '';
  #contents = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;
  #burstBegan = 0;
  #polling = false;
  readonly #closing = new AbortController();

  /**
   * @param onChange told of every reload, a failed one too (then `config` is undefined and the caller stays with what it has)
   * @param extraFiles the files to watch besides, the tokens file; asked with what was just loaded, too, before `onChange` reads them
   */
  constructor(
    file: string,
    onChange: (reload: Reload) => void,
    extraFiles: (loaded?: SkyportConfig) => string[] = () => [],
    options: LoadOptions = {},
  ) {
    this.#file = file;
    this.#onChange = onChange;
    this.#extraFiles = extraFiles;
    this.#options = options;
  }

  /** Changes from now on are seen; once the promise is fulfilled, also by the watcher of the system. */
  start(): Promise<void> {
    this.#contents = this.#read();
    return this.#watch();
  }

  /** Reads now and tells, whether or not something changed: SIGHUP. */
  reload(): void {
    if (this.#closing.signal.aborted) return;
    const changed = this.#update();
    const loaded = loadConfig(this.#file, process.env, this.#options);
    // The new configuration may name another tokens file. It is noted before it is read, like the
    // rest: whatever it becomes from then on is found by the next look.
    for (const file of this.#extraFiles(loaded.config)) {
      if (!this.#contents.has(file)) this.#contents.set(file, fingerprint(file));
    }
    this.#onChange({ ...loaded, changed });
    void this.#watch();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#timer);
    await this.#watcher?.close();
  }

  #files(): string[] {
    return [this.#file, ...this.#extraFiles()];
  }

  #read(): Map<string, string> {
    return new Map(this.#files().map((file) => [file, fingerprint(file)]));
  }

  /** Takes note of the contents as they are now. Gives the files that differ from before. */
  #update(): string[] {
    const before = this.#contents;
    this.#contents = this.#read();
    return [...this.#contents].filter(([file, content]) => before.get(file) !== content).map(([file]) => file);
  }

  #stir(): void {
    if (this.#closing.signal.aborted) return;
    const now = Date.now();
    if (this.#timer === undefined) this.#burstBegan = now;
    clearTimeout(this.#timer);
    const wait = Math.min(QUIET, Math.max(0, this.#burstBegan + LONGEST_BURST - now));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.look();
    }, wait);
  }

  /** Reads again if the content is another, told or not: called by the janitor, for what the system does not tell. */
  look(): void {
    // In a burst the file may be half written: its end is waited for.
    if (this.#closing.signal.aborted || this.#timer !== undefined) return;
    const now = this.#read();
    const same = [...now].every(([file, content]) => this.#contents.get(file) === content);
    if (same) void this.#watch();
    else this.reload();
  }

  /** Watches the places that matter now; they move when a symbolic link does. */
  async #watch(): Promise<void> {
    const places = new Set(this.#files().flatMap((file) => placesOf(file)));
    const wanted = [...places].sort().join('\0');
    if (wanted === this.#watched || this.#closing.signal.aborted) return;
    this.#watched = wanted;
    const before = this.#watcher;
    const watcher = watch([...new Set([...places].map((place) => dirname(place)))], {
      depth: 0,
      ignoreInitial: true,
      followSymlinks: false,
      usePolling: this.#polling,
      interval: 2_000,
      ignored: (path, stats) => stats !== undefined && !stats.isDirectory() && !places.has(resolve(path)),
    });
    this.#watcher = watcher;
    watcher.on('all', () => this.#stir());
    // A rename over a symbolic link is not always a change to chokidar; the system does tell of it.
    watcher.on('raw', (_event, path) => { if (concerns(places, path)) this.#stir(); });
    watcher.on('error', () => this.#poll());
    const { signal } = this.#closing;
    const ready = new Promise<void>((resolve) => {
      watcher.once('ready', resolve).once('error', () => resolve());
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await before?.close();
    await ready;
    // What changed while no watcher was ready is found by looking.
    this.#stir();
  }

  /** The system has no more watches to give: look at the directories from time to time instead. */
  #poll(): void {
    if (this.#polling || this.#closing.signal.aborted) return;
    this.#polling = true;
    this.#watched = '';
    void this.#watch();
  }
}

function concerns(places: ReadonlySet<string>, path: unknown): boolean {
  if (typeof path !== 'string') return true;
  const name = basename(path);
  return [...places].some((place) => basename(place) === name);
}

function fingerprint(file: string): string {
  try {
    return createHash('sha256').update(readFileSync(file)).digest('base64');
  } catch (error) {
    return `unreadable: ${(error as NodeJS.ErrnoException).code}`;
  }
}

/** The paths that decide what a file name stands for: each symbolic link on the way, and the file at its end. */
function placesOf(file: string): string[] {
  const places: string[] = [];
  let [at, rest] = split(resolve(file));
  // A bound against links in a circle, the one that Linux has.
  for (let links = 0; rest.length > 0 && links < 40;) {
    const next = join(at, rest.shift() as string);
    const target = linkAt(next);
    if (target === undefined) {
      at = next;
      continue;
    }
    links++;
    places.push(next);
    const [root, steps] = split(resolve(at, target));
    [at, rest] = [root, [...steps, ...rest]];
  }
  return [...places, at];
}

function split(path: string): [string, string[]] {
  const { root } = parse(path);
  return [root, path.slice(root.length).split(/[\\/]/).filter((step) => step !== '')];
}

function linkAt(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined;
  } catch {
    return undefined;
  }
}
