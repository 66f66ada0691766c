/** Opens what Skyport keeps outside its own memory, as `store` in the configuration says. */
import { hostname } from 'node:os';
import { parseAddress } from '../config/address.js';
import type { SkyportConfig } from '../config/schema.js';
import { channels, type StoreState } from './channels.js';
import type { Others } from './sessions/others.js';
import { EmbeddedFiles } from './store/embedded-files.js';
import { EmbeddedRegistry } from './store/embedded.js';
import type { Instances } from './store/instances.js';
import { RedisClient } from './store/redis-client.js';
import { RedisFiles } from './store/redis-files.js';
import { RedisInstances } from './store/redis-instances.js';
import { RedisRegistry } from './store/redis-registry.js';
import type { Registry, SessionRecord } from './store/registry.js';
import type { Quotas, SessionFiles } from './store/session-files.js';
import { RedisTurns } from './store/redis-turns.js';
import { Superseded, type SharedRegistry } from './store/shared-registry.js';
import { TurnRates } from './store/turn-rates.js';

export interface Stores {
  readonly registry: Registry;
  /** Undefined where CLI servers keep their sessions' state themselves. */
  readonly files: SessionFiles | undefined;
  /** Undefined where no other Skyport can use the store. */
  readonly shared: Shared | undefined;
  /** Counts turns by the minute. */
  readonly rates: TurnRates;
  /** Of a store that may be away; undefined for one that is a part of this Skyport. */
  state(): StoreState | undefined;
  close(): Promise<void>;
}

/** A store that other Skyports use, too. */
export interface Shared {
  readonly others: Others;
  readonly registry: SharedRegistry;
  readonly instances: Instances;
  /** The turns that run on all Skyports. */
  readonly turns: RedisTurns;
}

/** @throws when the store cannot be opened, with a text for the operator */
export async function openStores(config: SkyportConfig, quotas: () => Quotas): Promise<Stores> {
  const { store, sessions } = config;
  if (store.driver === 'redis') return openRedis(config, quotas);
  const registry = new EmbeddedRegistry(store.path);
  const files = sessions.state === 'skyport' ? new EmbeddedFiles(store.path, quotas) : undefined;
  return {
    registry, files, shared: undefined, rates: TurnRates.inMemory(),
    state: () => undefined,
    close: async () => {
      await files?.close();
      await registry.close();
    },
  };
}

async function openRedis({ store, sessions }: SkyportConfig, quotas: () => Quotas): Promise<Stores> {
  let state: StoreState = { up: true };
  const told = (now: StoreState): void => {
    state = now;
    channels.storeState.publish(now);
  };
  const client = new RedisClient({ ...store, url: store.url! }, {
    up: () => told({ up: true }),
    down: (reason) => told({ up: false, reason }),
  });
  await client.ready();
  for (const text of await client.warnings()) channels.storeState.publish({ up: true, reason: text });
  const registry = new RedisRegistry(client);
  const records = await registry.load();
  const instances = new RedisInstances(client, store.lease);
  const files = sessions.state === 'skyport' ? new RedisFiles(client, quotas) : undefined;
  const held = (record: SessionRecord): SessionRecord & { holder: string } => ({ ...record, holder: record.holder ?? '' });
  return {
    registry: {
      load: () => records,
      // One that has moved on is its new holder's to write.
      put: (record) => registry.put(held(record)).catch((error: unknown) => {
        if (!(error instanceof Superseded)) throw error;
      }),
      remove: (id) => registry.remove(id),
      close: () => registry.close(),
    },
    files,
    rates: TurnRates.inRedis(client),
    state: () => state,
    shared: {
      registry, instances,
      turns: new RedisTurns(client, instances.id, store.lease),
      others: {
        self: instances.id,
        create: (record) => registry.create(held(record)),
        claim: (record, from) => registry.claim(held(record), from),
        find: (id) => registry.find(id),
        gone: (instance) => instances.gone(instance),
      },
    },
    close: async () => {
      await files?.close();
      await registry.close();
      await client.close();
    },
  };
}

/** Where the other Skyports reach this one. */
export function advertised({ store, listen }: SkyportConfig, bound: readonly { readonly address: string }[]): string {
  if (store.advertise !== undefined) return store.advertise;
  const first = listen.findIndex(({ tcp }) => tcp !== undefined);
  const address = bound[first]?.address ?? '';
  const parsed = parseAddress(address);
  return parsed && WILDCARDS.has(parsed.host) ? `${hostname()}:${parsed.port}` : address;
}

const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::', '[::]', '']);
