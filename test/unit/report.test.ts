import { expect, test } from 'vitest';
import type { Backend } from '../../proxy/backends/backend.js';
import type { Pool } from '../../proxy/backends/pool.js';
import { Roster } from '../../proxy/clients/roster.js';
import type { BackendSnapshot } from '../../proxy/observe/snapshot.js';
import { describe, type Sources } from '../../proxy/report.js';
import { Directory } from '../../proxy/sessions/directory.js';
import { FakeRegistry } from './sessions/cast.js';

/** What the report reads of a backend. */
function backendOf(name: string, change: object = {}): Backend {
  const none = { bytesIn: 0, bytesOut: 0, framesIn: 0, framesOut: 0 };
  return {
    name, kind: 'managed', draining: false, removed: false, restarting: false, version: '1.2.3', protocolVersion: 3, settings: { weight: 1, backup: false },
    health: { state: 'up', latencyMs: 2 }, links: { count: 1, waiting: 0, attached: 0, has: () => false }, traffic: () => none, ...change,
  } as unknown as Backend;
}

/** @param backends of two with one name the first is the one that stays */
function poolOf(backends: readonly Backend[]): Pool {
  return {
    all: () => [...backends], get: (name: string) => backends.find((one) => one.name === name), peer: () => undefined,
    traffic: () => ({ bytesIn: 0, bytesOut: 0, framesIn: 0, framesOut: 0 }),
  } as unknown as Pool;
}

type Member = Sources['members'][number];

function memberOf(name: string, change: object = {}): Member {
  return { name, state: 'ready', pid: 100, restarts: 2, crashLoop: false, startedAt: 7_000, tenancy: { kind: 'shared' }, canary: false, run: 2, outdated: false, renewing: false, ...change } as Member;
}

function report(backends: readonly Backend[], change: Partial<Sources> = {}): ReturnType<typeof describe> {
  const directory = new Directory(new FakeRegistry(), { turnStarted: () => undefined, turnEnded: () => undefined, changed: () => undefined, unloaded: () => undefined }, () => undefined);
  return describe({
    directory, pool: poolOf(backends), roster: new Roster(), members: [], linksMax: 32, startedAt: 1, ready: true, draining: false, moves: true,
    staying: () => 0, version: '9', others: [], store: undefined, ...change,
  });
}

function first(...args: Parameters<typeof report>): BackendSnapshot {
  return report(...args).backends[0]!;
}

test('a managed server has the process, the tenancy and the plight of its member', () => {
  const members = [memberOf('managed-u1', { tenancy: { kind: 'user', user: 'alice' }, canary: true, outdated: true, renewing: true, crashLoop: true, renewFailed: 'exit code 1' })];
  expect(first([backendOf('managed-u1')], { members })).toMatchObject({
    pid: 100, startedAt: 7_000, restarts: 2, tenancy: 'user', user: 'alice', canary: true, outdated: true, renewing: true, crashLoop: true, renewFailed: 'exit code 1',
    version: '1.2.3', protocolVersion: 3,
  });
});

test('what is not the case is left out', () => {
  const text = JSON.stringify(first([backendOf('managed-1')], { members: [memberOf('managed-1')] }));
  expect(text).not.toMatch(/canary|outdated|renewing|crashLoop|predecessor|user|recycleReason|drainingSince/);
});

test('usage, latency, the reason and since when are asked for', () => {
  const asked: unknown[] = [];
  const found = first([backendOf('managed-1', { draining: true })], {
    members: [memberOf('managed-1')],
    usage: (name, run) => { asked.push([name, run]); return { rss: 1, openFiles: 2, children: 3, cpuMs: 4, at: 5 }; },
    latency: ({ name }) => { asked.push(name); return { pingMs: 6, createMs: 7, factor: 8 }; },
    recycleReason: (name, run) => `${name} ${run}`,
    drainingSince: () => 9,
  });
  expect(found).toMatchObject({ rss: 1, openFiles: 2, children: 3, cpuMs: 4, usageAt: 5, pingMs: 6, createMs: 7, latencyFactor: 8, recycleReason: 'managed-1 2', drainingSince: 9 });
  expect(asked).toEqual([['managed-1', 2], 'managed-1']);
});

