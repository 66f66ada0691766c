/**
 * What managed servers use: memory, open files, child processes, processor time; from /proc. Elsewhere,
 * and for a server that is gone, nothing is known.
 *
 * One pass over the process table serves all servers, and runs in slices, so that the event loop is never
 * held up for long. To a server belong
 *
 *   - its descendants, by the chain of parents,
 *   - whoever is in its session or process group,
 *   - whoever is in a session that a descendant was in at an earlier pass: the shells of a server's tools lead
 *     sessions of their own, and what they leave behind has init as its parent.
 *
 * What starts a new session and loses its parent between two passes is not counted; orphans.ts finds it by its
 * marker when the server ends. (Reading every process's environment would make a pass cost ten times as much:
 * 9 ms and 100 ms with 200 servers and 600 processes.)
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { endianness } from 'node:os';
import { join } from 'node:path';

export interface Run {
  readonly name: string;
  /** Which of the processes that the name has had. */
  readonly run: number;
  readonly pid: number;
}

export interface Usage {
  /** Resident memory of the server and all that it has started, bytes; what they share counts for each. */
  readonly rss: number;
  /** Of the server itself; undefined where that may not be looked at. */
  readonly openFiles: number | undefined;
  /** Processes that it has started and that still run. */
  readonly children: number;
  /** Of the server and of all that it has started: what those that have ended have used stays in it. Milliseconds. */
  readonly cpuMs: number;
  /** Milliseconds since the server's process began. */
  readonly age: number;
  /** When this was looked at; unix time in ms. */
  readonly at: number;
}

interface Seen {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Clock ticks, with those of its children that it has waited for. */
  readonly cpu: number;
  /** Clock ticks since boot. */
  readonly start: number;
  /** Pages. */
  readonly rss: number;
}

/** What is known of one run between two passes. */
interface Account {
  readonly usage: Usage;
  /** That it and its descendants are in. */
  readonly sessions: ReadonlySet<number>;
  /** Clock ticks. */
  readonly cpu: number;
}

/** Processes that are looked at before the event loop has its turn. */
const SLICE = 32;

export class UsageBook {
  private accounts: ReadonlyMap<string, Account> = new Map();
  private latest: ReadonlyMap<string, string> = new Map();
  private readonly units: { readonly tick: number; readonly page: number };
  private readonly buffer = Buffer.alloc(4096);
  private passing: Promise<void> | undefined;

  /** @param proc where the process table is mounted */
  constructor(private readonly proc = '/proc') {
    this.units = unitsOf(proc);
  }

  /** What a server used at the last pass. Without `run` that of its latest one. */
  of(name: string, run?: number): Usage | undefined {
    const key = run === undefined ? this.latest.get(name) : keyOf(name, run);
    return key === undefined ? undefined : this.accounts.get(key)?.usage;
  }

  /**
   * Looks at these servers, and forgets all others. A pass that is still under way is waited for instead.
   * @returns when all that it gave is in the book
   */
  sample(runs: readonly Run[]): Promise<void> {
    this.passing ??= this.pass(runs).finally(() => { this.passing = undefined; });
    return this.passing;
  }

  private async pass(runs: readonly Run[]): Promise<void> {
    const accounts = new Map<string, Account>();
    const latest = new Map<string, Run>();
    const uptime = runs.length > 0 ? this.uptime() : undefined;
    const table = uptime === undefined ? new Map<number, Seen>() : await this.table();
    const owners = this.ownersOf(runs, table);
    const found = new Map<string, Seen[]>();
    for (const [pid, key] of owners) {
      const all = found.get(key);
      if (all) all.push(table.get(pid)!);
      else found.set(key, [table.get(pid)!]);
    }
    let looked = 0;
    for (const { name, run, pid } of runs) {
      const key = keyOf(name, run);
      const self = table.get(pid);
      if (self && uptime !== undefined) {
        if (++looked % SLICE === 0) await turn();
        accounts.set(key, this.account(self, found.get(key) ?? [self], uptime, this.accounts.get(key)));
        if (run >= (latest.get(name)?.run ?? run)) latest.set(name, { name, run, pid });
      }
    }
    this.accounts = accounts;
    this.latest = new Map([...latest.values()].map((one) => [one.name, keyOf(one.name, one.run)]));
  }

