/**
 * Control groups (cgroup v2) of managed servers, where Skyport may make some:
 *
 *   <own cgroup>/skyport-<fleet>/<parent pid>-<parent start>.<server>
 *
 * A server is put into its own before it runs its first instruction, so all that it starts is in it,
 * whatever it does to its session, its group or its environment, and ends with one write to
 * `cgroup.kill`. Limits of memory and processes hold for all of it together, where the controllers
 * are there: see `controllers`. Source: the kernel's Documentation/admin-guide/cgroup-v2.rst.
 */
import { accessSync, closeSync, constants, mkdirSync, openSync, readdirSync, readFileSync, rmdirSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Marker } from './marker.js';

export interface CgroupLimits {
  /** bytes */
  readonly memory?: number;
  /** The kernel counts threads too. */
  readonly processes?: number;
}

const CONTROLLERS = ['memory', 'pids'] as const;
type Controller = (typeof CONTROLLERS)[number];

/** A killed process leaves its cgroup a moment after the signal; looks, 5 ms apart. */
const MOST_LOOKS = 400;

/**
 * Where this process's cgroup is in the file system.
 * @param membership /proc/self/cgroup
 * @param mounts /proc/self/mountinfo
 * @returns undefined where there is no cgroup v2
 */
export function ownDirectory(membership: string, mounts: string): string | undefined {
  const path = /^0::(\/.*)$/m.exec(membership)?.[1];
  if (path === undefined) return undefined;
  for (const line of mounts.split('\n')) {
    const [before, after] = line.split(' - ');
    if (after?.startsWith('cgroup2 ') !== true) continue;
    const [, , , root, point] = before!.split(' ').map(unescaped);
    // In a container that sees only its own part: the mount's root is the container's cgroup.
    if (root === '/') return resolve(point!, `.${path}`);
    if (path === root || path.startsWith(`${root}/`)) return resolve(point!, `.${path.slice(root!.length)}`);
  }
  return undefined;
}

/** The cgroups of one fleet. */
export class Cgroups {
  readonly #own: string;
  readonly #directory: string;
  #controllers: ReadonlySet<Controller> | undefined;

  /**
   * @param own the cgroup of this process, a directory
   * @param fleet its random name
   */
  constructor(own: string, fleet: string) {
    this.#own = own;
    this.#directory = join(own, `skyport-${fleet.slice(0, 16)}`);
  }

  /** @returns undefined where there is no cgroup v2, or this process may make none in it */
  static ofThisProcess(fleet: string): Cgroups | undefined {
    const known = opened.get(fleet);
    if (known !== undefined || opened.has(fleet)) return known;
    let cgroups: Cgroups | undefined;
    try {
      const own = ownDirectory(readFileSync('/proc/self/cgroup', 'utf8'), readFileSync('/proc/self/mountinfo', 'utf8'));
      if (own !== undefined) {
        accessSync(join(own, 'cgroup.procs'), constants.W_OK);
        accessSync(own, constants.W_OK);
        cgroups = new Cgroups(own, fleet);
      }
    } catch {
      // Nothing there, or read-only: as in most containers.
    }
    opened.set(fleet, cgroups);
    return cgroups;
  }

