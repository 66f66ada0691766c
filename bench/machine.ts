/** What the operating system says: CPU time and memory of processes, and how busy the machine is. */
import { readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';

const TICK_NS = 1e7;

/** A process and all that it has started, by their ids. */
export function family(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const fields = statOf(Number(name));
    if (!fields) continue;
    const parent = Number(fields[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const all = [pid];
  for (const one of all) all.push(...(children.get(one) ?? []));
  return all;
}

/** Nanoseconds of CPU time that the processes have used, all their threads. */
export function cpuOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuOfOne(pid), 0);
}

/** Bytes of memory of the processes; what they share is counted once. */
export function memoryOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const kib = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1];
    return sum + Number(kib ?? 0) * 1024;
  }, 0);
}

/** The scheduler's own count where the kernel keeps it; else utime and stime, in hundredths of a second. */
function cpuOfOne(pid: number): number {
  try {
    const tasks = `/proc/${pid}/task`;
    return readdirSync(tasks).reduce((sum, task) => sum + Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]), 0);
  } catch {
    const fields = statOf(pid);
    return fields ? (Number(fields[11]) + Number(fields[12])) * TICK_NS : 0;
  }
}

/** Fields of /proc/<pid>/stat from the state on. */
function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

export interface Busy {
  /** Nanoseconds, of all cores. */
  readonly total: number;
  readonly idle: number;
  readonly stolen: number;
}

export function busy(): Busy {
  const [user, nice, system, idle, wait, irq, soft, stolen] = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))![1]!.split(' ').map((ticks) => Number(ticks) * TICK_NS);
  const total = user! + nice! + system! + idle! + wait! + irq! + soft! + stolen!;
  return { total, idle: idle! + wait!, stolen: stolen! };
}

export interface MachineFacts {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
}

/** The machine in words that name neither it nor its owner. */
export function machineFacts(): MachineFacts {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.cpus().length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    kernel: `${os.type()} ${os.release().split('-')[0]!}`,
    node: process.version,
  };
}

export function load(): number {
  return os.loadavg()[0]!;
}
