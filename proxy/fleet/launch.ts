/**
 * The start of a server's process: what it needs is read and made first, and what it is confined by is
 * in force before it runs its first instruction.
 *
 *   its environment is read (secrets.ts) ─▶ its directories are made, given to it, and reachable
 *   (owner.ts, passage.ts) ─▶ its cgroup is made (cgroup.ts) ─▶ a shell is started in a session of its
 *   own, as the server's user ─▶ the cgroup has it ─▶ the gate opens: it takes its limits upon itself
 *   (confinement.ts) and becomes the server
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, lstatSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Writable } from 'node:stream';
import { Cgroups, type ServerCgroup } from './cgroup.js';
import { confinementTrouble, findProgram, GATE, gatedCommand, needsShell, ownerOf } from './confinement.js';
import { privateTemporary, serverEnvironment, serverHome } from './environment.js';
import { formatMarker, MARKER_VARIABLE } from './marker.js';
import { prepareDirectory, PRIVATE, type Owner } from './owner.js';
import { blockedAt, letThrough, programBlockedAt } from './passage.js';
import { SERVER_ARGUMENTS } from './runtime.js';
import { readEnvironment } from './secrets.js';
import type { ServerSpec } from './server.js';

export interface Preparation {
  /** All of it; secrets are in it. */
  readonly environment: Readonly<Record<string, string>>;
  /** What the configuration has given of it. */
  readonly configured: Readonly<Record<string, string>>;
  /** The program, with a slash in it where a shell is to find it, and all its arguments. */
  readonly command: readonly string[];
}

export interface Launch {
  readonly child: ChildProcess;
  /** Left out where it has none. */
  readonly cgroup?: ServerCgroup;
}

export interface Failure {
  /** For people; without secrets. */
  readonly failure: string;
}

/**
 * All that takes time, or may fail in ways that an operator can mend.
 * @param token the server's connection token
 * @param signal ends it early; it gives a failure then
 */
export async function prepare(spec: ServerSpec, token: string, signal: AbortSignal): Promise<Preparation | Failure> {
  const trouble = spec.confinement && confinementTrouble(spec.confinement);
  if (trouble !== undefined) return { failure: trouble };
  const owner = ownerOf(spec.confinement);
  const marker = formatMarker(spec.marker);
  const read = await readEnvironment(spec.env, { mark: { [MARKER_VARIABLE]: marker }, signal });
  if ('failure' in read) return read;
  const environment = serverEnvironment(process.env, read.values, {
    directory: spec.directory, token, marker, confined: owner !== undefined,
  });
  try {
    await makeDirectories(spec, owner);
    const found = lookUp(spec, environment['PATH']);
    if ('missing' in found) return { failure: found.missing };
    const { program } = found;
    const blocked = owner && wayTrouble(spec, program, owner);
    if (blocked !== undefined) return { failure: blocked };
    if (signal.aborted) return { failure: 'the start was cancelled' };
    return { environment, configured: read.values, command: [program, ...spec.command.slice(1), ...SERVER_ARGUMENTS] };
  } catch (error) {
    return { failure: (error as Error).message };
  }
}

/** The shell that becomes the server would say it less clearly. */
function lookUp({ command, workingDirectory, directory }: ServerSpec, path: string | undefined): ReturnType<typeof findProgram> {
  return process.platform === 'win32' ? { program: command[0]! } : findProgram(command[0]!, path, workingDirectory ?? directory);
}

async function makeDirectories({ directory, workingDirectory }: ServerSpec, owner: Owner | undefined): Promise<void> {
  const servers = dirname(directory);
  const keeper = owner ?? formerlyConfined(directory);
  if (keeper === undefined) {
    await mkdir(serverHome(directory), { recursive: true, mode: PRIVATE });
  } else {
    await prepareDirectory(servers, serverHome(directory), keeper);
    await prepareDirectory(servers, privateTemporary(directory), keeper);
  }
  if (workingDirectory !== undefined) await mkdir(workingDirectory, { recursive: true });
  if (owner === undefined) return;
  letThrough(dirname(servers), owner);
  letThrough(servers, owner);
}

/** A home of a user whose uid was taken out of the configuration is taken back. */
function formerlyConfined(directory: string): Owner | undefined {
  if (process.platform !== 'linux' || process.geteuid?.() !== 0) return undefined;
  const own = { uid: process.geteuid(), gid: process.getegid!() };
  const found = lstatSync(directory, { throwIfNoEntry: false });
  return found === undefined || found.uid === own.uid ? undefined : own;
}

function wayTrouble({ directory, workingDirectory }: ServerSpec, program: string, owner: Owner): string | undefined {
  for (const place of [directory, ...(workingDirectory === undefined ? [] : [workingDirectory])]) {
    const blocked = blockedAt(place, owner);
    if (blocked !== undefined) return `uid ${owner.uid} cannot get to ${place}: ${advice(blocked)}`;
  }
  const blocked = programBlockedAt(program, owner);
  if (blocked === undefined) return undefined;
  return blocked === program ? `uid ${owner.uid} may not run ${program}` : `uid ${owner.uid} cannot get to ${program}: ${advice(blocked)}`;
}

function advice(blocked: string): string {
  return `${blocked} does not let others through; allow it (chmod o+x ${blocked}), or use another place`;
}

/**
 * Starts the process. It is told apart by its first line whether it works.
 * @throws Error when it cannot be started, unless `child` emits that
 */
export function launch(spec: ServerSpec, { environment, command }: Preparation): Launch {
  const confinement = spec.confinement ?? { limits: {} };
  const made = process.platform === 'linux' ? Cgroups.ofThisProcess(spec.marker.fleet)?.make(spec.marker, confinement.limits) : undefined;
  const bounded = made?.bounded ?? NONE;
  const gated = needsShell(confinement, bounded) || (made !== undefined && existsSync('/bin/sh'));
  try {
    const [program, ...rest] = gated ? gatedCommand(command, confinement, bounded) : command;
    const child = spawn(program!, rest, {
      cwd: spec.workingDirectory ?? spec.directory,
      env: environment,
      // The last one is the gate.
      stdio: ['ignore', 'pipe', 'pipe', ...(gated ? ['pipe' as const] : [])],
      detached: true,
      windowsHide: true,
      ...ownerOf(spec.confinement),
    });
    // Without descriptors there is a child that has no streams, and an error later.
    const gate = gated ? child.stdio?.[GATE] as Writable | undefined : undefined;
    gate?.on('error', () => {});
    const inside = child.pid !== undefined && made?.cgroup.add(child.pid);
    // One that is not in the cgroup that is to bound it must not run; without its line the shell ends.
    gate?.end(inside === false && bounded.size > 0 ? '' : '\n');
    if (made !== undefined && !inside) void made.cgroup.remove();
    return { child, ...(inside ? { cgroup: made!.cgroup } : {}) };
  } catch (error) {
    void made?.cgroup.remove();
    throw error;
  }
}

const NONE: ReadonlySet<string> = new Set();

/** Who escaped with a pipe in hand must not keep it open on this side. */
export function closePipes(child: ChildProcess): void {
  for (const stream of child.stdio ?? []) stream?.destroy();
}
