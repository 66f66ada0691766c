import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SkyportConfig } from '../../../config/schema.js';
import { channels, type Bug } from '../../../proxy/channels.js';
import { start, type Startable } from '../../../proxy/cli/start.js';
import { fakeTerminal, type FakeTerminal } from './fake-terminal.js';

let directory: string;
let terminal: FakeTerminal;
let events: EventEmitter;
let exits: number[];
let calls: string[];
let bugs: Bug[];
const onBug = (bug: Bug) => { bugs.push(bug); };

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sp-'));
  writeFileSync(join(directory, 'skyport.yaml'), 'fleet: { count: 1 }\nidentity: { anonymous: local }\n');
  terminal = fakeTerminal(directory);
  events = new EventEmitter();
  exits = [];
  calls = [];
  bugs = [];
  channels.bug.subscribe(onBug);
});

afterEach(() => {
  channels.bug.unsubscribe(onBug);
  rmSync(directory, { recursive: true });
});

function fake(change: Partial<Startable> = {}): Startable {
  const call = (name: string) => () => {
    calls.push(name);
    return Promise.resolve();
  };
  return { start: call('start'), stop: call('stop'), reload: call('reload'), ...change };
}

function run(skyport: Startable = fake()): Promise<number> {
  return start({}, terminal, () => Promise.resolve(skyport), { events, exit: (code) => exits.push(code) });
}

/** The signals have listeners once Skyport is being started. */
async function listening(): Promise<void> {
  while (events.listenerCount('SIGTERM') === 0) await Promise.resolve();
}

test('Skyport gets the config and the file it came from', async () => {
  const given: Array<[SkyportConfig, string]> = [];
  const create = (config: SkyportConfig, file: string) => {
    given.push([config, file]);
    return Promise.resolve(fake({ start: () => Promise.reject(new Error('enough')) }));
  };
  await start({}, terminal, create, { events, exit: () => {} });
  expect(given[0]![0].fleet.count).toBe(1);
  expect(given[0]![1]).toBe(join(directory, 'skyport.yaml'));
});

test.each(['SIGTERM', 'SIGINT'])('%s stops gracefully with exit code 0', async (signal) => {
  const done = run();
  await listening();
  events.emit(signal);
  expect(await done).toBe(0);
  expect(calls).toEqual(['start', 'stop']);
  expect(exits).toEqual([0]);
});

test.each([['SIGTERM', 143], ['SIGINT', 130]])('a second signal, %s, leaves at once with %i', async (signal, code) => {
  void run(fake({ stop: () => new Promise(() => {}) }));
  await listening();
  events.emit('SIGTERM');
  expect(exits).toEqual([]);
  events.emit(signal);
  expect(exits).toEqual([code]);
});

test('a signal during the start stops it, and the start that fails for it is no error', async () => {
  let fail: (error: Error) => void = () => {};
  const done = run(fake({
    start: () => new Promise((_, reject) => { fail = reject; }),
    stop: () => {
      fail(new Error('stopped'));
      return Promise.resolve();
    },
  }));
  await listening();
  events.emit('SIGINT');
  expect(await done).toBe(0);
  expect(terminal.stderr).toBe('');
});

test('SIGHUP reloads, and not while stopping', async () => {
  let stopped: () => void = () => {};
  const done = run(fake({ stop: () => new Promise((resolve) => { stopped = resolve; }) }));
  await listening();
  events.emit('SIGHUP');
  events.emit('SIGHUP');
  events.emit('SIGTERM');
  events.emit('SIGHUP');
  stopped();
  await done;
  expect(calls).toEqual(['start', 'reload', 'reload']);
});

test('a reload that throws is a bug and ends nothing', async () => {
  const done = run(fake({ reload: () => Promise.reject(new Error('reload broke')) }));
  await listening();
  events.emit('SIGHUP');
  await new Promise((resolve) => setImmediate(resolve));
  expect(bugs).toMatchObject([{ where: 'reload' }]);
  expect(exits).toEqual([]);
  events.emit('SIGTERM');
  expect(await done).toBe(0);
});

test.each(['uncaughtException', 'unhandledRejection'])('an %s is published as a bug and ends with 1', async (event) => {
  void run();
  await listening();
  const error = new Error('boom');
  events.emit(event, error);
  expect(bugs).toEqual([{ where: event, error }]);
  expect(exits).toEqual([1]);
});

test('a bug that no log hears of is printed', async () => {
  channels.bug.unsubscribe(onBug);
  void run();
  await listening();
  events.emit('uncaughtException', new Error('boom'));
  expect(terminal.stderr).toContain('skyport: uncaughtException: Error: boom');
});

test('a start that fails says why, cleans up and ends with 1', async () => {
  const done = run(fake({ start: () => Promise.reject(new Error('listen EADDRINUSE: address already in use 127.0.0.1:4321')) }));
  expect(await done).toBe(1);
  expect(terminal.stderr).toBe('skyport: cannot start: listen EADDRINUSE: address already in use 127.0.0.1:4321\n');
  expect(calls).toEqual(['stop']);
});

test('a stop that fails ends with 1', async () => {
  const done = run(fake({ stop: () => Promise.reject(new Error('stuck')) }));
  await listening();
  events.emit('SIGTERM');
  expect(await done).toBe(1);
  expect(bugs).toMatchObject([{ where: 'stop' }]);
});

test('after the end no listener is left on the process', async () => {
  const done = run();
  await listening();
  events.emit('SIGTERM');
  await done;
  expect(events.eventNames()).toEqual([]);
});

test('a config with mistakes is told in full and ends with 2 before anything starts', async () => {
  writeFileSync(join(directory, 'skyport.yaml'), 'fleet: { count: -1 }\nlimits: { clients: 0 }\n');
  expect(await run()).toBe(2);
  expect(terminal.stderr).toMatch(/skyport\.yaml:1:17: error: fleet\.count: [^]*skyport\.yaml:2:20: error: limits\.clients: /);
  expect(calls).toEqual([]);
});
