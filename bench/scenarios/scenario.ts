/** What is done with a target, and what is read off it. */
import type { Bed, BedOptions } from '../bed.js';
import type { Outcome } from '../load/crowd.js';
import { percentile, type Spread } from '../load/latencies.js';
import { now } from '../load/orders.js';
import { Meter, type Reading } from '../meter.js';

export interface Round {
  readonly messages: number;
  /** By name with its unit at the end: cpu_us, p50_us, per_s, kib_each … */
  readonly figures: { readonly [name: string]: number };
  readonly spread?: Spread;
  /** What the target did wrong. */
  readonly wrong: readonly string[];
  /** What it does not do, and is not wrong for. */
  readonly notes?: readonly string[];
  readonly reading: Reading;
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** What a message is here. */
  readonly unit: string;
  /** Sizes, each measured with targets of its own. */
  readonly sizes?: readonly number[];
  /** Targets that it makes sense for; left out: all. */
  readonly targets?: readonly string[];
  /** It needs no stand-in behind the target, so that it measures any address. */
  readonly anywhere?: true;
  /** Not part of a quick run, unless it is asked for by its name. */
  readonly extra?: true;
  /** A target is used for one round only. */
  readonly fresh?: true;
  /** @returns why it cannot be measured here */
  missing?(): string | undefined;
  readonly bed: BedOptions;
  /** Of `sizes`: targets on one Redis. */
  readonly multiplies?: true;
  /** Of a round. */
  readonly seconds: number;
  prepare(bed: Bed, size: number): Promise<void>;
  /**
   * Work before the first round, besides a short round of its own. Where rounds have few messages a target that compiles its code
   * as it runs would be measured while it does: some ten thousand take it there, as an hour of service would.
   */
  warm?(bed: Bed, seconds: number, size: number): Promise<void>;
  round(bed: Bed, seconds: number, size: number): Promise<Round>;
}

/** A moment from now, when all processes have their orders. */
export function soon(): number {
  return now() + 50;
}

/** Measures what clients do. */
export async function measured(bed: Bed, work: () => Promise<Outcome>, more: (outcome: Outcome, reading: Reading) => Record<string, number> = () => ({})): Promise<Round> {
  const meter = new Meter(bed);
  const outcome = await work();
  const reading = meter.stop();
  const { messages, latencies, wrong, took } = outcome;
  const times: Record<string, number> = latencies.count === 0 ? {} : { p50_us: percentile(latencies, 50), p99_us: percentile(latencies, 99), 'p99.9_us': percentile(latencies, 99.9) };
  return {
    messages,
    figures: { ...cpuEach(reading, messages), per_s: (messages * 1000) / Math.max(1, took), ...times, ...more(outcome, reading) },
    spread: latencies.count > 0 ? latencies : undefined,
    wrong: messages === 0 ? [...wrong, 'nothing came'] : wrong,
    reading,
  };
}

export function cpuEach({ targetCpu }: Reading, messages: number): Record<string, number> {
  return targetCpu > 0 && messages > 0 ? { cpu_us: targetCpu / 1000 / messages } : {};
}
