/**
 * Counts turns by the minute: a window begins with its first turn and lasts a minute. In this process, or in
 * Redis for all Skyports on it; while Redis is away, each counts for itself.
 */
import { RateLimiterMemory, RateLimiterRedis, type RateLimiterAbstract } from 'rate-limiter-flexible';
import type { RedisClient } from './redis-client.js';

/** The limits are asked of us, so that a reload changes them: the library only counts. */
const WINDOW = { points: Number.MAX_SAFE_INTEGER, duration: 60 };

export class TurnRates {
  private constructor(private readonly counters: RateLimiterAbstract) {}

  static inMemory(): TurnRates {
    return new TurnRates(new RateLimiterMemory(WINDOW));
  }

  static inRedis(client: RedisClient): TurnRates {
    // The library's client, on ours: its calls end in time, and are repeated when they were not answered. One that
    // was carried out twice counts one turn too many, once.
    const storeClient = {
      defineCommand(this: Record<string, unknown>, name: string, { lua, numberOfKeys }: { lua: string; numberOfKeys: number }): void {
        const script = client.script(name, lua, numberOfKeys);
        this[name] = ([key, ...args]: readonly [string, ...string[]]) => script([key], args);
      },
    };
    const insuranceLimiter = new RateLimiterMemory(WINDOW);
    return new TurnRates(new RateLimiterRedis({ ...WINDOW, storeClient, insuranceLimiter, keyPrefix: client.key('turns-per-minute') }));
  }

  /**
   * Counts one more, if there is room for it within the minute.
   * @returns 0, or milliseconds until the minute is over. Never rejects.
   */
  async take(key: string, limit: number): Promise<number> {
    const { consumedPoints, msBeforeNext } = await this.counters.consume(key);
    if (consumedPoints <= limit) return 0;
    this.giveBack(key);
    return Math.max(1, msBeforeNext);
  }

  giveBack(key: string): void {
    void this.counters.reward(key).catch(() => undefined);
  }
}
