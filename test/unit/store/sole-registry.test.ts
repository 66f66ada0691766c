import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { EmbeddedRegistry } from '../../../proxy/store/embedded.js';
import { Superseded, type SharedRecord } from '../../../proxy/store/shared-registry.js';
import { SoleRegistry } from '../../../proxy/store/sole-registry.js';
import { scopeOfEachTest } from '../../support/scope.js';

const scope = scopeOfEachTest();
let directory: string;
let registry: SoleRegistry;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'skyport-store-'));
  scope.after(() => rmSync(directory, { recursive: true, force: true }));
  registry = open();
});

function open(): SoleRegistry {
  const opened = new SoleRegistry(new EmbeddedRegistry(directory));
  scope.after(() => opened.close());
  return opened;
}

function recordOf(id: string, more: Partial<SharedRecord> = {}): SharedRecord {
  return { id, owner: 'alice', backend: 'b1', epoch: 1, createdAt: 1, usedAt: 1, turns: 0, holder: '', ...more };
}

it('gives an id away once', async () => {
  expect(await Promise.all([registry.create(recordOf('s1')), registry.create(recordOf('s1', { owner: 'bob' }))])).toEqual([true, false]);
  expect(await registry.find('s1')).toEqual(recordOf('s1'));
});

it('has everything again after it was opened again, with no holder where none was stored', async () => {
  await registry.create(recordOf('s1', { turns: 4 }));
  await registry.close();
  const { holder: _, ...old } = recordOf('s2');
  const plain = new EmbeddedRegistry(directory);
  await plain.put(old);
  await plain.close();
  expect(await open().load()).toEqual([recordOf('s1', { turns: 4 }), recordOf('s2')]);
});

it('lets one of two claims from an epoch through, and no put of an older one', async () => {
  await registry.create(recordOf('s1'));
  const claims = [registry.claim(recordOf('s1', { epoch: 2 }), 1), registry.claim(recordOf('s1', { epoch: 2, backend: 'b2' }), 1)];
  expect(await Promise.all(claims)).toEqual([true, false]);
  await expect(registry.put(recordOf('s1'))).rejects.toBeInstanceOf(Superseded);
  await expect(registry.remove('s1', 1)).rejects.toBeInstanceOf(Superseded);
  expect(await registry.find('s1')).toMatchObject({ epoch: 2, backend: 'b1' });
});

it('does not bring a removed session back', async () => {
  await registry.create(recordOf('s1'));
  await registry.remove('s1');
  await expect(registry.put(recordOf('s1'))).rejects.toMatchObject({ record: undefined });
  expect(await registry.load()).toEqual([]);
});

it('has what it had before when the store refuses a write', async () => {
  const refusing = new SoleRegistry({
    load: () => [recordOf('s1')], put: () => Promise.reject(new Error('disk full')), remove: () => Promise.resolve(), close: () => Promise.resolve(),
  });
  await expect(refusing.put(recordOf('s1', { turns: 9 }))).rejects.toThrow('disk full');
  await expect(refusing.create(recordOf('s2'))).rejects.toThrow('disk full');
  expect(await refusing.load()).toEqual([recordOf('s1')]);
});
