/** `fleet.canary`: a new version that gets a part of the new sessions. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { RUNTIME_BINARY } from '../support/runtime.js';
import { scopeOfEachTest } from '../support/scope.js';
import { turn } from '../support/sdk.js';
import { Site } from '../support/site.js';
import type { ConfigFile } from '../support/skyport.js';

const scope = scopeOfEachTest();

function start(fleet: ConfigFile): Promise<Site> {
  return Site.start(scope, {
    config: ({ directory }) => {
      const canary = path.join(directory, 'canary.sh');
      writeFileSync(canary, `#!/bin/sh\nexec ${RUNTIME_BINARY} "$@"\n`, { mode: 0o755 });
      return {
        fleet: {
          working_directory: path.join(directory, 'work'), env: { COPILOT_OFFLINE: 'true' }, restart_backoff: { min: '20ms', max: '200ms' },
          canary: { command: [canary], share: 0.5 }, ...fleet,
        },
      };
    },
  });
}

describe('a canary', () => {
  it('gets its share of new sessions, and is drained into the others when it is taken back', async () => {
    const site = await start({ count: 1 });
    await site.until(({ backends }) => backends.length === 2 && backends.every(({ state }) => state === 'up'));
    expect((await site.backend('managed-canary-1'))!.canary).toBe(true);
    const client = site.client();
    const sessions = [];
    for (let n = 0; n < 20; n++) sessions.push(await client.createSession(site.session({ sessionId: `session-${n}` })));
    const where = (await site.sessions()).map(({ backend }) => backend);
    // A hash of the id decides, so these very ids always fall alike.
    const onCanary = where.filter((name) => name === 'managed-canary-1').length;
    expect([onCanary > 4, onCanary < 16, new Set(where).size]).toEqual([true, true, 2]);
    for (const session of sessions) await turn(session, 'hello');
    site.skyport.editConfig((config) => {
      const { canary, ...fleet } = config['fleet'] as ConfigFile;
      config['fleet'] = fleet;
      expect(canary).toBeDefined();
    });
    await site.until(({ backends }) => backends.length === 1);
    for (const session of sessions) expect((await turn(session, 'again')).text).toBe('answer 2: again');
    expect(new Set((await site.sessions()).map(({ backend }) => backend))).toEqual(new Set(['managed-1']));
  });

  it('is the server of a share of the users where each has his own', async () => {
    const site = await start({ count: 0, isolation: 'per_user', spares: 0, canary: { command: [RUNTIME_BINARY], share: 1 } });
    await turn(await site.client().createSession(site.session()), 'hello');
    expect((await site.status()).backends).toMatchObject([{ user: 'alice', canary: true }]);
  });
});
