/**
 * The Skyports on one Redis.
 *
 *   {instances}:leases   id → "until instance", Redis' own time
 *   {instances}:secret   made by the first
 *
 * A lease that is over counts as over only when Redis has answered this process for as long as a lease is:
 * while Redis was away nobody could renew.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Instance, Instances } from './instances.js';
import { StoreUnavailable, type RedisClient, type Script } from './redis-client.js';

/** Milliseconds. */
const LEASE = 10_000;

const CLOCK = `
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
`;

/** KEYS: leases. ARGV: id, lease, instance. Gives 0 when the lease was over or there was none. */
const RENEW = `${CLOCK}
local before = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now + tonumber(ARGV[2])) .. ' ' .. ARGV[3])
return before and tonumber(string.match(before, '^%d+')) >= now and 1 or 0
`;

/** KEYS: leases. ARGV: 1 to take away those that are over. Gives the instances that are there. */
const LIST = `${CLOCK}
local living = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local till, instance = string.match(all[i + 1], '^(%d+) (.*)$')
  if tonumber(till) >= now or ARGV[1] ~= '1' then
    living[#living + 1] = instance
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return living
`;

/** KEYS: leases. ARGV: id. Gives 'gone' for one that has left, 'over' for one that has not renewed, 'alive'. */
const LOOK = `${CLOCK}
local lease = redis.call('HGET', KEYS[1], ARGV[1])
if not lease then return 'gone' end
return tonumber(string.match(lease, '^%d+')) < now and 'over' or 'alive'
`;

export class RedisInstances implements Instances {
  readonly id = randomUUID();
  private readonly scripts: { readonly renew: Script; readonly list: Script; readonly look: Script };
  private readonly leases: readonly [string];
  private self: Instance | undefined;
  private living = new Map<string, Instance>();
  private onGoneInstance: (instance: Instance) => void = () => undefined;
  private lapsed: () => void = () => undefined;

  /**
   * @param client stays the caller's: it is not closed here
   * @param lease milliseconds; the same for all instances
   */
  constructor(private readonly client: RedisClient, private readonly lease = LEASE) {
    const script = (name: string, lua: string): Script => client.script(`instances_${name}`, lua, 1);
    this.scripts = { renew: script('renew', RENEW), list: script('list', LIST), look: script('look', LOOK) };
    this.leases = [client.keyOf('instances', 'leases')];
  }

  async join(address: string): Promise<void> {
    this.self = { id: this.id, address, startedAt: Date.now() };
    await this.renew();
    await this.look();
  }

  async secret(): Promise<string> {
    const key = this.client.keyOf('instances', 'secret');
    const mine = randomBytes(32).toString('base64url');
    await this.client.run((redis) => redis.set(key, mine, 'NX'));
    return (await this.client.run((redis) => redis.get(key)))!;
  }

  async renew(): Promise<boolean> {
    if (this.self === undefined) throw new Error('an instance has to join before its lease can be renewed');
    return await this.scripts.renew(this.leases, [this.id, this.lease, JSON.stringify(this.self)]) === 1;
  }

  async list(): Promise<Instance[]> {
    const steady = this.client.steadyFor >= this.lease;
    const found = await this.scripts.list(this.leases, [steady ? 1 : 0]) as string[];
    return found.map((text) => JSON.parse(text) as Instance);
  }

  /** One that is not there has left, or was taken away when its lease was over: who joins is there before its sessions are. */
  async gone(id: string): Promise<boolean> {
    const state = await this.scripts.look(this.leases, [id]);
    return state === 'gone' || (state === 'over' && this.client.steadyFor >= this.lease);
  }

  onGone(listener: (instance: Instance) => void): void {
    this.onGoneInstance = listener;
  }

  onLapsed(listener: () => void): void {
    this.lapsed = listener;
  }

  async tick(): Promise<void> {
    if (this.self === undefined) return;
    try {
      if (!await this.renew()) this.lapsed();
      await this.look();
    } catch (error) {
      // That Redis is away is told by its client; until it is back nobody is known to be gone.
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  async leave(): Promise<void> {
    this.self = undefined;
    await this.client.run((redis) => redis.hdel(this.leases[0], this.id));
  }

  private async look(): Promise<void> {
    const before = this.living;
    this.living = new Map((await this.list()).map((instance) => [instance.id, instance]));
    for (const [id, instance] of before) {
      if (id !== this.id && !this.living.has(id)) this.onGoneInstance(instance);
    }
  }
}
