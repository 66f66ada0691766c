/** What the fleet tells of its servers: as it happens, and when it is asked. */
import type { ReadyServer } from './run.js';
import type { OutputStream } from './server.js';
import type { Tenancy } from './tenancy.js';

export type MemberState = 'waiting' | 'starting' | 'ready' | 'leaving' | 'stopping';

export interface MemberEvents {
  /**
   * A server listens: after each start, when one that was to leave may stay, and when a spare has
   * become a user's (same address, new tenancy).
   */
  onReady(server: ReadyServer): void;
  /**
   * A fresh server listens under the name of one that still runs: drain the older run, then `retire`
   * it. Without this event it is retired at once.
   */
  onSucceeded?(server: ReadyServer, reason: string): void;
  /** A run that listened is gone; at once, before what it leaves behind has been cleared away. */
  onGone(name: string, reason: string, run: number): void;
  /** What a server printed; bounded, its token blanked out. */
  onLine(name: string, stream: OutputStream, line: string): void;
  /** A start came to nothing, a successor's too; the next one is, or may be, in `retryIn` ms. */
  onStartFailed?(name: string, reason: string, retryIn: number): void;
}

/** For `skyport status`, and for whoever renews servers. */
export interface MemberStatus {
  readonly name: string;
  readonly state: MemberState;
  readonly tenancy: Tenancy;
  readonly canary: boolean;
  /** Of the process that serves or starts to. */
  readonly run?: number;
  readonly pid?: number;
  readonly port?: number;
  /** Starts after the first. */
  readonly restarts: number;
  /** It died several times in a row without a stable minute in between. */
  readonly crashLoop: boolean;
  /** Of the process that runs; unix time in ms. */
  readonly startedAt?: number;
  /** How the last process ended, or why there is none. */
  readonly lastExit?: string;
  /** What it was started with is not what the configuration says now. */
  readonly outdated: boolean;
  /** Its successor starts, or the run before it has not been retired yet. */
  readonly renewing: boolean;
  /** The run that is being drained in favour of this one. */
  readonly older?: number;
  /** Why the last successor did not start; until one does, or the configuration changes. */
  readonly renewFailed?: string;
}
