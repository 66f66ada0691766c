/**
 * Processes and process groups as the kernel knows them. Reading them needs Linux's /proc; elsewhere
 * nothing is found, and only the process group of a server is ended with it.
 */
import { spawn } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';

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

/**
 * The processes of this user, in this pid namespace, whose environment at their start had `variable`.
 * Nothing else of an environment is kept. Left out: this process, its ancestors and its own session,
 * which no server that was started in a session of its own can be in.
 */
export async function processesWith(variable: string): Promise<{ readonly stat: ProcessStat; readonly value: string }[]> {
  let entries: string[];
  try {
    entries = await readdir('/proc');
  } catch {
    return [];
  }
  const self = processStat(process.pid);
  if (self === undefined) return [];
  const namespace = pidNamespace(process.pid);
  const never = ancestors(self);
  const found: { stat: ProcessStat; value: string }[] = [];
  for (const entry of entries) {
    if (!/^\d+$/.test(entry) || never.has(Number(entry))) continue;
    const known = processStat(Number(entry));
    if (known === undefined || known.state === 'Z' || known.session === self.session) continue;
    const value = await environmentValue(known.pid, variable);
    if (value !== undefined && pidNamespace(known.pid) === namespace) found.push({ stat: known, value });
  }
  return found;
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

async function environmentValue(pid: number, variable: string): Promise<string | undefined> {
  try {
    if ((await stat(`/proc/${pid}`)).uid !== process.getuid?.()) return undefined;
    const text = await readFile(`/proc/${pid}/environ`, 'latin1');
    const at = `\0${text}`.indexOf(`\0${variable}=`);
    if (at < 0) return undefined;
    const from = at + variable.length + 1;
    const to = text.indexOf('\0', from);
    return text.slice(from, to < 0 ? undefined : to);
  } catch {
    return undefined;
  }
}

function pidNamespace(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
}
