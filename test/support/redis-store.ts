/** Clients of a test's redis-server, as Skyports have them. */
import { RedisClient, type StoreEvents } from '../../proxy/store/redis-client.js';
import type { RedisSettings } from '../../proxy/store/redis-address.js';
import type { RedisServer } from './redis.js';
import type { Scope } from './scope.js';

/** A client that is connected, and closed with the scope. */
export async function clientOf(server: RedisServer, scope: Scope, more: Partial<RedisSettings> = {}, events?: StoreEvents): Promise<RedisClient> {
  const client = new RedisClient({ url: server.url, prefix: 'test:', timeout: 3_000, ...more }, events);
  scope.after(() => client.close());
  await client.ready();
  return client;
}
