/** The managed servers as whoever replaces them sees them: what the fleet, the pool and the process table know, in one. */
import type { Backend } from '../backends/backend.js';
import type { Services } from '../clients/services.js';
import type { Usage, UsageBook } from '../fleet/usage.js';
import type { RollingRestart } from './restart.js';

/** A managed server that is to stay. */
export interface Recyclable {
  readonly name: string;
  /** Which process of the name serves, or starts to. */
  readonly run: number | undefined;
  readonly pid: number | undefined;
  /** Milliseconds. */
  readonly age: number;
  /** Nobody's yet. */
  readonly spare: boolean;
  /** It takes calls. */
  readonly up: boolean;
  readonly outdated: boolean;
  /** Its successor starts, or the run before it has not been retired yet. */
  readonly renewing: boolean;
  /** Why the last successor did not start. */
  readonly renewFailed: string | undefined;
  /** Why it keeps dying, if it does. */
  readonly trouble: string | undefined;
  /** Nobody else has plans with it. */
  readonly free: boolean;
}

export interface RecyclableServers {
  list(): Recyclable[];
  usage(name: string, run: number): Usage | undefined;
  /** How many times slower than at first it answers. */
  latencyFactor(name: string): number | undefined;
  /** @returns false when it cannot be begun now */
  renew(name: string, reason: string): boolean;
  /** Whether turns of a server that is killed go on elsewhere. */
  readonly recovers: boolean;
  kill(name: string, run: number, reason: string): void;
}

/** What this needs of the fleet. */
export interface RenewableFleet {
  list(): readonly {
    readonly name: string;
    readonly state: string;
    readonly tenancy: { readonly kind: string };
    readonly run?: number;
    readonly pid?: number;
    /** Unix time in ms. */
    readonly startedAt?: number;
    readonly crashLoop: boolean;
    readonly lastExit?: string;
    readonly outdated: boolean;
    readonly renewing: boolean;
    readonly renewFailed?: string;
  }[];
  renew(name: string, reason: string): boolean;
  kill(name: string, reason: string, run?: number): void;
}

/** How long a server may take to become empty that is replaced in its place, ms. */
const IN_PLACE_PATIENCE = 600_000;

/**
 * Where the history of sessions is on each server's own disk, a server is not replaced by a successor beside it
 * but in its place, when no turn runs on it.
 */
export function recyclableServers(
  fleet: RenewableFleet,
  { pool, moves, recovery }: Pick<Services, 'pool' | 'moves' | 'recovery'>,
  rolling: Pick<RollingRestart, 'begin' | 'running' | 'has'>,
  usage: Pick<UsageBook, 'of'>,
): RecyclableServers {
  const isFree = (backend: Backend | undefined): boolean => !backend?.draining && !backend?.restarting && !rolling.running;
  // A spare has no sessions, and so need not be a backend yet.
  const isUp = (backend: Backend | undefined, isSpare: boolean): boolean => backend?.up ?? isSpare;
  return {
    list: () => fleet.list().filter(({ name, state }) => state !== 'leaving' && (state !== 'stopping' || rolling.has(name))).map((member) => {
      const backend = pool.get(member.name);
      return {
        name: member.name,
        run: member.run,
        pid: member.pid,
        age: member.startedAt === undefined ? 0 : Math.max(0, Date.now() - member.startedAt),
        spare: member.tenancy.kind === 'spare',
        up: member.state === 'ready' && isUp(backend, member.tenancy.kind === 'spare'),
        outdated: member.outdated,
        renewing: member.renewing || rolling.has(member.name),
        renewFailed: member.renewFailed,
        trouble: member.crashLoop ? (member.lastExit ?? 'it keeps dying') : undefined,
        free: member.state === 'ready' && isFree(backend),
      };
    }),
    usage: (name, run) => usage.of(name, run),
    latencyFactor: (name) => pool.get(name)?.latency.factor(performance.now()),
    renew: (name, reason) => (moves
      ? fleet.renew(name, reason)
      : !('orderRefused' in rolling.begin(performance.now(), IN_PLACE_PATIENCE, [name]))),
    recovers: recovery !== undefined,
    kill: (name, run, reason) => fleet.kill(name, reason, run),
  };
}
