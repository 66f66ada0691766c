/** One Skyport among others, on a store and with rooms that only remember. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Membership } from '../../proxy/membership.js';
import type { Services } from '../../proxy/clients/services.js';
import type { Instance } from '../../proxy/store/instances.js';
import { StoreUnavailable } from '../../proxy/store/redis-client.js';
import type { Shared } from '../../proxy/stores.js';
import { SETTINGS } from './backends/service.js';

const LEASE = 10_000;
const SECRET = 'a secret of all';

let log: string[];
let list: Instance[];
let reread: () => Promise<void>;
let peers: unknown;
let lapsed: () => void;
let membership: Membership;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  log = [];
  list = [];
  peers = undefined;
  reread = async () => void log.push('read');
  const shared = {
    instances: {
      id: 'self', secret: async () => SECRET, join: async (address: string) => void log.push(`join ${address}`),
      tick: async () => undefined, list: async () => list, onGone: () => undefined, onLapsed: (told: () => void) => (lapsed = told),
    },
    registry: { watch: () => undefined, tick: async () => undefined, reread: () => reread() },
  } as unknown as Shared;
  const client = { transport: { pause: () => log.push('client stops'), resume: () => log.push('client goes on') } };
  const services = {
    lease: LEASE,
    authenticator: { admitPeers: (secret: string) => log.push(secret === SECRET ? 'admits peers' : 'admits others') },
    pool: { setPeers: (wanted: unknown) => (peers = wanted), pause: () => log.push('servers stop'), resume: () => log.push('servers go on') },
    roster: { all: () => [client], tellPeers: (json: string) => log.push(json) },
  } as unknown as Services;
  membership = new Membership(shared, services, () => SETTINGS);
  await membership.enter();
  await membership.join('10.0.0.1:4321');
});

afterEach(() => {
  vi.useRealTimers();
});

describe('a Skyport among others', () => {
  it('is known, and knows its peers, before it says where it is', () => {
    expect(log).toEqual(['admits peers', 'join ', 'join 10.0.0.1:4321']);
  });

  it('reaches those that say where they are, with the secret, and not itself', async () => {
    const startedAt = 1;
    list = [{ id: 'self', address: '10.0.0.1:4321', startedAt }, { id: 'other', address: '10.0.0.2:4321', startedAt }, { id: 'new', address: '', startedAt }];
    await membership.tick();
    expect(peers).toEqual(new Map([['other', { host: '10.0.0.2', port: 4321, token: SECRET }]]));
    expect(membership.others.map(({ id }) => id)).toEqual(['other', 'new']);
  });

  it('tells the others that it is about to stop', () => {
    membership.drain();
    expect(log.at(-1)).toBe('{"jsonrpc":"2.0","method":"skyport.draining","params":{}}');
  });
});

describe('a Skyport that was frozen', () => {
  const AWAY = ['servers stop', 'client stops', 'read', 'servers go on', 'client goes on'];
  const news = (): string[] => log.slice(3);

  it('for as long as a lease looks at nothing that has come meanwhile before it has read what is its own', async () => {
    vi.advanceTimersByTime(LEASE);
    membership.watch();
    expect(news().slice(0, 2)).toEqual(['servers stop', 'client stops']);
    await vi.waitFor(() => expect(news()).toEqual(AWAY));
  });

  it('for a moment goes on', () => {
    vi.advanceTimersByTime(LEASE / 4);
    membership.watch();
    expect(news()).toEqual([]);
  });

  it('and does not notice it by itself is told by its lease', async () => {
    lapsed();
    await vi.waitFor(() => expect(news()).toEqual(AWAY));
  });

  it('goes on also when the store is away: nobody could take anything over', async () => {
    reread = () => Promise.reject(new StoreUnavailable('away', false));
    vi.advanceTimersByTime(LEASE);
    membership.watch();
    await vi.waitFor(() => expect(news()).toEqual(AWAY.filter((step) => step !== 'read')));
  });
});
