/** A process that holds a lock and waits in a queue, until it is killed. Runs what was compiled. */
import { RedisClient } from '../../dist/proxy/store/redis-client.js';
import { RedisLocks } from '../../dist/proxy/store/redis-locks.js';

const client = new RedisClient({ url: process.argv[2], prefix: 'test:', timeout: 3_000 });
const locks = new RedisLocks(client);
await client.ready();
await locks.acquire('s1', 'alice', 500);
await locks.enqueue('s1', 'bob', 500);
setInterval(() => void locks.tick(), 50);
process.send('holding');