  /**
   * Makes the cgroup of a server.
   * @returns undefined where it cannot be made; `bounded` says which of the limits it holds
   */
  make(marker: Marker, limits: CgroupLimits): { readonly cgroup: ServerCgroup; readonly bounded: ReadonlySet<Controller> } | undefined {
    const directory = join(this.#directory, `${marker.parentPid}-${marker.parentStart}.${marker.server}`);
    try {
      const limited = limits.memory !== undefined || limits.processes !== undefined;
      const controllers = limited ? this.controllers() : NONE;
      mkdirSync(this.#directory, { recursive: true });
      // It may be a new one: it goes with the last server.
      for (const name of controllers) put(this.#directory, 'cgroup.subtree_control', `+${name}`);
      mkdirSync(directory, { recursive: true });
      const bounded = new Set<Controller>();
      if (limits.memory !== undefined && controllers.has('memory') && limitMemory(directory, limits.memory)) bounded.add('memory');
      if (limits.processes !== undefined && controllers.has('pids') && put(directory, 'pids.max', limits.processes)) bounded.add('pids');
      return { cgroup: new ServerCgroup(directory, this.#directory), bounded };
    } catch {
      return undefined;
    }
  }

  /**
   * The controllers that servers' cgroups have, after making them available: those that this process's
   * cgroup has been given. The kernel passes none on from a cgroup with processes of its own, so where
   * this process is the only one in it, it moves into a cgroup beside its servers'.
   */
  controllers(): ReadonlySet<Controller> {
    this.#controllers ??= this.#passOn();
    return this.#controllers;
  }

  /**
   * Ends what is in cgroups of this fleet whose Skyport is gone.
   * @param lives whether the Skyport with this pid and start time still runs
   * @returns how many processes were killed
   */
  async endOrphans(lives: (pid: number, start: number) => boolean): Promise<number> {
    let killed = 0;
    for (const name of directoriesIn(this.#directory)) {
      const parent = parentOf(name);
      if (parent === undefined || lives(...parent)) continue;
      const cgroup = new ServerCgroup(join(this.#directory, name), this.#directory);
      killed += cgroup.processes().length;
      cgroup.kill();
      await cgroup.remove();
    }
    this.#sweep(lives);
    return killed;
  }

  /** Empty cgroups of Skyports that were killed and whose directories nobody has used again. */
  #sweep(lives: (pid: number, start: number) => boolean): void {
    for (const fleet of directoriesIn(this.#own).filter((name) => /^skyport-[0-9a-f]{16}$/.test(name))) {
      const directory = join(this.#own, fleet);
      for (const name of directoriesIn(directory)) {
        const parent = parentOf(name);
        // Only one without processes can be taken away.
        if (parent !== undefined && !lives(...parent)) removeEmpty(join(directory, name));
      }
      removeEmpty(directory);
    }
  }

  #passOn(): ReadonlySet<Controller> {
    const offered = words(this.#own, 'cgroup.controllers').filter(isController);
    if (offered.length === 0) return NONE;
    mkdirSync(this.#directory, { recursive: true });
    const passed = offered.filter((name) => put(this.#own, 'cgroup.subtree_control', `+${name}`));
    if (passed.length < offered.length && this.#stepAside()) {
      passed.push(...offered.filter((name) => !passed.includes(name) && put(this.#own, 'cgroup.subtree_control', `+${name}`)));
    }
    return new Set(passed.filter((name) => put(this.#directory, 'cgroup.subtree_control', `+${name}`)));
  }

  /** @returns whether there is no process left in its cgroup itself */
  #stepAside(): boolean {
    if (words(this.#own, 'cgroup.procs').join() !== String(process.pid)) return false;
    const aside = join(this.#own, 'skyport');
    try {
      mkdirSync(aside, { recursive: true });
    } catch {
      return false;
    }
    return put(aside, 'cgroup.procs', process.pid);
  }
}

const NONE: ReadonlySet<Controller> = new Set();
/** By fleet: once this process has stepped aside, /proc/self/cgroup no longer says where its servers' are. */
const opened = new Map<string, Cgroups | undefined>();

/** The cgroup of one run of a server. */
export class ServerCgroup {
  readonly #directory: string;
  readonly #above: string;

  constructor(directory: string, above: string) {
    this.#directory = directory;
    this.#above = above;
  }

  /** @returns whether the process is in it now */
  add(pid: number): boolean {
    return put(this.#directory, 'cgroup.procs', pid);
  }

  /** Those that are in it, and in cgroups that they made in it. */
  processes(): number[] {
    return this.#all().flatMap((directory) => words(directory, 'cgroup.procs').map(Number));
  }

  /** Kills all that is in it, with one write where the kernel is 5.14 or later. */
  kill(): void {
    if (put(this.#directory, 'cgroup.kill', 1)) return;
    for (const pid of this.processes()) {
      try {
        if (pid > 0) process.kill(pid, 'SIGKILL');
      } catch {
        // Gone meanwhile.
      }
    }
  }

  /** Whether the kernel has ended something in it for want of memory. */
  ranOut(): boolean {
    return /^oom_kill [1-9]/m.test(text(this.#directory, 'memory.events'));
  }

  /** Waits until it is empty, killing what appears in it, and takes it away. */
  async remove(): Promise<void> {
    for (let look = 0; look < MOST_LOOKS && this.#isPopulated(); look++) {
      this.kill();
      await new Promise((resolve) => { setTimeout(resolve, 5); });
    }
    for (const directory of this.#all().reverse()) removeEmpty(directory);
    // The last one of the fleet takes the fleet's away as well.
    removeEmpty(this.#above);
  }

  #isPopulated(): boolean {
    return /^populated 1/m.test(text(this.#directory, 'cgroup.events'));
  }

  /** Itself, then those below. */
  #all(directory = this.#directory): string[] {
    return [directory, ...directoriesIn(directory).flatMap((name) => this.#all(join(directory, name)))];
  }
}

/** The pid and start time of the Skyport that made a server's cgroup. */
function parentOf(name: string): [number, number] | undefined {
  const parent = /^(\d{1,10})-(\d{1,15})\./.exec(name);
  return parent === null ? undefined : [Number(parent[1]), Number(parent[2])];
}

/** Swap would let it grow past its limit; and half a server is none, so all of it ends together. */
function limitMemory(directory: string, bytes: number): boolean {
  put(directory, 'memory.swap.max', 0);
  put(directory, 'memory.oom.group', 1);
  return put(directory, 'memory.max', bytes);
}

function isController(name: string): name is Controller {
  return (CONTROLLERS as readonly string[]).includes(name);
}

/** Only into files that are there: the kernel makes them. */
function put(directory: string, file: string, value: string | number): boolean {
  try {
    const descriptor = openSync(join(directory, file), constants.O_WRONLY);
    try {
      writeSync(descriptor, `${value}\n`);
      return true;
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return false;
  }
}

function text(directory: string, file: string): string {
  try {
    return readFileSync(join(directory, file), 'utf8');
  } catch {
    return '';
  }
}

function words(directory: string, file: string): string[] {
  return text(directory, file).split(/\s+/).filter((word) => word !== '');
}

function directoriesIn(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch {
    return [];
  }
}

function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Gone, or still in use.
  }
}

/** proc(5): spaces and the like are written in octal. */
function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(parseInt(code, 8)));
}