  private account(self: Seen, all: readonly Seen[], uptime: number, before: Account | undefined): Account {
    const ms = (ticks: number): number => (ticks * 1000) / this.units.tick;
    // What a child has used is in its parent's sum once that has waited for it, else lost: the sum must not go down.
    const cpu = Math.max(before?.cpu ?? 0, sum(all, (one) => one.cpu));
    return {
      cpu,
      sessions: new Set(all.map(({ session }) => session)),
      usage: {
        rss: sum(all, (one) => one.rss) * this.units.page,
        openFiles: this.openFiles(self.pid),
        children: all.length - 1,
        cpuMs: ms(cpu),
        age: Math.max(0, uptime * 1000 - ms(self.start)),
        at: Date.now(),
      },
    };
  }

  /** Whose each process is, of those that are anybody's. */
  private ownersOf(runs: readonly Run[], table: ReadonlyMap<number, Seen>): Map<number, string> {
    const owners = new Map<number, string>();
    const places = new Map<number, string>();
    const servers = new Set(runs.map(({ pid }) => pid));
    for (const { name, run, pid } of runs) {
      const key = keyOf(name, run);
      if (table.has(pid)) owners.set(pid, key);
      places.set(pid, key);
      for (const session of this.accounts.get(key)?.sessions ?? []) places.set(session, key);
    }
    // Where a launcher did not make the server lead a session, it is in the one of whoever started it: that is nobody's.
    for (const { session, pid } of table.values()) if (servers.has(pid) && session !== pid) places.delete(session);
    const nobody = new Set<number>();
    for (const one of table.values()) {
      const chain: number[] = [];
      let owner: string | undefined;
      for (let at: Seen | undefined = one; at && !nobody.has(at.pid) && chain.length < table.size; at = table.get(at.parent)) {
        owner = owners.get(at.pid) ?? places.get(at.session) ?? places.get(at.group);
        if (owner !== undefined) break;
        chain.push(at.pid);
      }
      if (owner === undefined) for (const pid of chain) nobody.add(pid);
      else for (const pid of [one.pid, ...chain]) owners.set(pid, owner);
    }
    return owners;
  }

  private async table(): Promise<Map<number, Seen>> {
    const table = new Map<number, Seen>();
    let looked = 0;
    for (const entry of entriesOf(this.proc)) {
      const pid = Number(entry);
      if (!Number.isInteger(pid)) continue;
      if (++looked % SLICE === 0) await turn();
      const seen = this.look(pid);
      if (seen) table.set(pid, seen);
    }
    return table;
  }

  private look(pid: number): Seen | undefined {
    const text = this.read(`${this.proc}/${pid}/stat`);
    if (text === undefined) return undefined;
    // The name in parentheses may hold spaces and parentheses itself. Fields: proc(5), from the third on.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    const number = (at: number): number => Number(fields[at - 3]);
    return {
      pid, parent: number(4), group: number(5), session: number(6),
      cpu: number(14) + number(15) + number(16) + number(17), start: number(22), rss: number(24),
    };
  }

  private openFiles(pid: number): number | undefined {
    try {
      return readdirSync(`${this.proc}/${pid}/fd`).length;
    } catch {
      return undefined;
    }
  }

  /** Seconds. */
  private uptime(): number | undefined {
    const seconds = Number(this.read(join(this.proc, 'uptime'))?.split(' ')[0]);
    return Number.isFinite(seconds) ? seconds : undefined;
  }

  /** One buffer for all: a pass reads hundreds of these small files. */
  private read(file: string): string | undefined {
    let handle: number | undefined;
    try {
      handle = openSync(file, 'r');
      return this.buffer.toString('latin1', 0, readSync(handle, this.buffer, 0, this.buffer.length, 0));
    } catch {
      return undefined;
    } finally {
      if (handle !== undefined) closeSync(handle);
    }
  }
}

function keyOf(name: string, run: number): string {
  return `${name}/${run}`;
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function sum(all: readonly Seen[], read: (one: Seen) => number): number {
  return all.reduce((total, one) => total + read(one), 0);
}

function turn(): Promise<void> {
  return new Promise((resolve) => { setImmediate(resolve); });
}

const PAGE_SIZE = 6;
const CLOCK_TICKS = 17;

/** Ticks a second and bytes a page, as the kernel tells every process in its auxiliary vector; getauxval(3). */
function unitsOf(proc: string): { tick: number; page: number } {
  const units = { tick: 100, page: 4096 };
  try {
    const vector = readFileSync(join(proc, 'self', 'auxv'));
    const read = (at: number): number => Number(endianness() === 'LE' ? vector.readBigUInt64LE(at) : vector.readBigUInt64BE(at));
    for (let at = 0; at + 16 <= vector.length; at += 16) {
      if (read(at) === PAGE_SIZE) units.page = read(at + 8);
      if (read(at) === CLOCK_TICKS) units.tick = read(at + 8);
    }
  } catch {
    // The usual ones.
  }
  return units;
}
