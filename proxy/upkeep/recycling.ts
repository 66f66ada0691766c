/**
 * Replaces managed servers that have used too much, run too long or become slow (`fleet.recycle`), and those that
 * were started with what the configuration does not say any more. The janitor calls it.
 *
 *   renew() ──▶ a successor starts ──it listens──▶ the older run is drained ──retired, successor is up──▶ done
 *                     │ it does not                       │ past twice `rss`             │ it does not come up
 *                     ▼                                   ▼                              ▼
 *                   failed                      killed: turns go on elsewhere          failed
 *
 * At most `at_once` are under way over all servers, the worst ones first. A new configuration is tried with one
 * server; when that fails, the others keep theirs until the configuration changes again. What is past a threshold
 * soon after its start is replaced less and less often: that threshold is too low.
 *
 * A run that is drained may take as long as its last turn does. Only memory ends it.
 */
import { Drifts } from '../backends/latency.js';
import { channels, type RecycleReason } from '../channels.js';
import type { Recyclable, RecyclableServers } from './recyclable.js';
import type { RecycleLimits } from './recycle-limits.js';

interface Cause {
  readonly reason: RecycleReason;
  /** For people. */
  readonly detail: string;
  /** How many times the threshold it is. */
  readonly excess: number;
}

/** From `renew` until the run that it replaces is gone. */
interface Renewal {
  readonly run: number;
  readonly pid: number | undefined;
  readonly cause: Cause;
  readonly begunAt: number;
  /** What the successor is started with. */
  readonly outfit: string;
  /** When a fresh process had the name. */
  startedAt: number | undefined;
  failed: boolean;
  killed: boolean;
}

/** What is remembered of a name. */
interface Memory {
  run: number | undefined;
  /** Of this run, in [0, 1): so that a fleet which was started together is not replaced together. */
  jitter: number;
  /** How old this run was when it was first seen past a threshold. */
  overAge: number | undefined;
  /** Since when it has been past twice `rss`. */
  hugeSince: number | undefined;
  /** Runs in a row that were past a threshold soon after their start. */
  early: number;
  /** Renewals in a row that failed, and when the next one may be tried. */
  failures: number;
  pausedUntil: number;
}

/** Ages beyond which servers are replaced are spread over this share below the threshold. */
const AGE_SPREAD = 0.2;

/** Past so many times `rss` a server is killed that cannot be replaced in another way, after so long, ms. */
const HUGE = 2;
const HUGE_FOR = 10_000;

/** A successor that listens has to be up by then, ms. */
const UP_WITHIN = 60_000;

/** A run that lasts so long until it is past a threshold was not too small for it from the start, ms. */
const EARLY = 60_000;

/** Waits after an early, and after a failed renewal, ms; doubled each time. */
const FIRST_REST = 5_000;
const FIRST_PAUSE = 60_000;
const LONGEST_REST = 600_000;
const LONGEST_PAUSE = 3_600_000;

/** How often servers are looked at when nothing is under way, ms. */
const LOOK_EVERY = 1_000;

export class Recycling {
  private readonly drifts = new Drifts();
  private readonly underWay = new Map<string, Renewal>();
  private readonly memory = new Map<string, Memory>();
  private slow: ReadonlyMap<string, number> = new Map();
  /** A server was replaced by one of the newest configuration. */
  private proven = false;
  private stopped: string | undefined;
  private lookedAt = -Infinity;

  /** @param random uniform in [0, 1) */
  constructor(
    private limits: RecycleLimits,
    private readonly servers: RecyclableServers,
    private readonly random: () => number = Math.random,
  ) {}

  /** Why servers keep what they were started with, though the configuration says something else. */
  get rollOverStopped(): string | undefined {
    return this.stopped;
  }

  /** Why this process is being replaced; without `run`: why that of this name is. */
  reason(name: string, run?: number): string | undefined {
    const renewal = this.underWay.get(name);
    return renewal && (run === undefined || renewal.run === run) ? renewal.cause.detail : undefined;
  }

  /** The processes whose usage has to be known. */
  watched(): { name: string; run: number; pid: number }[] {
    const runs = this.servers.list().map(({ name, run, pid }) => ({ name, run, pid }));
    for (const [name, { run, pid }] of this.underWay) if (!runs.some((one) => one.name === name && one.run === run)) runs.push({ name, run, pid });
    return runs.flatMap(({ name, run, pid }) => (run === undefined || pid === undefined ? [] : [{ name, run, pid }]));
  }

