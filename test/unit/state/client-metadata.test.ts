/** Answers of runtime 1.0.85 for the same files (measured). */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { clientMetadata, keyFault } from '../../../proxy/state/client-metadata.js';
import { Kept } from './kept.js';

let kept: Kept;

beforeEach(() => {
  kept = new Kept();
});

afterEach(() => kept.end());

it.each([
  ['{"version":1,"metadata":{"a":"1","b":"2"}}', { status: 'ok', metadata: { a: '1', b: '2' } }],
  ['{"version":2,"metadata":{}}', { status: 'unsupportedVersion' }],
  ['{"version":1,"metadata":{"k":5}}', { status: 'corrupt' }],
  ['garbage', { status: 'corrupt' }],
])('%s is %j', async (text, expected) => {
  await kept.put('s', { 'client-metadata.json': text });
  expect(await clientMetadata(kept.files, 's')).toEqual({ sessionId: 's', ...expected });
});

it('a session that clients have noted nothing on has an empty bag', async () => {
  await kept.put('s', { 'workspace.yaml': 'id: s\n' });
  expect(await clientMetadata(kept.files, 's')).toEqual({ sessionId: 's', status: 'ok', metadata: {} });
});

it('a session without files is not found', async () => {
  expect(await clientMetadata(kept.files, 'nobody')).toEqual({ sessionId: 'nobody', status: 'notFound' });
});

it('only the keys that are asked for are told', async () => {
  await kept.put('s', { 'client-metadata.json': '{"version":1,"metadata":{"a":"1","b":"2"}}' });
  expect(await clientMetadata(kept.files, 's', ['b', 'c'])).toEqual({ sessionId: 's', status: 'ok', metadata: { b: '2' } });
});

it.each([[undefined, true], [null, true], [['a'], true], [[''], false], [['x'.repeat(257)], false], [['copilot/a'], false], [['github/a'], false], ['a', false], [[5], false]])(
  'keys %j are sound: %s', (keys, sound) => {
    expect(keyFault(keys) === undefined).toBe(sound);
  });