test('a server that is drained for its successor is told apart from it, with the usage of its own run', () => {
  const old = backendOf('managed-1', { removed: true, run: 1, tenancy: { kind: 'shared' } });
  const { backends } = report([backendOf('managed-1', { run: 2 }), old], { members: [memberOf('managed-1')], usage: (_, run) => ({ rss: run! * 10 }) });
  expect(backends.map(({ predecessor, rss, pid }) => [predecessor, rss, pid])).toEqual([[undefined, 20, 100], [true, 10, undefined]]);
});

test('of a predecessor whose run is not known no usage is told', () => {
  const old = backendOf('managed-1', { removed: true });
  expect(report([backendOf('managed-1'), old], { members: [memberOf('managed-1')], usage: () => ({ rss: 10 }) }).backends[1]!.rss).toBeUndefined();
});

test('sessions that the predecessor still has are its own, all others its successor\'s', () => {
  const old = backendOf('managed-1', { removed: true, links: { count: 1, waiting: 0, attached: 1, has: (link: unknown) => link === 'old link' } });
  const session = (owner: string, link: string, open: boolean) => ({ owner, backend: 'managed-1', holder: '', primary: { link }, turn: { open }, loaded: true, state: 'idle', attachments: [{}] });
  const sessions = [session('alice', 'old link', true), session('bob', 'new link', true), session('carol', 'new link', false)];
  const directory = {
    size: 3, all: () => sessions, live: () => sessions, loaded: () => 3, loadedOn: () => sessions, turnsOpen: () => 2,
  } as unknown as Directory;
  const { backends } = report([backendOf('managed-1'), old], { directory, members: [memberOf('managed-1')] });
  expect(backends.map(({ sessionsBound, sessionsAttached, turnsOpen }) => [sessionsBound, sessionsAttached, turnsOpen])).toEqual([[2, 2, 1], [1, 1, 1]]);
});

test('a server that leaves the fleet without a successor is no predecessor', () => {
  const leaving = backendOf('managed-1', { removed: true });
  const { all, traffic, peer } = poolOf([leaving]);
  expect(first([], { pool: { all, traffic, peer, get: () => undefined } as unknown as Pool })).toMatchObject({ draining: true });
  expect(first([], { pool: { all, traffic, peer, get: () => undefined } as unknown as Pool }).predecessor).toBeUndefined();
});

test('a static backend is nobody\'s', () => {
  const found = first([backendOf('cli-1', { kind: 'static', tenancy: { kind: 'shared' } })], { usage: () => ({ rss: 1 }) });
  expect([found.tenancy, found.rss, found.pid]).toEqual([undefined, undefined, undefined]);
});

test('a member that never came up is listed with how it ended last', () => {
  expect(first([], { members: [memberOf('managed-1', { state: 'waiting', pid: undefined, lastExit: 'exit code 1', crashLoop: true })] }))
    .toMatchObject({ name: 'managed-1', state: 'waiting', lastError: 'exit code 1', crashLoop: true, tenancy: 'shared', restarts: 2 });
});

test('users have their own servers, and the line and the roll-over are told', () => {
  const members = [memberOf('managed-u1', { tenancy: { kind: 'user', user: 'alice' } })];
  const { users, line, rollOverStopped } = report([backendOf('managed-u1')], { members, usersWaiting: 3, rollOverStopped: 'it does not start' });
  expect([users!.map(({ user, server }) => [user, server]), line, rollOverStopped]).toEqual([[['alice', 'managed-u1']], { waiting: 3 }, 'it does not start']);
});

test('Skyport tells of its own process, and when', () => {
  const before = Date.now();
  const { at, process: own } = report([]);
  expect(at).toBeGreaterThanOrEqual(before);
  expect(own!.pid).toBe(process.pid);
  expect(own!.rss).toBeGreaterThan(1e6);
  expect(own!.cpuMs).toBeGreaterThan(0);
});