  /** The configuration as it is now. */
  update(limits: RecycleLimits): void {
    const isNew = limits.outfit !== this.limits.outfit;
    this.limits = limits;
    if (!isNew) return;
    this.proven = false;
    for (const memory of this.memory.values()) Object.assign(memory, { failures: 0, pausedUntil: 0 });
    if (this.stopped === undefined) return;
    this.stopped = undefined;
    channels.rollOver.publish({ stopped: false });
  }

  /** Janitor: looks at what is under way, then for servers to replace. @param now of the monotonic clock, milliseconds */
  tick(now: number): void {
    if (this.underWay.size === 0 && now - this.lookedAt < LOOK_EVERY) return;
    this.lookedAt = now;
    const servers = new Map(this.servers.list().map((server) => [server.name, server]));
    for (const name of this.memory.keys()) if (!servers.has(name)) this.memory.delete(name);
    for (const server of servers.values()) this.remember(server);
    for (const [name, renewal] of [...this.underWay]) this.follow(name, renewal, servers.get(name), now);
    this.compare(now, servers);
    this.begin(now, [...servers.values()]);
  }

  private remember({ name, run }: Recyclable): void {
    const known = this.memory.get(name);
    if (known && (run === undefined || known.run === run)) return;
    const fresh = { run, jitter: this.random(), overAge: undefined, hugeSince: undefined };
    this.memory.set(name, { early: 0, failures: 0, pausedUntil: 0, ...known, ...fresh });
  }

  private follow(name: string, renewal: Renewal, server: Recyclable | undefined, now: number): void {
    if (!server) {
      this.underWay.delete(name);
      return;
    }
    if (server.run === renewal.run) {
      if (!server.renewing) this.fail(name, renewal, server.renewFailed, now);
      return;
    }
    if (renewal.startedAt === undefined) {
      renewal.startedAt = now;
      this.tell(name, renewal, 'started', now);
    }
    if (server.renewing) this.endHuge(name, renewal, now);
    if (server.up) {
      if (!server.renewing) this.complete(name, renewal, now);
    } else if (!renewal.failed && (server.trouble !== undefined || now - renewal.startedAt >= UP_WITHIN)) {
      this.fail(name, renewal, server.trouble ?? 'it started, but does not come up', now);
    } else if (renewal.failed && !server.renewing) {
      this.underWay.delete(name);
    }
  }

  private complete(name: string, renewal: Renewal, now: number): void {
    this.underWay.delete(name);
    if (renewal.failed) return;
    this.memory.get(name)!.failures = 0;
    this.proven ||= renewal.outfit === this.limits.outfit;
    this.tell(name, renewal, 'done', now);
  }

