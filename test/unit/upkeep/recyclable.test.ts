/** What whoever replaces servers sees of them, put together from the fleet, the pool and the process table. */
import { beforeEach, expect, it } from 'vitest';
import type { Backend } from '../../../proxy/backends/backend.js';
import type { Services } from '../../../proxy/clients/services.js';
import { recyclableServers, type RecyclableServers, type RenewableFleet } from '../../../proxy/upkeep/recyclable.js';

type Member = ReturnType<RenewableFleet['list']>[number];

let members: Member[];
let backends: Map<string, { up: boolean; draining: boolean; restarting: boolean }>;
let calls: string[];
let underWay: string[];

function member(name: string, more: Partial<Member> = {}): Member {
  return {
    name, state: 'ready', tenancy: { kind: 'shared' }, run: 1, pid: 100, startedAt: Date.now() - 60_000,
    crashLoop: false, outdated: false, renewing: false, ...more,
  };
}

function servers(moves = true): RecyclableServers {
  const fleet: RenewableFleet = {
    list: () => members,
    renew: (name, reason) => calls.push(`renew ${name}: ${reason}`) > 0,
    kill: (name, reason, run) => void calls.push(`kill ${name}/${run}: ${reason}`),
  };
  const rolling = {
    get running() { return underWay.length > 0; },
    has: (name: string) => underWay.includes(name),
    begin: (_now: number, _timeout: number, only?: readonly string[]) => {
      if (underWay.length > 0) return { orderRefused: 'A restart is under way' };
      underWay = [...only!];
      return { running: true, servers: [] };
    },
  };
  const pool = { get: (name: string) => backends.get(name) as unknown as Backend | undefined };
  return recyclableServers(fleet, { pool: pool as Services['pool'], moves, recovery: undefined }, rolling, { of: () => undefined });
}

beforeEach(() => {
  members = [member('managed-1'), member('managed-2')];
  backends = new Map(['managed-1', 'managed-2'].map((name) => [name, { up: true, draining: false, restarting: false }]));
  [calls, underWay] = [[], []];
});

it('a server that serves is up and free, and has an age', () => {
  const [first] = servers().list();
  expect(first).toMatchObject({ name: 'managed-1', run: 1, pid: 100, up: true, free: true, renewing: false, spare: false });
  expect(first!.age).toBeGreaterThanOrEqual(60_000);
});

it('one that leaves the fleet is none', () => {
  members = [member('managed-1', { state: 'leaving' }), member('managed-2', { state: 'stopping' }), member('managed-3')];
  expect(servers().list().map(({ name }) => name)).toEqual(['managed-3']);
});

it('one that is drained by the operator is not free, and none is while he restarts them', () => {
  backends.get('managed-1')!.draining = true;
  expect(servers().list().map(({ free }) => free)).toEqual([false, true]);
  underWay = ['managed-1', 'managed-2'];
  expect(servers().list().map(({ free }) => free)).toEqual([false, false]);
});

it('one that does not answer is not up', () => {
  backends.get('managed-1')!.up = false;
  members[1] = member('managed-2', { state: 'starting' });
  expect(servers().list().map(({ up }) => up)).toEqual([false, false]);
});

it('a spare is up without being a backend, and somebody\'s server is not', () => {
  backends.clear();
  members = [member('managed-u1', { tenancy: { kind: 'spare' } }), member('managed-u2', { tenancy: { kind: 'user' } })];
  expect(servers().list().map(({ up, spare }) => [up, spare])).toEqual([[true, true], [false, false]]);
});

it('one that keeps dying has a trouble', () => {
  members = [member('managed-1', { crashLoop: true, lastExit: 'exited with code 3' })];
  expect(servers().list()[0]!.trouble).toBe('exited with code 3');
});

it('is replaced by the fleet where sessions can move', () => {
  expect(servers().renew('managed-1', 'old')).toBe(true);
  servers().kill('managed-1', 7, 'huge');
  expect(calls).toEqual(['renew managed-1: old', 'kill managed-1/7: huge']);
});

it('is replaced in its place where they cannot, one at a time, and counts as stopping meanwhile', () => {
  const all = servers(false);
  expect([all.renew('managed-1', 'old'), all.renew('managed-2', 'old'), calls]).toEqual([true, false, []]);
  members[0] = member('managed-1', { state: 'stopping' });
  expect(all.list().map(({ name, renewing }) => [name, renewing])).toEqual([['managed-1', true], ['managed-2', false]]);
});
