/**
 * Processes and process groups as the kernel knows them. Reading them needs Linux's /proc; elsewhere
 * nothing is found, and only the process group of a server is ended with it.
 */
import { spawn } from 'node:child_process';
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { environmentValue, environmentValuesAs, pidNamespace } from './environ.js';
import type { Owner } from './owner.js';

export interface ProcessStat {
  readonly pid: number;
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Clock ticks since boot. With the pid it names a process for good. */
  readonly start: number;
}

/** @returns undefined for a process that does not exist, and where there is no /proc */
export function processStat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The name in parentheses may hold spaces and parentheses itself: proc(5).
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return {
    pid, state: fields[0]!, parent: Number(fields[1]), group: Number(fields[2]), session: Number(fields[3]),
    start: Number(fields[19]),
  };
}

/** Whether that very process, and not a later one with its pid, still runs. */
export function isAlive(pid: number, start: number): boolean {
  const found = processStat(pid);
  return found !== undefined && found.start === start && found.state !== 'Z' && found.state !== 'X';
}

/**
 * Sends a signal to a process group, or on Windows ends the process tree.
 * @param leader the pid of the group's leader; one that has been reaped is fine
 */
export function signalGroup(leader: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (process.platform === 'win32') {
    spawn('taskkill', ['/PID', String(leader), '/T', '/F'], { stdio: 'ignore' }).on('error', () => {});
    return;
  }
  try {
    process.kill(-leader, signal);
  } catch {
    // ESRCH: nobody is left.
  }
}

export interface MarkedProcess {
  readonly stat: ProcessStat;
  readonly value: string;
}

/** So many processes are looked at before others may run: some 20 µs each. */
const AT_A_TIME = 50;

/**
 * The processes in this pid namespace whose environment at their start had `variable`: this user's, or
 * everybody's where this process is root, since servers may run as other users. Nothing else of an
 * environment is kept. Left out: this process, its ancestors and its own session, which no server that
 * was started in a session of its own can be in.
 * @param users the uids that are worth a process to look with, where it takes one; all when left out
 * @throws when this process has no descriptors left to look with
 */
export async function processesWith(variable: string, users?: ReadonlySet<number>): Promise<MarkedProcess[]> {
  const self = processStat(process.pid);
  if (self === undefined && !existsSync('/proc/self')) return [];
  if (self === undefined) throw new Error('/proc cannot be read');
  const namespace = pidNamespace(process.pid);
  const never = ancestors(self);
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry)).map(Number);
  const found: MarkedProcess[] = [];
  /** By user: those whose environment this process may not read. */
  const closed = new Map<string, { owner: Owner; stats: ProcessStat[] }>();
  for (let from = 0; from < pids.length; from += AT_A_TIME) {
    const seen = pids.slice(from, from + AT_A_TIME).flatMap((pid) => {
      const known = never.has(pid) ? undefined : processStat(pid);
      const owner = known === undefined || isNoneOfOurs(known, self) ? undefined : ownerOf(pid);
      return owner === undefined ? [] : [{ known: known!, owner }];
    });
    const values = await Promise.all(seen.map(({ known }) => environmentValue(known.pid, variable)));
    for (const [index, value] of values.entries()) {
      const { known, owner } = seen[index]!;
      if (value === undefined) continue;
      const its = value === 'denied' ? undefined : pidNamespace(known.pid);
      if (value === 'denied' || its === undefined) {
        const key = `${owner.uid}:${owner.gid}`;
        closed.set(key, { owner, stats: [...closed.get(key)?.stats ?? [], known] });
      } else if (its === namespace) {
        found.push({ stat: known, value: value.text });
      }
    }
  }
  // Root without CAP_SYS_PTRACE, as in most containers: a process of that user may look.
  for (const { owner, stats } of closed.values()) {
    if (users !== undefined && !users.has(owner.uid)) continue;
    const values = await environmentValuesAs(owner, stats.map(({ pid }) => pid), variable, namespace);
    found.push(...stats.flatMap((stat) => (values.has(stat.pid) ? [{ stat, value: values.get(stat.pid)! }] : [])));
  }
  return found;
}

/** Zombies have nothing to read, and this session's are not servers'. */
function isNoneOfOurs(known: ProcessStat, self: ProcessStat): boolean {
  return known.state === 'Z' || known.state === 'X' || known.session === self.session;
}

/** @returns undefined for a process that is gone, or that this one could not signal */
function ownerOf(pid: number): Owner | undefined {
  const own = process.geteuid?.();
  try {
    const { uid, gid } = lstatSync(`/proc/${pid}`);
    return own === 0 || uid === own ? { uid, gid } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Kills one process, and its group, where both still are what was seen.
 * @returns whether there was anything to kill
 */
export function killSeen(seen: ProcessStat): boolean {
  if (!isAlive(seen.pid, seen.start)) return false;
  // Its group lies in the session that its server was started in, so it holds nobody else's processes.
  signalGroup(seen.group, 'SIGKILL');
  try {
    process.kill(seen.pid, 'SIGKILL');
  } catch {
    // Gone with its group.
  }
  return true;
}

function ancestors(self: ProcessStat): Set<number> {
  const chain = new Set<number>([1, self.pid]);
  for (let next = processStat(self.parent); next !== undefined && !chain.has(next.pid); next = processStat(next.parent)) {
    chain.add(next.pid);
  }
  return chain;
}
