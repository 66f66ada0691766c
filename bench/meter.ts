/** What a round used: CPU time by process, and whether somebody else used the machine. */
import type { Bed } from './bed.js';
import { now } from './load/orders.js';
import { busy, cpuOf, family, load, type Busy } from './machine.js';

export interface Reading {
  /** Nanoseconds that the target used; 0 when nothing is between. */
  readonly targetCpu: number;
  /** Share of a core, of the target and of each process that makes the load. */
  readonly shares: { readonly [name: string]: number };
  /** Share of the machine that was idle, and that others used. */
  readonly idle: number;
  readonly others: number;
  readonly load: number;
  readonly ms: number;
}

/** Share of the machine that others may use before a round counts as disturbed. */
export const DISTURBED = 0.04;
/** Share of a core at which a process of the load is what holds the rest up. */
export const BOTTLENECK = 0.85;

export class Meter {
  private readonly groups: readonly (readonly [name: string, pids: readonly number[]])[];
  private readonly own: readonly number[];
  private readonly before: { readonly cpu: number[]; readonly own: number; readonly busy: Busy; readonly at: number };

  /** Begins to measure. @param beds whose targets are one */
  constructor(...beds: readonly Bed[]) {
    const loads = beds.flatMap((bed, i) => bed.loads.map(([name, pid]) => [i === 0 ? name : `${name} ${i + 1}`, [pid]] as const));
    this.groups = [['target', beds.flatMap(({ pid }) => (pid === undefined ? [] : family(pid)))], ...loads];
    this.own = family(process.pid);
    this.before = { cpu: this.groups.map(([, pids]) => cpuOf(pids)), own: cpuOf(this.own), busy: busy(), at: now() };
  }

  stop(): Reading {
    const ms = now() - this.before.at;
    const cpu = this.groups.map(([, pids], i) => cpuOf(pids) - this.before.cpu[i]!);
    const after = busy();
    const total = after.total - this.before.busy.total || 1;
    const idle = (after.idle - this.before.busy.idle) / total;
    const own = (cpuOf(this.own) - this.before.own) / total;
    return {
      targetCpu: cpu[0]!,
      shares: Object.fromEntries(this.groups.map(([name], i) => [name, cpu[i]! / 1e6 / ms])),
      idle, others: Math.max(0, 1 - idle - own), load: load(), ms,
    };
  }
}
