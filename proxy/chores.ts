/** What happens by itself in a running Skyport, and how often: the janitor's jobs. */
import { channels } from './channels.js';
import type { Services } from './clients/services.js';
import type { Job } from './janitor.js';
import { tellDeleted } from './orders.js';
import type { Directory } from './sessions/directory.js';
import { missed } from './sessions/missed.js';
import { expireNeverUsed } from './sessions/never-used.js';
import type { SessionFiles } from './store/session-files.js';
import { slabs } from './wire/slab.js';

/** Sessions that are deleted at one time when their `ttl` is over. */
const EXPIRY_STEP = 20;

/** Milliseconds after which a session that nobody has used, or has attached, is deleted. */
const NEVER_USED = 3_600_000;

/** Who wants to be called now and then; `now` in milliseconds since the epoch, or of the monotonic clock. */
interface Ticking {
  tick(now: number): void;
}

export interface Household {
  /** The configuration in force. */
  config(): {
    readonly links: { readonly idle_close: number };
    readonly sessions: { readonly idle_timeout?: number; readonly ttl?: number };
  };
  readonly services: Services;
  readonly fleet: Ticking;
  readonly warming: { tick(now: number): Promise<void> };
  readonly mover: { sweep(now: number): void };
  readonly rolling: Ticking;
  readonly watchdog: Ticking;
  readonly membership: { watch(): void; tick(): Promise<void>; adoptUnused(before: number, most: number): Promise<void> } | undefined;
  readonly files: SessionFiles | undefined;
  watcher(): { look(): void };
}

export function chores(house: Household): Job[] {
  const { services, fleet, warming, mover, rolling, watchdog, membership, files } = house;
  const { directory, places, pool } = services;
  return [
    { name: 'wake', every: 50, run: () => membership?.watch() },
    { name: 'health', every: 50, run: () => pool.tick(performance.now(), house.config().links.idle_close) },
    { name: 'servers', every: 100, run: (now) => fleet.tick(now) },
    { name: 'warm-ups', every: 100, run: () => warming.tick(performance.now()) },
    { name: 'linger', every: 250, run: (now) => releaseHeld(directory, now) },
    { name: 'missed', every: 1_000, run: (now) => missed.sweep(now) },
    { name: 'slabs', every: 1_000, run: () => slabs.sweep() },
    { name: 'writers', every: 250, run: () => services.writers.tick(services.draining) },
    { name: 'turn limits', every: 250, run: () => services.admission.tick(services.draining) },
    { name: 'stalled turns', every: 500, run: () => watchdog.tick(performance.now()) },
    { name: 'moves', every: 100, run: (now) => mover.sweep(now) },
    { name: 'restart', every: 100, run: () => rolling.tick(performance.now()) },
    {
      name: 'idle sessions', every: 500, run: async (now) => {
        const { idle_timeout } = house.config().sessions;
        if (idle_timeout !== undefined) await places.sweep(now, idle_timeout);
      },
    },
    {
      name: 'expired sessions', every: 2_000, run: async (now) => {
        const { ttl } = house.config().sessions;
        if (ttl === undefined) return;
        await membership?.adoptUnused(now - ttl, EXPIRY_STEP);
        tellDeleted(await directory.expire(now - ttl, EXPIRY_STEP), 'ttl');
      },
    },
    {
      name: 'never used', every: 60_000, run: async (now) => {
        if (files) tellDeleted(await expireNeverUsed(directory, files, now - NEVER_USED, EXPIRY_STEP), 'never used');
      },
    },
    { name: 'config', every: 2_000, run: () => house.watcher().look() },
    { name: 'handshakes', every: 1_000, run: (now) => services.roster.endHandshakes(now, services.limits.handshake_timeout) },
    { name: 'registry', every: 1_000, run: () => flush(directory) },
    { name: 'other Skyports', every: 1_000, run: () => membership?.tick() },
    { name: 'throttle', every: 60_000, run: (now) => services.throttle.sweep(now) },
  ];
}

/** Writes what has changed of sessions since the last time. Never rejects. */
export async function flush(directory: Directory): Promise<void> {
  try {
    await directory.flush();
  } catch (error) {
    channels.registryError.publish({ operation: 'flush', message: String(error) });
  }
}

/** Ends what was held for clients that have not come back. */
function releaseHeld(directory: Directory, now: number): void {
  for (const session of [...directory.live()]) {
    for (const attachment of [...session.attachments]) {
      if (attachment.state === 'held' && now >= attachment.heldUntil) void attachment.release();
    }
  }
}
