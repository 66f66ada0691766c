/** When managed servers are replaced: `fleet.recycle` in the units of who does it. */
import { createHash } from 'node:crypto';
import type { SkyportConfig } from '../../config/schema.js';

export interface RecycleLimits {
  /** Bytes. */
  readonly rss?: number;
  readonly openFiles?: number;
  readonly children?: number;
  /** Milliseconds. */
  readonly age?: number;
  readonly latencyFactor?: number;
  readonly atOnce: number;
  /** Names what servers are started with: another value is a new configuration to try. */
  readonly outfit: string;
}

export function recycleLimits({ fleet: { recycle, command, env, canary, users, limits, uids } }: SkyportConfig): RecycleLimits {
  const { rss, open_files, children, age, latency_factor, at_once } = recycle;
  // A digest, since an environment holds secrets.
  const outfit = createHash('sha256').update(JSON.stringify([command, env, canary, users, limits, uids])).digest('hex');
  return { rss, openFiles: open_files, children, age, latencyFactor: latency_factor, atOnce: at_once, outfit };
}
