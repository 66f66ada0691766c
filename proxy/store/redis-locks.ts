/** Locks in Redis, for several Skyports. What this process holds and waits for is renewed by its tick. */
import type { Held, Locks, Taken } from './locks.js';
import { StoreUnavailable, type RedisClient, type Script } from './redis-client.js';
import { LOCK_SCRIPTS } from './redis-locks-scripts.js';

/** A lock or a place in a queue that is this process's. */
interface Kept {
  readonly key: string;
  readonly name: string;
  readonly ttl: number;
  /** Undefined for a place in a queue. */
  readonly fence: number | undefined;
  /** As `performance.now()` counts. */
  renewedAt: number;
}

type Name = keyof typeof LOCK_SCRIPTS;

export class RedisLocks implements Locks {
  private readonly scripts: Readonly<Record<Name, Script>>;
  private readonly channel: string;
  private readonly held = new Map<string, Kept>();
  private readonly waiting = new Map<string, Kept>();
  private lost: (key: string, holder: string, fence: number) => void = () => undefined;

  /** @param client stays the caller's: it is not closed here */
  constructor(private readonly client: RedisClient) {
    this.scripts = Object.fromEntries(Object.entries(LOCK_SCRIPTS).map(([name, lua]) =>
      [name, client.script(`locks_${name}`, lua, 3)])) as Record<Name, Script>;
    this.channel = client.key('locks');
  }

  async acquire(key: string, holder: string, ttl: number): Promise<Held | Taken> {
    const [got, result] = await this.call('acquire', key, holder, ttl) as [number, number | string];
    if (got === 0) return { holder: result as string };
    const fence = result as number;
    this.waiting.delete(nameOf(key, holder));
    this.held.set(nameOf(key, holder), { key, name: holder, ttl, fence, renewedAt: performance.now() });
    return { fence };
  }

  async renew(key: string, holder: string, fence: number): Promise<boolean> {
    const kept = this.held.get(nameOf(key, holder));
    if (kept?.fence !== fence) return false;
    const asked = performance.now();
    if (await this.call('renew', key, holder, fence, kept.ttl) === 1) {
      kept.renewedAt = asked;
      return true;
    }
    // Unless it was released meanwhile.
    if (this.held.get(nameOf(key, holder)) === kept) {
      this.held.delete(nameOf(key, holder));
      this.lost(key, holder, fence);
    }
    return false;
  }

  /** Not renewed any more from the call on, also when Redis is away: the lock then ends by time. */
  async release(key: string, holder: string, fence: number): Promise<boolean> {
    if (this.held.get(nameOf(key, holder))?.fence === fence) this.held.delete(nameOf(key, holder));
    return await this.call('release', key, holder, fence) === 1;
  }

  async enqueue(key: string, waiter: string, ttl: number): Promise<number> {
    const place = await this.call('enqueue', key, waiter, ttl) as number;
    this.waiting.set(nameOf(key, waiter), { key, name: waiter, ttl, fence: undefined, renewedAt: performance.now() });
    return place;
  }

  async position(key: string, waiter: string): Promise<number | undefined> {
    const place = await this.call('position', key, waiter, this.waiting.get(nameOf(key, waiter))?.ttl ?? '') as number;
    return place === 0 ? undefined : place;
  }

  async leave(key: string, waiter: string): Promise<void> {
    this.waiting.delete(nameOf(key, waiter));
    await this.call('leave', key, waiter);
  }

  async forget(key: string): Promise<void> {
    await this.call('forget', key, '');
  }

  watch(listener: (key: string) => void): void {
    this.client.listen('locks', listener);
  }

  onLost(listener: (key: string, holder: string, fence: number) => void): void {
    this.lost = listener;
  }

  async tick(): Promise<void> {
    const now = performance.now();
    const due = [...this.held.values()].filter(({ ttl, renewedAt }) => now - renewedAt >= ttl / 3);
    await Promise.all([
      ...due.map(({ key, name, fence }) => this.renew(key, name, fence!)),
      // Also finds out whether the holder is gone, which nobody tells; the script then does.
      ...[...this.waiting.values()].map((kept) => this.keepWaiting(kept)),
    ].map((call) => call.catch(unlessUnavailable)));
  }

  async close(): Promise<void> {
    const all = [
      ...[...this.held.values()].map(({ key, name, fence }) => this.release(key, name, fence!)),
      ...[...this.waiting.values()].map(({ key, name }) => this.leave(key, name)),
    ];
    await Promise.all(all.map((call) => (call as Promise<unknown>).catch(unlessUnavailable)));
  }

  /** A process that was stopped for long comes back at the end of the queue. */
  private async keepWaiting({ key, name, ttl }: Kept): Promise<void> {
    const place = await this.position(key, name);
    if (place === undefined && this.waiting.has(nameOf(key, name))) await this.enqueue(key, name, ttl);
  }

  private call(name: Name, key: string, who: string, ...more: (string | number)[]): Promise<unknown> {
    const keys = ['lock', 'queue', 'waiters'].map((part) => this.client.keyOf(key, part));
    return this.scripts[name](keys, [this.channel, key, Math.floor(this.client.steadyFor), who, ...more]);
  }
}

function nameOf(key: string, who: string): string {
  return JSON.stringify([key, who]);
}

/** That Redis is away is told by its client. */
function unlessUnavailable(error: unknown): void {
  if (!(error instanceof StoreUnavailable)) throw error;
}
