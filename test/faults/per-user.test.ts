/** Servers of users' own, when things go wrong around them. */
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BackendSnapshot } from '../../proxy/observe/snapshot.js';
import { isRunning } from '../integration/fleet-rig.js';
import { Chatter } from '../support/chatter.js';
import { RUNTIME_BINARY } from '../support/runtime.js';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn } from '../support/sdk.js';
import { IMPATIENT_HEALTH, Site } from '../support/site.js';
import type { ConfigFile } from '../support/skyport.js';

const scope = scopeOfEachTest();

const ROOT = process.getuid?.() === 0;

function start(fleet: ConfigFile = {}): Promise<Site> {
  return Site.start(scope, {
    config: ({ directory }) => {
      // Whoever has a uid of his own must get through to his directories.
      chmodSync(directory, 0o711);
      chmodSync(path.join(directory, 'work'), 0o755);
      return {
        health: IMPATIENT_HEALTH,
        fleet: {
          count: 0, isolation: 'per_user', spares: 0, working_directory: path.join(directory, 'work'), env: { COPILOT_OFFLINE: 'true' },
          restart_backoff: { min: '20ms', max: '200ms' }, ...fleet,
        },
      };
    },
  });
}

async function serverOf(site: Site, user: string): Promise<BackendSnapshot> {
  return (await site.status()).backends.find((backend) => backend.user === user)!;
}

describe('after a kill -9 of Skyport', () => {
  it('the servers of the one before are gone, and sessions resume on new ones', async () => {
    const site = await start({ spares: 1 });
    const sessions = await Promise.all(['alice', 'bob'].map((user) => site.client(user).createSession(site.session())));
    for (const session of sessions) await turn(session, 'remember the heron');
    const before = (await site.status()).backends.map(({ pid }) => pid!);
    await site.skyport.kill9();
    await site.skyport.run();
    for (const [n, user] of ['alice', 'bob'].entries()) {
      const again = await site.client(user).resumeSession(sessions[n]!.sessionId, site.session());
      expect((await turn(again, 'and now')).text).toBe('answer 2: and now');
    }
    expect(before.filter(isRunning)).toEqual([]);
    expect((await serverOf(site, 'alice')).name).not.toBe((await serverOf(site, 'bob')).name);
  });
});

describe('a server of one\'s own that is killed in the middle of a turn', () => {
  it('is started again, and the turn goes on there', async () => {
    const site = await start();
    const alice = await site.client('alice').createSession(site.session());
    const heard = new Recording(alice);
    await alice.send('one [[hold:gate]]');
    await site.model.asked('one');
    const before = await serverOf(site, 'alice');
    process.kill(before.pid!, 'SIGKILL');
    site.model.release('gate');
    await heard.until('session.idle');
    expect(heard.text).toContain('answer 1: one');
    const after = await serverOf(site, 'alice');
    expect([after.name, after.pid === before.pid]).toEqual([before.name, false]);
    expect((await alice.getEvents()).filter(({ type }) => type === 'user.message')).toHaveLength(1);
  });
});

describe('another fleet.command', () => {
  it('replaces all servers under load, and no turn is lost', async () => {
    const site = await start({ spares: 1, recycle: { at_once: 2 } });
    const users = ['alice', 'bob'];
    const chatters = await Promise.all(users.map(async (user) => new Chatter(await site.client(user).createSession(site.session()), user)));
    await site.until(({ backends }) => backends.length === 3 && chatters.every(({ heard }) => heard.length > 0));
    const before = (await site.status()).backends.map(({ pid }) => pid);
    const wrapper = path.join(site.skyport.directory, 'newer.sh');
    writeFileSync(wrapper, `#!/bin/sh\nexec ${RUNTIME_BINARY} "$@"\n`, { mode: 0o755 });
    site.skyport.editConfig((config) => {
      config['fleet'] = { ...config['fleet'] as ConfigFile, command: [wrapper] };
    });
    await site.until(({ backends }) => backends.length === 3 && backends.every(({ pid, state, outdated }) => !before.includes(pid) && state === 'up' && !outdated));
    const seen = chatters.map(({ heard }) => heard.length);
    await site.until(() => chatters.every(({ heard }, n) => heard.length > seen[n]!));
    await Promise.all(chatters.map((chatter) => chatter.stop()));
    for (const chatter of chatters) expect(chatter.heard).toEqual(chatter.expected);
  }, 120_000);
});

describe.runIf(ROOT)('servers with uids of their own', () => {
  it('have an agent\'s shell that reads nothing of another user\'s', async () => {
    const site = await start({ uids: { from: 62_000, count: 10 } });
    const [alice, bob] = [site.directory('alice'), site.directory('bob')];
    const sessions = [
      await site.client('alice').createSession(site.session({ workingDirectory: alice })),
      await site.client('bob').createSession(site.session({ workingDirectory: bob })),
    ] as const;
    for (const session of sessions) await turn(session, 'hello');
    const home = path.join(site.skyport.directory, 'data', 'servers', (await serverOf(site, 'bob')).name, 'home');
    mkdirSync(path.join(home, 'private'), { recursive: true });
    writeFileSync(path.join(home, 'private', 'note'), 'bob-was-here', { mode: 0o644 });
    chmodSync(path.join(home, 'private'), 0o755);
    const say = async (session: (typeof sessions)[number], command: string): Promise<string> => {
      const { events } = await turn(session, `[[tool:bash ${JSON.stringify({ command, description: 'look' })}]]`);
      return JSON.stringify(events.filter(({ type }) => type === 'tool.execution_complete'));
    };
    expect(await say(sessions[1], `cat ${home}/private/note`)).toContain('bob-was-here');
    const looked = await say(sessions[0], `cat ${home}/private/note; ls ${bob}; cat ${site.skyport.directory}/data/registry/*; id -u`);
    expect(looked).not.toContain('bob-was-here');
    expect(looked.match(/Permission denied/g)!.length).toBeGreaterThanOrEqual(3);
    expect(looked).toContain(String(statSync(path.join(site.skyport.directory, 'data', 'servers', (await serverOf(site, 'alice')).name)).uid));
    expect(await say(sessions[0], 'echo mine > own.txt && cat own.txt')).toContain('mine');
  });
});
