/** `fleet.isolation: per_user`: a CLI server for each user, through the SDK. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { BackendSnapshot } from '../../proxy/observe/snapshot.js';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn } from '../support/sdk.js';
import { IMPATIENT_HEALTH, Site, type SiteOptions } from '../support/site.js';
import { shareWithBob } from '../support/two-skyports.js';

const scope = scopeOfEachTest();

/** No shared server; `fleet` on top of what a site has. */
function start(fleet: object = {}, more: SiteOptions = {}): Promise<Site> {
  return Site.start(scope, {
    ...more,
    config: (place) => ({
      health: IMPATIENT_HEALTH,
      fleet: {
        count: 0, isolation: 'per_user', spares: 0, working_directory: `${place.directory}/work`, env: { COPILOT_OFFLINE: 'true' },
        restart_backoff: { min: '20ms', max: '200ms' }, ...fleet,
      },
      ...(typeof more.config === 'object' ? more.config : {}),
    }),
  });
}

/** The servers that have been given to users. */
async function own(site: Site): Promise<Record<string, BackendSnapshot>> {
  const { backends } = await site.status();
  return Object.fromEntries(backends.flatMap((backend) => (backend.user === undefined ? [] : [[backend.user, backend]])));
}

function homeOf({ pid }: BackendSnapshot): string {
  const entries = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  return entries.find((entry) => entry.startsWith('COPILOT_HOME='))!.slice('COPILOT_HOME='.length);
}

describe('users with servers of their own', () => {
  it('work in two processes with two homes, started by their first messages', async () => {
    const site = await start();
    expect((await site.status()).backends).toEqual([]);
    const [alice, bob] = await Promise.all([site.client('alice').createSession(site.session()), site.client('bob').createSession(site.session())]);
    expect((await turn(alice, 'hello')).text).toBe('answer 1: hello');
    expect((await turn(bob, 'hello')).text).toBe('answer 1: hello');
    const servers = await own(site);
    expect(Object.keys(servers).sort()).toEqual(['alice', 'bob']);
    expect(servers['alice']!.pid).not.toBe(servers['bob']!.pid);
    expect(homeOf(servers['alice']!)).not.toBe(homeOf(servers['bob']!));
    const bound = Object.fromEntries((await site.sessions()).map(({ owner, backend }) => [owner, backend]));
    expect(bound).toEqual({ alice: servers['alice']!.name, bob: servers['bob']!.name });
  });

  it('have one each also when many of their clients come at once', async () => {
    const site = await start();
    const sessions = await Promise.all(Array.from({ length: 8 }, () => site.client('alice').createSession(site.session())));
    await Promise.all(sessions.map((session) => turn(session, 'hello')));
    expect((await site.status()).backends.map(({ user }) => user)).toEqual(['alice']);
  });

  it('get a server that is warm already', async () => {
    const site = await start({ spares: 1 });
    await site.until(({ backends }) => backends.some(({ tenancy, state }) => tenancy === 'spare' && state === 'up'));
    const [spare] = (await site.status()).backends;
    await site.client('alice').createSession(site.session());
    expect((await own(site))['alice']).toMatchObject({ name: spare!.name, pid: spare!.pid });
    // The next one is made ready.
    await site.until(({ backends }) => backends.some(({ tenancy, state }) => tenancy === 'spare' && state === 'up'));
  });

  it('notice nothing when the server of somebody else hangs, whose turn is completed', async () => {
    const site = await start();
    const [alice, bob] = await Promise.all([site.client('alice').createSession(site.session()), site.client('bob').createSession(site.session())]);
    await turn(bob, 'before');
    const heard = new Recording(alice);
    await alice.send('one [[hold:gate]]');
    await site.model.asked('one');
    const before = await own(site);
    process.kill(before['alice']!.pid!, 'SIGSTOP');
    expect((await turn(bob, 'during')).text).toBe('answer 2: during');
    site.model.release('gate');
    await heard.until('session.idle');
    expect(heard.text).toContain('answer 1: one');
    const after = await own(site);
    expect(after['bob']!.pid).toBe(before['bob']!.pid);
    expect(after['alice']!.pid).not.toBe(before['alice']!.pid);
  });

  it('find their sessions as they were when an idle server was stopped and is started again', async () => {
    const site = await start({ idle_stop: '1s' });
    const alice = await site.client('alice').createSession(site.session());
    await turn(alice, 'remember the heron');
    const before = (await own(site))['alice']!;
    await site.until(({ backends }) => backends.length === 0);
    expect((await turn(alice, 'and now')).text).toBe('answer 2: and now');
    const after = (await own(site))['alice']!;
    expect(after.name).toBe(before.name);
    expect(after.pid).not.toBe(before.pid);
    expect(homeOf(after)).toMatch(/home$/);
  });

  it('get the place of whoever was idle for longest, when all are taken', async () => {
    const site = await start({ max_servers: 1 });
    const alice = await site.client('alice').createSession(site.session());
    await turn(alice, 'one');
    const bob = await site.client('bob').createSession(site.session());
    expect((await turn(bob, 'one')).text).toBe('answer 1: one');
    expect(Object.keys(await own(site))).toEqual(['bob']);
    expect((await turn(alice, 'two')).text).toBe('answer 2: two');
    expect(Object.keys(await own(site))).toEqual(['alice']);
  });

  it('wait for a place while nobody is idle, and are refused when that takes too long', async () => {
    const site = await start({ max_servers: 1, wait: '1s' });
    const alice = await site.client('alice').createSession(site.session());
    const heard = new Recording(alice);
    await alice.send('one [[hold:gate]]');
    await site.model.asked('one');
    await expect(site.client('bob').createSession(site.session())).rejects.toThrow(/All CLI servers are in use/);
    site.model.release('gate');
    await heard.until('session.idle');
    const bob = await site.client('bob').createSession(site.session());
    expect((await turn(bob, 'one')).text).toBe('answer 1: one');
  });

  it('go by their role, so that guests share', async () => {
    const site = await start({ count: 1, isolation: 'shared', roles: { customer: { isolation: 'per_user' } } }, {
      tokens: [{ user: 'alice', roles: ['user', 'customer'] }, { user: 'bob' }, { user: 'carol' }],
    });
    for (const user of ['alice', 'bob', 'carol']) await turn(await site.client(user).createSession(site.session()), 'hello');
    const bound = Object.fromEntries((await site.sessions()).map(({ owner, backend }) => [owner, backend]));
    expect([bound['bob'], bound['carol']]).toEqual(['managed-1', 'managed-1']);
    expect(bound['alice']).toBe((await own(site))['alice']!.name);
    expect(bound['alice']).not.toBe('managed-1');
  });

  it('are told why when theirs does not start', async () => {
    const site = await start({ command: ['/bin/false'] });
    await expect(site.client('alice').createSession(site.session())).rejects.toThrow(/Your CLI server does not start|No CLI server/);
  });

  it('keep the sessions that another user shares with them on that user\'s server', async () => {
    const site = await start();
    const alice = await site.client('alice').createSession(site.session());
    await turn(alice, 'remember the heron');
    await shareWithBob(site, alice);
    const bob = await site.client('bob').resumeSession(alice.sessionId, site.session());
    expect((await turn(bob, 'and now')).text).toBe('answer 2: and now');
    expect((await site.sessions())[0]).toMatchObject({ owner: 'alice', backend: (await own(site))['alice']!.name });
  });
});
