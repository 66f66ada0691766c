/** One variable of other processes' environments, as they were when those processes began. */
import { spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { Owner } from './owner.js';

/**
 * @returns undefined where it is not set, or the process is gone
 * @throws when this process has no descriptors left to look with
 */
export async function environmentValue(pid: number, variable: string): Promise<{ readonly text: string } | 'denied' | undefined> {
  let environment: string;
  try {
    environment = await readFile(`/proc/${pid}/environ`, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EMFILE' || code === 'ENFILE') throw error;
    return code === 'EACCES' || code === 'EPERM' ? 'denied' : undefined;
  }
  const at = `\0${environment}`.indexOf(`\0${variable}=`);
  if (at < 0) return undefined;
  const from = at + variable.length + 1;
  const to = environment.indexOf('\0', from);
  return { text: environment.slice(from, to < 0 ? undefined : to) };
}

/** Prints `<pid> <pid namespace> <value>` for each pid that it is given. */
const LOOK = `for pid; do
  value=$(tr '\\0' '\\n' <"/proc/$pid/environ" | sed -n "s/^$VARIABLE=//p" | head -n 1)
  printf '%s %s %s\\n' "$pid" "$(readlink "/proc/$pid/ns/pid")" "$value"
done`;
const LOOK_TIMEOUT = 5_000;
const MOST_OUTPUT = 1024 * 1024;

/**
 * The same for processes of another user, read by a process of that user: without CAP_SYS_PTRACE even
 * root may not; that uid and gid are the same as theirs is enough. What it says is believed of that user's own processes only.
 * @param namespace of the processes that are meant
 * @returns by pid; fewer where something goes wrong
 */
export function environmentValuesAs(
  { uid, gid }: Owner, pids: readonly number[], variable: string, namespace: string | undefined,
): Promise<ReadonlyMap<number, string>> {
  const values = new Map<number, string>();
  if (uid === process.geteuid?.() || pids.length === 0) return Promise.resolve(values);
  return new Promise((resolve) => {
    const child = spawn('/bin/sh', ['-c', LOOK, 'look', ...pids.map(String)], {
      uid, gid, cwd: '/', env: { PATH: '/usr/bin:/bin', VARIABLE: variable },
      stdio: ['ignore', 'pipe', 'ignore'], timeout: LOOK_TIMEOUT, killSignal: 'SIGKILL',
    });
    let output = '';
    (child.stdout as Readable | undefined)?.on('data', (chunk: Buffer) => {
      if (output.length < MOST_OUTPUT) output += chunk.toString('latin1');
    });
    const wanted = new Set(pids);
    const done = (): void => {
      for (const line of output.split('\n')) {
        const [, pid, found, value] = /^(\d+) (\S+) (.+)$/.exec(line) ?? [];
        if (wanted.has(Number(pid)) && found === namespace && value !== undefined) values.set(Number(pid), value);
      }
      resolve(values);
    };
    child.on('error', done);
    child.on('close', done);
  });
}

/** @returns undefined where it cannot be told */
export function pidNamespace(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
}
