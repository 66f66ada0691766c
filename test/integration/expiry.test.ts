/** Sessions that nobody has used for `sessions.ttl` are deleted, from their server and from the registry. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { EmbeddedRegistry } from '../../proxy/store/embedded.js';
import { hasFiles } from '../support/kept.js';
import { scopeOfEachTest } from '../support/scope.js';
import { turn } from '../support/sdk.js';
import { Site } from '../support/site.js';

const scope = scopeOfEachTest();
const HOUR = 3_600_000;

it.each([['server', { servers: 1 }], ['skyport', { managed: 1 }]])('an old session goes, a newer one and one that is attached stay, with state %s', async (state, servers) => {
  const site = await Site.start(scope, { ...servers, config: { sessions: { state, ttl: '1h' } } });
  const client = site.client();
  const [old, newer, attached] = [await client.createSession(site.session()), await client.createSession(site.session()), await client.createSession(site.session())];
  for (const session of [old!, newer!, attached!]) await turn(session, 'remember me');
  await site.skyport.halt('SIGTERM');

  const registry = new EmbeddedRegistry(path.join(site.skyport.directory, 'data'));
  for (const record of registry.load()) {
    if (record.id !== newer!.sessionId) await registry.put({ ...record, usedAt: record.usedAt - 2 * HOUR });
  }
  await registry.close();
  // Nothing expires before the ttl is put in force again, when somebody has the third one attached.
  site.skyport.editConfig((config) => { config['sessions'] = { state }; });
  await site.skyport.run();
  const again = site.client();
  await again.resumeSession(attached!.sessionId, site.session());
  site.skyport.editConfig((config) => { config['sessions'] = { state, ttl: '1h' }; });

  expect(await site.skyport.logged((line) => line.event === 'session_deleted')).toMatchObject({ sessionId: old!.sessionId, reason: 'ttl' });
  const left = (await site.sessions()).map(({ id }) => id);
  expect(left.sort()).toEqual([newer!.sessionId, attached!.sessionId].sort());
  const onDisk = (id: string) => (state === 'server' ? existsSync(path.join(site.servers[0]!.home, 'session-state', id)) : hasFiles(site.skyport, id));
  expect([onDisk(old!.sessionId), onDisk(newer!.sessionId), onDisk(attached!.sessionId)]).toEqual([false, true, true]);
  await expect(again.resumeSession(old!.sessionId, site.session())).rejects.toThrow(/Session not found/);
});
