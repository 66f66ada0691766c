/**
 * Whether one process of a server answers slower than it used to: its pings and its creates of sessions, each
 * against its own first minutes.
 *
 * The rule, which would rather miss a drift than see one where there is none:
 *
 *   first    the median of the samples of its first 3 minutes; of more time until there are enough of them. It stays.
 *   recent   the median of the latest samples that are not older than a few minutes, if there are enough of them.
 *   factor   recent / first, the larger of the two kinds. Both are at least the kind's floor: 0.2 ms that have
 *            become 0.6 ms are as good as ever, and a create of 200 ms is no slow one.
 *
 * Of each sample the time is taken off in which Skyport itself was at work: an answer that lay unread for it is no
 * slow one. A median does not mind the odd slow answer, and a burst of them is forgotten when it has passed. What
 * makes all servers slow at the same time is seen by who compares them (proxy/recycling.ts).
 */
import { performance } from 'node:perf_hooks';

interface Kind {
  /** Below this nothing is slow, ms. */
  readonly floor: number;
  /** Samples without which there is no first, or no recent median. */
  readonly first: number;
  readonly recent: number;
  /** Of how many the recent median is at most, and how old they may be, ms. */
  readonly kept: number;
  readonly span: number;
}

const PING: Kind = { floor: 50, first: 10, recent: 8, kept: 15, span: 180_000 };
const CREATE: Kind = { floor: 250, first: 5, recent: 5, kept: 15, span: 900_000 };

/** How long a process counts as fresh, ms. */
const FIRST_MINUTES = 180_000;

/** Samples of the first minutes that are kept. */
const MOST_FIRST = 200;

/** Measures one answer's time; the time in which Skyport was at work is not in it. */
export class Stopwatch {
  private readonly since = performance.now();
  private readonly work = performance.eventLoopUtilization();

  /** Milliseconds since it was made. */
  read(): number {
    const { active } = performance.eventLoopUtilization(this.work);
    return Math.max(0, performance.now() - this.since - active);
  }
}

/** One kind of answer of one process. */
class Series {
  private readonly early: number[] = [];
  private late: { readonly at: number; readonly ms: number }[] = [];
  private base: number | undefined;

  constructor(private readonly kind: Kind) {}

  add(now: number, age: number, ms: number): void {
    this.late.push({ at: now, ms });
    if (this.late.length > this.kind.kept) this.late.shift();
    if (this.base !== undefined) return;
    this.early.push(ms);
    if (this.early.length < this.kind.first || (age < FIRST_MINUTES && this.early.length < MOST_FIRST)) return;
    this.base = median(this.early);
    this.early.length = 0;
  }

  /** The recent median; undefined when too little happened of late. */
  recent(now: number): number | undefined {
    const late = this.late.filter(({ at }) => now - at <= this.kind.span);
    return late.length < this.kind.recent ? undefined : median(late.map(({ ms }) => ms));
  }

  factor(now: number): number | undefined {
    const recent = this.recent(now);
    if (recent === undefined || this.base === undefined) return undefined;
    return Math.max(recent, this.kind.floor) / Math.max(this.base, this.kind.floor);
  }
}

/** Times are of the monotonic clock, milliseconds. */
export class Latency {
  private startedAt: number | undefined;
  private pings = new Series(PING);
  private creates = new Series(CREATE);

  /** Another process is behind the name: what is known of the one before says nothing about it. */
  restarted(now: number): void {
    this.startedAt = now;
    this.pings = new Series(PING);
    this.creates = new Series(CREATE);
  }

  /** A ping was answered after so many milliseconds, or given up. */
  ping(now: number, ms: number): void {
    this.pings.add(now, this.age(now), ms);
  }

  /** The same of a new session. */
  create(now: number, ms: number): void {
    this.creates.add(now, this.age(now), ms);
  }

  pingMs(now: number): number | undefined {
    return this.pings.recent(now);
  }

  createMs(now: number): number | undefined {
    return this.creates.recent(now);
  }

  /** How many times slower than at first; undefined while too little is known, 1 or less when it is none. */
  factor(now: number): number | undefined {
    const factors = [this.pings.factor(now), this.creates.factor(now)].filter((one) => one !== undefined);
    return factors.length === 0 ? undefined : Math.max(...factors);
  }

  /** For `skyport status`. */
  report(now: number): { pingMs?: number; createMs?: number; factor?: number } {
    return { pingMs: this.pingMs(now), createMs: this.createMs(now), factor: this.factor(now) };
  }

  private age(now: number): number {
    this.startedAt ??= now;
    return now - this.startedAt;
  }
}

/** @param values not empty */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A drift counts when it has lasted so long, ms. */
const LASTING = 60_000;

/** From this median factor of all servers on, the machine is slow and not a server, for so long at most, ms. */
const COMMON = 1.5;
const COMMON_AT_MOST = 600_000;

/** With fewer servers there is nothing to compare one with. */
const COMPARED = 3;

/** A look that comes this late was held up by what holds up everything, ms. */
const LATE = 5_000;

/**
 * Tells the servers that have become slow from those that are slow because the whole machine is: of three or
 * more, each one's factor is divided by the median of all, and what is left must be too much for a minute without
 * a break. When all are slow for ten minutes it is taken for what all of them have in common, their age: they
 * count as slow then, and since each fresh process is measured against its own first minutes, each is replaced
 * once at most for it.
 */
export class Drifts {
  private readonly since = new Map<string, number>();
  private commonSince: number | undefined;
  private lookedAt: number | undefined;

  /**
   * To be called every second or so.
   * @param factors of all processes of which one is known
   * @returns those that are past the limit, and how far
   */
  look(now: number, factors: ReadonlyMap<string, number>, limit: number): Map<string, number> {
    if (now - (this.lookedAt ?? now) > LATE) this.since.clear();
    this.lookedAt = now;
    for (const key of this.since.keys()) if (!factors.has(key)) this.since.delete(key);
    const common = this.common(now, [...factors.values()]);
    const slow = new Map<string, number>();
    for (const [key, factor] of factors) {
      const own = factor / common;
      if (own < limit) {
        this.since.delete(key);
        continue;
      }
      const since = this.since.get(key) ?? now;
      this.since.set(key, since);
      if (now - since >= LASTING) slow.set(key, own);
    }
    return slow;
  }

  private common(now: number, factors: readonly number[]): number {
    const middle = factors.length < COMPARED ? 1 : median(factors);
    if (middle < COMMON) {
      this.commonSince = undefined;
      return Math.max(1, middle);
    }
    this.commonSince ??= now;
    return now - this.commonSince < COMMON_AT_MOST ? middle : 1;
  }
}
