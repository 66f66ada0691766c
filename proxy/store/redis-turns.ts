/**
 * The turns that run on all Skyports on one Redis, as far as they count: of a user, or of all users with a role.
 *
 *   {turns}:user:alice   sorted set: "instance:number" → when its lease is over, Redis' own time
 *   {turns}:role:guest
 *
 * A turn is there from when it is taken until it is given back, and is renewed meanwhile; those of a Skyport
 * that is dead are over with their lease. While Redis is away nobody is refused: each Skyport counts its own.
 */
import { StoreUnavailable, type RedisClient, type Script } from './redis-client.js';

/** What a turn counts for. */
interface Counted {
  readonly kind: 'user' | 'role';
  readonly name: string;
  readonly limit: number;
}

const CLOCK = `
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
`;

/** KEYS: two sets. ARGV: member, lease, the limits of both (-1: not to be counted). Gives 0, or which of them is full. */
const TAKE = `${CLOCK}
for i = 1, 2 do
  local limit = tonumber(ARGV[2 + i])
  if limit >= 0 then
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', '(' .. string.format('%.0f', now))
    if not redis.call('ZSCORE', KEYS[i], ARGV[1]) and redis.call('ZCARD', KEYS[i]) >= limit then return i end
  end
end
for i = 1, 2 do
  if tonumber(ARGV[2 + i]) >= 0 then
    redis.call('ZADD', KEYS[i], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
  end
end
return 0
`;

/** KEYS: a set. ARGV: lease, members. Those that Redis has lost are there again. */
const RENEW = `${CLOCK}
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[1])), ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
`;

/** Members that one call renews. */
const BATCH = 500;

export class RedisTurns {
  private readonly scripts: { readonly take: Script; readonly renew: Script };
  /** By key: the members that are ours. */
  private readonly held = new Map<string, Set<string>>();
  private readonly keys = new Map<string, readonly string[]>();
  private renewedAt = -Infinity;

  /**
   * @param client stays the caller's: it is not closed here
   * @param instance of this Skyport
   * @param lease milliseconds; the same for all Skyports
   */
  constructor(private readonly client: RedisClient, private readonly instance: string, private readonly lease: number) {
    this.scripts = { take: client.script('turns_take', TAKE, 2), renew: client.script('turns_renew', RENEW, 1) };
  }

  /**
   * Counts one more turn, for all of these or for none.
   * @param id of the turn at this Skyport
   * @param counted a user, a role, or both
   * @returns the one that is full. Never rejects.
   */
  async take<T extends Counted>(id: string, counted: readonly T[]): Promise<T | undefined> {
    const keys = counted.map(({ kind, name }) => this.client.keyOf('turns', `${kind}:${name}`));
    const [first, second = first] = keys as [string, string?];
    const limits = [counted[0]!.limit, counted[1]?.limit ?? -1];
    const member = this.member(id);
    try {
      const full = await this.scripts.take([first, second], [member, this.lease, ...limits]) as number;
      if (full > 0) return counted[full - 1];
    } catch {
      // It was perhaps taken; it is from the next renewal on.
    }
    this.keys.set(id, keys);
    for (const key of keys) this.heldBy(key).add(member);
    return undefined;
  }

  giveBack(id: string): void {
    const member = this.member(id);
    for (const key of this.forget(id)) {
      // What cannot be given back is over with its lease.
      void this.client.run((redis) => redis.zrem(key, member)).catch(() => undefined);
    }
  }

  /** Janitor: keeps what is held, several times per lease. */
  async tick(): Promise<void> {
    const now = performance.now();
    if (this.held.size === 0 || now - this.renewedAt < this.lease / 4) return;
    this.renewedAt = now;
    try {
      for (const [key, members] of [...this.held]) {
        const all = [...members];
        for (let at = 0; at < all.length; at += BATCH) {
          const still = all.slice(at, at + BATCH).filter((member) => members.has(member));
          if (still.length > 0) await this.scripts.renew([key], [this.lease, ...still]);
        }
      }
    } catch (error) {
      // That Redis is away is told by its client; the next renewal brings back what was over meanwhile.
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  private member(id: string): string {
    return `${this.instance}:${id}`;
  }

  private heldBy(key: string): Set<string> {
    let members = this.held.get(key);
    if (!members) this.held.set(key, (members = new Set()));
    return members;
  }

  /** @returns the keys that had it */
  private forget(id: string): readonly string[] {
    const keys = this.keys.get(id) ?? [];
    this.keys.delete(id);
    for (const key of keys) {
      const members = this.held.get(key);
      members?.delete(this.member(id));
      if (members?.size === 0) this.held.delete(key);
    }
    return keys;
  }
}
