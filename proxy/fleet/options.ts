/** What the fleet is told: `fleet` of the configuration, in its own units. */
import type { BackoffLimits } from './backoff.js';
import type { ResourceLimits } from './confinement.js';
import type { EnvironmentValue } from './secrets.js';

/** `fleet.users.<name>` */
export interface UserOptions {
  readonly env?: Readonly<Record<string, EnvironmentValue>>;
  readonly githubToken?: EnvironmentValue;
  readonly uid?: number;
  /** The uid's number when left out. */
  readonly gid?: number;
  /** Key by key instead of those of all servers. */
  readonly limits?: ResourceLimits;
}

/** Of users with servers of their own. */
export interface TenantOptions {
  /** The most servers of users, spares included. */
  readonly maxServers: number;
  readonly spares: number;
  /** ms */
  readonly idleStop: number;
  /** How long a claim waits, ms. */
  readonly wait: number;
  /** The most users that wait for a place. */
  readonly waiting: number;
  readonly users: Readonly<Record<string, UserOptions>>;
  /** Each home gets a uid of its own from these. */
  readonly uids?: { readonly from: number; readonly count: number };
}

export interface FleetOptions {
  /** How many servers users share. */
  readonly count: number;
  /** A program and its leading arguments; the runtime bundled with the SDK when left out. */
  readonly command?: readonly string[];
  /** `fleet.env`; see environment.ts for what else a server gets. */
  readonly env: Readonly<Record<string, EnvironmentValue>>;
  readonly limits?: ResourceLimits;
  /**
   * The working directory of the servers that users share, created if missing; each server's own
   * directory when left out. A user's server always runs in its own.
   */
  readonly workingDirectory?: string;
  /** `<store.path>/servers`; a server's own directory is `<directory>/<name>`. */
  readonly directory: string;
  /** ms */
  readonly startTimeout: number;
  /** From SIGTERM to SIGKILL, ms. */
  readonly stopTimeout: number;
  readonly restartBackoff: BackoffLimits;
  readonly canary?: {
    readonly command: readonly string[];
    /** Of the users with servers of their own, 0 to 1. */
    readonly share: number;
    /** How many run for users that share. */
    readonly count: number;
  };
  /** Left out where no user has a server of his own. */
  readonly tenants?: TenantOptions;
}