  /** @param trouble with the new server, as far as it is that */
  private fail(name: string, renewal: Renewal, trouble: string | undefined, now: number): void {
    const memory = this.memory.get(name)!;
    memory.pausedUntil = now + Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** memory.failures);
    memory.failures++;
    renewal.failed = true;
    // While the run before is still there it counts as under way.
    if (renewal.startedAt === undefined) this.underWay.delete(name);
    this.tell(name, renewal, 'failed', now, trouble);
    if (renewal.cause.reason !== 'config' || renewal.outfit !== this.limits.outfit || trouble === undefined || this.stopped !== undefined) return;
    this.stopped = `${name} does not start as the configuration says now: ${trouble}`;
    channels.rollOver.publish({ stopped: true, backend: name, reason: trouble });
  }

  /** Ends a run that is drained, and uses more and more. */
  private endHuge(name: string, renewal: Renewal, now: number): void {
    const cause = this.huge(name, renewal.run);
    if (!cause || renewal.killed || now - renewal.startedAt! < HUGE_FOR) return;
    renewal.killed = true;
    this.kill(name, renewal.run, cause);
  }

  private compare(now: number, servers: ReadonlyMap<string, Recyclable>): void {
    const { latencyFactor: limit } = this.limits;
    const factors = new Map<string, number>();
    for (const { name, run, up } of servers.values()) {
      const factor = up && run !== undefined ? this.servers.latencyFactor(name) : undefined;
      if (factor !== undefined) factors.set(`${name}/${run}`, factor);
    }
    this.slow = limit === undefined ? new Map() : this.drifts.look(now, factors, limit);
  }

  private begin(now: number, servers: readonly Recyclable[]): void {
    const due: { readonly server: Recyclable; readonly cause: Cause }[] = [];
    for (const server of servers) {
      if (!server.up || server.renewing || this.underWay.has(server.name)) continue;
      const cause = this.causeOf(server);
      if (cause) due.push({ server, cause });
      if (cause && cause.reason !== 'config') this.seenOver(server);
    }
    // A spare goes first for a new configuration: it has nothing to lose.
    due.sort((a, b) => b.cause.excess - a.cause.excess || Number(b.server.spare) - Number(a.server.spare));
    for (const { server, cause } of due) this.replace(server, cause, now);
  }

  private replace(server: Recyclable, cause: Cause, now: number): void {
    const { name, run } = server;
    const memory = this.memory.get(name)!;
    if (this.underWay.size >= this.limits.atOnce) return this.endWaiting(server, memory, now);
    const isConfig = cause.reason === 'config';
    if (!server.free || now < memory.pausedUntil || (isConfig ? this.isOnTrial : this.rests(server, memory))) return;
    if (!this.servers.renew(name, cause.detail)) return;
    const renewal: Renewal = { run: run!, pid: server.pid, cause, begunAt: now, outfit: this.limits.outfit, startedAt: undefined, failed: false, killed: false };
    this.underWay.set(name, renewal);
    this.tell(name, renewal, 'begun', now);
  }

  /** There is no room for its renewal, and it cannot wait for some. */
  private endWaiting({ name, run }: Recyclable, memory: Memory, now: number): void {
    const cause = this.huge(name, run!);
    memory.hugeSince = cause ? (memory.hugeSince ?? now) : undefined;
    // What would be started in its place may not start.
    if (!cause || now - memory.hugeSince! < HUGE_FOR || this.stopped !== undefined || memory.failures > 0) return;
    memory.hugeSince = undefined;
    this.kill(name, run!, cause);
  }

  private seenOver({ name, age }: Recyclable): void {
    const memory = this.memory.get(name)!;
    if (memory.overAge !== undefined) return;
    memory.overAge = age;
    memory.early = age < EARLY ? memory.early + 1 : 0;
  }

  /** Whether the runs of this name were past a threshold so soon, and so often, that this one has to bear it for a while. */
  private rests({ age }: Recyclable, { early }: Memory): boolean {
    return early > 1 && age < Math.min(LONGEST_REST, FIRST_REST * 2 ** (early - 2));
  }

  /** One server shows whether the configuration is any good. */
  private get isOnTrial(): boolean {
    return !this.proven && [...this.underWay.values()].some(({ cause }) => cause.reason === 'config');
  }

  /** The worst of what speaks for its replacement. */
  private causeOf({ name, run, age, outdated }: Recyclable): Cause | undefined {
    const { limits } = this;
    const usage = this.servers.usage(name, run!);
    const aged = limits.age === undefined ? undefined : limits.age * (1 - AGE_SPREAD * this.memory.get(name)!.jitter);
    const causes: Cause[] = [];
    const measure = (reason: RecycleReason, value: number | undefined, limit: number | undefined, text: (value: number) => string = String): void => {
      if (value === undefined || limit === undefined || value < limit) return;
      causes.push({ reason, excess: value / limit, detail: `${reason} is ${text(value)}, the limit ${text(limit)}` });
    };
    measure('rss', usage?.rss, limits.rss, mebibytes);
    measure('open_files', usage?.openFiles, limits.openFiles);
    measure('children', usage?.children, limits.children);
    measure('age', age, aged, seconds);
    measure('latency', this.slow.get(`${name}/${run}`), limits.latencyFactor, (factor) => `${factor.toFixed(1)} times that of its first minutes`);
    if (outdated && this.stopped === undefined) causes.push({ reason: 'config', excess: 0, detail: 'the configuration has changed' });
    return causes.sort((a, b) => b.excess - a.excess)[0];
  }

  private huge(name: string, run: number): Cause | undefined {
    const limit = (this.limits.rss ?? Infinity) * HUGE;
    const rss = this.servers.usage(name, run)?.rss ?? 0;
    if (rss < limit || !this.servers.recovers) return undefined;
    return { reason: 'memory', excess: rss / limit, detail: `rss is ${mebibytes(rss)}, the limit ${mebibytes(limit / HUGE)}` };
  }

  private kill(name: string, run: number, { reason, detail }: Cause): void {
    channels.backendRecycle.publish({ backend: name, run, reason, step: 'killed', detail });
    this.servers.kill(name, run, detail);
  }

  private tell(backend: string, { run, cause, begunAt }: Renewal, step: 'begun' | 'started' | 'done' | 'failed', now: number, trouble?: string): void {
    const detail = trouble === undefined ? cause.detail : `${cause.detail}; ${trouble}`;
    channels.backendRecycle.publish({ backend, run, reason: cause.reason, step, detail, durationMs: now - begunAt });
  }
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
