/**
 * What a managed server may be and use: a user of its own, and limits. A limit is kept by the
 * server's cgroup where that has the controller (cgroup.ts), else by the kernel's limits of each
 * process, which everything that it starts inherits:
 *
 *   openFiles   always RLIMIT_NOFILE: there is no controller for it
 *   memory      RLIMIT_DATA: heap and private mappings. Not RLIMIT_AS: address space that is only
 *               reserved counts there, and the runtime does not start with less than 128 MiB of it,
 *               programs on V8 not with less than gigabytes
 *   processes   RLIMIT_NPROC: counts all processes and threads of a uid, so only for a uid of its own
 *
 * They are set by a shell that becomes the server (Node has no call for them), at half a millisecond a
 * start; it waits until the server's cgroup has it, so that nothing runs outside.
 */
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { delimiter, isAbsolute, resolve, sep } from 'node:path';
import type { Owner } from './owner.js';

export interface Confinement {
  /** The server runs as this user, in no other groups than `gid`. */
  readonly uid?: number;
  /** The uid's number when left out. */
  readonly gid?: number;
  readonly limits: ResourceLimits;
}

export interface ResourceLimits {
  /** bytes */
  readonly memory?: number;
  /** Threads count too. */
  readonly processes?: number;
  /** Of each process. */
  readonly openFiles?: number;
}

/** The descriptor at which the shell waits for a line. */
export const GATE = 3;

/** Who a server runs as, if not as whom Skyport does. */
export function ownerOf(confinement: Confinement | undefined): Owner | undefined {
  return confinement?.uid === undefined ? undefined : { uid: confinement.uid, gid: confinement.gid ?? confinement.uid };
}

/** Who this process is, as far as it matters here. */
export interface Self {
  readonly platform: NodeJS.Platform;
  /** undefined on Windows */
  readonly uid: number | undefined;
}

export function thisProcess(): Self {
  return { platform: process.platform, uid: process.geteuid?.() };
}

/** @returns why a server cannot be confined so, for people */
export function confinementTrouble({ uid, limits }: Confinement, self: Self = thisProcess()): string | undefined {
  const limited = Object.values(limits).some((limit) => limit !== undefined);
  if (self.platform !== 'linux' && (limited || uid !== undefined)) return `limits and uids of servers need Linux, and this is ${self.platform}`;
  return uid === undefined ? undefined : uidTrouble(self);
}

/**
 * Whether servers with uids can be started here; for a check before anything is.
 * @param fleet `fleet` of the configuration
 * @returns why not, for people; undefined also when there are none
 */
export function uidsTrouble(
  fleet: { readonly uids?: object; readonly users: Readonly<Record<string, { readonly uid?: number }>> },
  self: Self = thisProcess(),
): string | undefined {
  const user = Object.keys(fleet.users).find((name) => fleet.users[name]?.uid !== undefined);
  if (fleet.uids === undefined && user === undefined) return undefined;
  const trouble = uidTrouble(self);
  return trouble && `${fleet.uids === undefined ? `fleet.users.${user}.uid` : 'fleet.uids'}: ${trouble}`;
}

function uidTrouble({ platform, uid }: Self): string | undefined {
  if (platform !== 'linux') return `limits and uids of servers need Linux, and this is ${platform}`;
  return uid === 0 ? undefined : `a server can have a uid of its own only when Skyport is root, and it is uid ${uid}`;
}

/**
 * A command that waits at GATE, takes limits upon itself and becomes `command`.
 * @param command its program with a slash in it
 * @param bounded those that the server's cgroup keeps
 */
export function gatedCommand(
  command: readonly string[],
  { uid, limits }: Confinement,
  bounded: ReadonlySet<string>,
  highest: Pick<ResourceLimits, 'openFiles' | 'processes'> = ownLimits(),
): readonly string[] {
  const steps = [`read -r _ <&${GATE} || exit 125`, `exec ${GATE}<&-`];
  if (limits.openFiles !== undefined) steps.push(`ulimit -n ${least(limits.openFiles, highest.openFiles)} || exit 125`);
  if (limits.memory !== undefined && !bounded.has('memory')) steps.push(`ulimit -d ${Math.floor(limits.memory / 1024)} || exit 125`);
  if (limits.processes !== undefined && uid !== undefined && !bounded.has('pids')) {
    const processes = least(limits.processes, highest.processes);
    // One name in bash and zsh, another one in dash and BusyBox; bash has a third meaning for that one.
    steps.push(`ulimit -u ${processes} 2>/dev/null || ulimit -p ${processes} || exit 125`);
  }
  return ['/bin/sh', '-c', [...steps, 'exec "$@"'].join('\n'), 'skyport', ...command];
}

/** Whether a limit is left for the shell to set. */
export function needsShell({ uid, limits }: Confinement, bounded: ReadonlySet<string>): boolean {
  return limits.openFiles !== undefined
    || (limits.memory !== undefined && !bounded.has('memory'))
    || (limits.processes !== undefined && uid !== undefined && !bounded.has('pids'));
}

/** What this process could not raise again for those it starts; a lower limit than the one asked for keeps that one too. */
export function ownLimits(text: string = readLimits()): Pick<ResourceLimits, 'openFiles' | 'processes'> {
  const hard = (name: string): number | undefined => {
    const value = new RegExp(`^${name}\\s+\\S+\\s+(\\d+)`, 'm').exec(text)?.[1];
    return value === undefined ? undefined : Number(value);
  };
  return { openFiles: hard('Max open files'), processes: hard('Max processes') };
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return '';
  }
}

function least(wanted: number, highest: number | undefined): number {
  return highest === undefined ? wanted : Math.min(wanted, highest);
}

/**
 * Finds a program as the kernel and the C library would, for commands that a shell runs.
 * @param path the PATH that it is started with
 * @param directory the one that it is started in
 * @returns an absolute path, or why there is none, in the words of `spawn`
 */
export function findProgram(program: string, path: string | undefined, directory: string): { readonly program: string } | { readonly missing: string } {
  const places = program.includes(sep) ? [resolve(directory, program)]
    : (path ?? '/usr/bin:/bin').split(delimiter).map((one) => resolve(directory, one, program));
  let code = 'ENOENT';
  for (const place of places) {
    try {
      accessSync(place, constants.X_OK);
      if (!statSync(place).isFile()) continue;
      return { program: isAbsolute(program) ? program : place };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EACCES') code = 'EACCES';
    }
  }
  return { missing: `spawn ${program} ${code}` };
}
