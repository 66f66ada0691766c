/** Redis as it is run where it matters: Sentinel, Cluster and TLS, each from real redis-servers. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { StoreUnavailable } from '../../proxy/store/redis-client.js';
import { RedisFiles } from '../../proxy/store/redis-files.js';
import { RedisInstances } from '../../proxy/store/redis-instances.js';
import { RedisRegistry } from '../../proxy/store/redis-registry.js';
import { freePort } from '../support/ports.js';
import { RedisServer, until } from '../support/redis.js';
import { clientOf } from '../support/redis-store.js';
import { scopeOfEachTest } from '../support/scope.js';
import { removeTemporary, temporary } from '../support/temporary.js';

const scope = scopeOfEachTest();
const NONE = { session: undefined, user: undefined };
const SLOTS = 16_384;

async function cluster(nodes: number): Promise<RedisServer[]> {
  const servers: RedisServer[] = [];
  const buses: number[] = [];
  for (let n = 0; n < nodes; n++) {
    buses.push(await freePort());
    servers.push(scope.own(await RedisServer.start({
      appendonly: true,
      conf: ['cluster-enabled yes', `cluster-port ${buses[n]}`, 'cluster-node-timeout 2000', 'cluster-require-full-coverage no'],
    })));
  }
  for (const [n, server] of servers.entries()) {
    await server.command('CLUSTER', 'ADDSLOTSRANGE', Math.ceil((SLOTS * n) / nodes), Math.ceil((SLOTS * (n + 1)) / nodes) - 1);
    if (n > 0) await server.command('CLUSTER', 'MEET', '127.0.0.1', servers[0]!.port, buses[0]!);
  }
  for (const server of servers) {
    await until(async () => {
      const info = await server.command('CLUSTER', 'INFO') as string;
      return info.includes('cluster_state:ok') && info.includes(`cluster_slots_ok:${SLOTS}`) && info.includes(`cluster_known_nodes:${nodes}`);
    });
  }
  return servers;
}

describe('a Redis Cluster', () => {
  it('keeps files, records and leases, each on its node', async () => {
    const servers = await cluster(3);
    const more = { cluster: { nodes: servers.slice(1).map(({ address }) => address) } };
    const client = await clientOf(servers[0]!, scope, more);
    const files = new RedisFiles(client, () => ({ session: 1000, user: 5000 }));
    const ids = Array.from({ length: 30 }, (_, n) => `session-${n}`);
    await Promise.all(ids.map(async (sessionId) => {
      await files.fence(sessionId, 1, 'alice');
      await files.appendFile({ sessionId, epoch: 1 }, '/a/events.jsonl', sessionId);
    }));
    await files.copy(ids[0]!, { sessionId: 'copy', epoch: 1 }, 'bob');
    expect(await Promise.all([...ids, 'copy'].map((id) => files.readFile(id, '/a/events.jsonl')))).toEqual([...ids, ids[0]]);
    for (const server of servers) expect(await server.command('DBSIZE')).toBeGreaterThan(0);

    const other = await clientOf(servers[2]!, scope, more);
    const [registry, watching] = [new RedisRegistry(client), new RedisRegistry(other)];
    const heard: string[] = [];
    await watching.load();
    watching.watch((id) => heard.push(id));
    const record = { id: 's1', owner: 'alice', backend: 'b', epoch: 1, createdAt: 1, usedAt: 1, turns: 0, holder: '' };
    expect(await registry.create(record)).toBe(true);
    await until(async () => {
      await watching.tick();
      await registry.put(record);
      return heard.includes('s1');
    });

    const [first, second] = [new RedisInstances(client), new RedisInstances(other)];
    await first.join('a:1');
    await second.join('b:2');
    expect((await first.list()).map(({ address }) => address).sort()).toEqual(['a:1', 'b:2']);
    expect(await first.secret()).toBe(await second.secret());
    expect(await client.warnings()).toEqual([]);
  });

  it('of which a node is gone fails in bounded time for what is there, and serves it again when it is back', async () => {
    const servers = await cluster(3);
    const client = await clientOf(servers[0]!, scope, { cluster: { nodes: servers.slice(1).map(({ address }) => address) }, timeout: 1_000 });
    const write = (n: number): Promise<unknown> => client.run((redis) => redis.set(client.keyOf(`s${n}`, 'x'), n));
    const all = (): Promise<PromiseSettledResult<unknown>[]> => Promise.allSettled(Array.from({ length: 20 }, (_, n) => write(n)));
    expect((await all()).every(({ status }) => status === 'fulfilled')).toBe(true);
    await servers[1]!.kill();
    const outcomes = await all();
    const failed = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(failed.length).toBeGreaterThan(0);
    expect(failed.length).toBeLessThan(20);
    expect(failed.every(({ reason }) => reason instanceof StoreUnavailable)).toBe(true);
    await servers[1]!.start();
    await until(async () => (await all()).every(({ status }) => status === 'fulfilled'));
  });
});

describe('Redis Sentinel', () => {
  it('finds the master, and the new one when it dies, without a failed call', async () => {
    const master = scope.own(await RedisServer.start({ appendonly: true }));
    const replica = scope.own(await RedisServer.start({ appendonly: true, conf: [`replicaof 127.0.0.1 ${master.port}`, 'repl-diskless-sync-delay 0'] }));
    const sentinel = scope.own(await RedisServer.start({
      sentinel: true,
      conf: [`sentinel monitor main 127.0.0.1 ${master.port} 1`, 'sentinel down-after-milliseconds main 500', 'sentinel failover-timeout main 3000'],
    }));
    await until(async () => (await replica.command('INFO', 'replication') as string).includes('master_link_status:up'));
    await until(async () => (await sentinel.command('SENTINEL', 'REPLICAS', 'main') as unknown[]).length === 1);
    const client = await clientOf(master, scope, { url: 'redis://unused', sentinel: { name: 'main', nodes: [sentinel.address] }, timeout: 25_000 });
    const files = new RedisFiles(client, () => NONE);
    await files.fence('s1', 1, 'alice');
    await files.appendFile({ sessionId: 's1', epoch: 1 }, '/f', 'before\n');
    await until(async () => await replica.command('EXISTS', 'test:{s1}:c:2:0') === 1);
    await master.kill();
    await files.appendFile({ sessionId: 's1', epoch: 1 }, '/f', 'after\n');
    expect(await files.readFile('s1', '/f')).toBe('before\nafter\n');
    expect((await replica.command('ROLE') as unknown[])[0]).toBe('master');
  });
});

describe('Redis with TLS', () => {
  it('is used when its certificate is one that is trusted, and not otherwise', async () => {
    const directory = temporary('skyport-tls-');
    scope.after(() => removeTemporary(directory));
    const [key, certificate] = [path.join(directory, 'key.pem'), path.join(directory, 'certificate.pem')];
    writeFileSync(path.join(directory, 'openssl.cnf'), '[req]\ndistinguished_name=dn\n[dn]\n');
    execFileSync('openssl', [
      'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', certificate, '-config', path.join(directory, 'openssl.cnf'),
      '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
    ], { stdio: 'ignore' });
    const port = await freePort();
    const server = scope.own(await RedisServer.start({
      conf: [`tls-port ${port}`, `tls-cert-file ${certificate}`, `tls-key-file ${key}`, 'tls-auth-clients no'],
    }));
    const client = await clientOf(server, scope, { url: `rediss://127.0.0.1:${port}`, ca_file: certificate });
    expect(await client.run((redis) => redis.set(client.key('a'), 'b'))).toBe('OK');
    await expect(clientOf(server, scope, { url: `rediss://127.0.0.1:${port}`, timeout: 500 })).rejects.toThrow(/self-signed certificate/);
  });
});
