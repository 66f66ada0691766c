/** What happens per second: the differences between two snapshots. */
import type { BackendSnapshot, Snapshot } from '../../observe/snapshot.js';

/** Per second; a value is missing until two snapshots have it. */
export interface Rates {
  turns?: number;
  /** Messages to clients: nearly all of them are events. */
  events?: number;
  bytesIn?: number;
  bytesOut?: number;
  /** Share of one core, of Skyport itself. */
  cpu?: number;
}

export interface Sample {
  snapshot: Snapshot;
  rates: Rates;
  /** Share of one core, of a managed server and what it has started. */
  cpuOf(server: BackendSnapshot): number | undefined;
}

interface CpuTime {
  readonly startedAt: number | undefined;
  readonly ms: number;
  readonly at: number;
  readonly share?: number;
}

export class Sampler {
  private before: Snapshot | undefined;
  private cpu = new Map<string, CpuTime>();

  /** Another snapshot, later than those before it. */
  take(snapshot: Snapshot): Sample {
    // A Skyport that was started anew counts from 0.
    const before = this.before?.startedAt === snapshot.startedAt ? this.before : undefined;
    this.before = snapshot;
    const cpu = new Map<string, CpuTime>();
    for (const server of snapshot.backends) {
      const time = this.timeOf(server);
      if (time) cpu.set(keyOf(server), time);
    }
    this.cpu = cpu;
    return { snapshot, rates: ratesBetween(before, snapshot), cpuOf: (server) => cpu.get(keyOf(server))?.share };
  }

  /** Usage is measured less often than snapshots are taken: between two measurements the last share holds. */
  private timeOf(server: BackendSnapshot): CpuTime | undefined {
    const { startedAt, cpuMs: ms, usageAt: at } = server;
    if (ms === undefined || at === undefined) return undefined;
    const known = this.cpu.get(keyOf(server));
    if (!known || known.startedAt !== startedAt) return { startedAt, ms, at };
    if (known.at === at) return known;
    const share = known.at < at && known.ms <= ms ? (ms - known.ms) / (at - known.at) : undefined;
    return { startedAt, ms, at, share };
  }
}

/** A server that is drained and its successor have one name. */
function keyOf({ name, predecessor }: BackendSnapshot): string {
  return predecessor ? `${name} leaving` : name;
}

function ratesBetween(before: Snapshot | undefined, now: Snapshot): Rates {
  const ms = (now.at ?? 0) - (before?.at ?? 0);
  if (!before || before.at === undefined || ms <= 0) return {};
  const perSecond = (then: number | undefined, count: number | undefined): number | undefined =>
    then === undefined || count === undefined || count < then ? undefined : ((count - then) / ms) * 1000;
  const cpu = perSecond(before.process?.cpuMs, now.process?.cpuMs);
  return {
    turns: perSecond(before.turnsEnded, now.turnsEnded),
    events: perSecond(before.frames.clientOut, now.frames.clientOut),
    bytesIn: perSecond(before.bytes.clientIn, now.bytes.clientIn),
    bytesOut: perSecond(before.bytes.clientOut, now.bytes.clientOut),
    cpu: cpu === undefined ? undefined : cpu / 1000,
  };
}
