import { expect, test } from 'vitest';
import { changes } from '../../../config/changes.js';
import type { SkyportConfig } from '../../../config/schema.js';
import { put, scratch } from './scratch.js';
import { loadConfig } from '../../../config/load.js';

const BASE = { identity: 'anonymous: local', fleet: 'count: 1', rest: '' };

/** What changes between the base and the same with these parts, in the same place. */
function changed(parts: Partial<typeof BASE>) {
  const directory = scratch();
  const config = (p: typeof BASE): SkyportConfig => {
    const file = put(directory, 'skyport.yaml', `identity: { ${p.identity} }\nfleet: { ${p.fleet} }\n${p.rest}\n`);
    return loadConfig(file, {}).config as SkyportConfig;
  };
  return changes(config(BASE), config({ ...BASE, ...parts }));
}

test('the same configuration has no changes', () => {
  expect(changed({})).toEqual({ needsRestart: [], reloaded: [] });
});

test('a default that is written out is no change', () => {
  expect(changed({ rest: 'health: { interval: 2000ms }\nlinks: { base: 8 }' })).toEqual({ needsRestart: [], reloaded: [] });
});

test('listen and store need a restart, and so does the admin socket in it', () => {
  expect(changed({ rest: 'listen: [{ tcp: 127.0.0.1:1 }]\nstore: { path: other }' }))
    .toEqual({ needsRestart: ['listen', 'store.path', 'admin.socket'], reloaded: [] });
});

test('where sessions are kept needs a restart, and how much of it does not', () => {
  expect(changed({ rest: 'sessions: { state: server, quota: { per_user: 1GiB } }' }))
    .toEqual({ needsRestart: ['sessions.state'], reloaded: ['sessions.quota.per_user'] });
});

test('what managed servers are started with rolls them over, and where they work needs a restart', () => {
  expect(changed({ fleet: 'count: 1, command: [node, fake.js], env: { A: "1" }, working_directory: w' }))
    .toEqual({ needsRestart: ['fleet.working_directory'], reloaded: ['fleet.command', 'fleet.env'] });
});

test('everything else is reloaded', () => {
  expect(changed({
    identity: 'anonymous: guest, tokens_file: t.yaml', fleet: 'count: 3, restart_backoff: { max: 1m }',
    rest: 'backends: [{ name: a, url: tcp://h:1 }]\nrouting: { policy: round_robin }\nlimits: { clients: 5 }\nguard: { open: { admin: [x] } }\nlog: { level: debug }',
  })).toEqual({
    needsRestart: [],
    reloaded: ['identity.anonymous', 'identity.tokens_file', 'backends', 'fleet.count', 'fleet.restart_backoff.max', 'routing.policy', 'guard.open', 'limits.clients', 'log.level'],
  });
});
