import { expect, test } from 'vitest';
import { notReadyReasons, warningsOf } from '../../../proxy/observe/snapshot.js';
import { sampleBackend, sampleSnapshot } from './sample-snapshot.js';

test('one backend that is up makes Skyport ready, whatever the others are', () => {
  const backends = [sampleBackend({ state: 'down' }), sampleBackend({ name: 'cli-2' })];
  expect(notReadyReasons(sampleSnapshot({ backends }))).toEqual([]);
});

test('a draining Skyport is not ready although its backends are up', () => {
  expect(notReadyReasons(sampleSnapshot({ draining: true }))).toEqual(['Skyport is draining']);
});

test('a backend that is up but draining does not make Skyport ready', () => {
  const backends = [sampleBackend({ draining: true })];
  expect(notReadyReasons(sampleSnapshot({ backends }))).toEqual(['no backend is up', 'backend cli-1 is up and draining']);
});

test('without a backend that is up, the reasons name each backend and its state', () => {
  const backends = [sampleBackend({ state: 'down' }), sampleBackend({ name: 'cli-2', state: 'ejected' })];
  expect(notReadyReasons(sampleSnapshot({ backends })))
    .toEqual(['no backend is up', 'backend cli-1 is down', 'backend cli-2 is ejected']);
});

test('a config without backends is told apart from backends that are down', () => {
  expect(notReadyReasons(sampleSnapshot({ backends: [] }))).toEqual(['no backend is configured']);
});

test('a Skyport that is still starting is not ready', () => {
  expect(notReadyReasons(sampleSnapshot({ ready: false }))).toEqual(['Skyport is starting']);
});

test('nothing to look at is no warning', () => {
  expect(warningsOf(sampleSnapshot({ store: { up: true }, line: { waiting: 0 } }))).toEqual([]);
});

test('warnings tell of the store, of servers that keep dying, of the roll-over and of the line', () => {
  const backends = [sampleBackend({ crashLoop: true, lastError: 'exit code 1' }), sampleBackend({ name: 'cli-2', crashLoop: true })];
  expect(warningsOf(sampleSnapshot({ backends, store: { up: false, reason: 'no answer' }, rollOverStopped: 'it does not start', line: { waiting: 1 } }))).toEqual([
    'the store is away: no answer', 'cli-1 keeps dying: exit code 1', 'cli-2 keeps dying: the log may tell why',
    'servers are not replaced any more: it does not start', '1 user waits for a server',
  ]);
});
