/** Skyport itself is killed with -9, in the middle of everything, and started again. */
import { describe, expect, it } from 'vitest';
import { isRunning } from '../integration/fleet-rig.js';
import { scopeOfEachTest } from '../support/scope.js';
import { turn } from '../support/sdk.js';
import { Site } from '../support/site.js';

const scope = scopeOfEachTest();

/** What the registry is for: who owns what, and where it lives. */
async function bindings(site: Site): Promise<Record<string, unknown>[]> {
  const rows = (await site.sessions()).map(({ id, owner, backend, epoch, createdAt }) => ({ id, owner, backend, epoch, createdAt }));
  return rows.sort((a, b) => (a.id < b.id ? -1 : 1));
}

async function managedPids(site: Site): Promise<number[]> {
  return (await site.status()).backends.map((backend) => backend.pid!);
}

describe('after a kill -9 of Skyport', () => {
  it('owners and bindings are as before, and sessions resume with their history', async () => {
    const site = await Site.start(scope, { managed: 3 });
    const client = site.client();
    const ids: string[] = [];
    for (let n = 1; n <= 6; n++) {
      const session = await client.createSession(site.session());
      await turn(session, `thought ${n}`);
      ids.push(session.sessionId);
    }
    const bobs = await site.client('bob').createSession(site.session());
    const before = await bindings(site);
    await site.skyport.kill9();
    await site.skyport.run();
    expect(await bindings(site)).toEqual(before);
    expect(before.map((row) => row.owner).sort()).toEqual([...ids.map(() => 'alice'), 'bob']);
    expect(before.map((row) => row.id)).toContain(bobs.sessionId);
    const again = site.client();
    for (const id of ids) {
      expect((await turn(await again.resumeSession(id, site.session()), 'and then')).text).toBe('answer 2: and then');
    }
    expect((await again.listSessions()).map((one) => one.sessionId).sort()).toEqual([...ids].sort());
  });

  it("another user's session is refused as before", async () => {
    const site = await Site.start(scope, { managed: 1 });
    const session = await site.client().createSession(site.session());
    await turn(session, 'mine');
    await site.skyport.kill9();
    await site.skyport.run();
    await expect(site.client('bob').resumeSession(session.sessionId, site.session())).rejects.toThrow(/Session not found/);
    const wire = await site.wire('bob');
    const answer = await wire.call('session.create', site.params({ sessionId: session.sessionId }));
    expect(answer.error?.message).toBe(`Session not found for sessionId: ${session.sessionId}`);
  });

  it('a session that was made the moment before has its owner', async () => {
    const site = await Site.start(scope, { managed: 1 });
    const wire = await site.wire();
    await wire.result('session.create', site.params({ sessionId: 'brand-new' }));
    await site.skyport.kill9();
    await site.skyport.run();
    expect((await bindings(site)).map(({ id, owner }) => ({ id, owner }))).toEqual([{ id: 'brand-new', owner: 'alice' }]);
    const back = await site.client().resumeSession('brand-new', site.session());
    expect((await turn(back, 'hello')).text).toBe('answer 1: hello');
  });

  it('a fork belongs to the owner of the first', async () => {
    const site = await Site.start(scope, { managed: 1 });
    const client = site.client();
    const session = await client.createSession(site.session());
    await turn(session, 'a root');
    const { sessionId } = await client.rpc.sessions.fork({ sessionId: session.sessionId });
    await site.skyport.kill9();
    await site.skyport.run();
    const branch = await site.client().resumeSession(sessionId, site.session());
    expect((await turn(branch, 'a branch')).text).toBe('answer 2: a branch');
  });

  it('a deleted session stays deleted', async () => {
    const site = await Site.start(scope, { managed: 1 });
    const client = site.client();
    const session = await client.createSession(site.session());
    await turn(session, 'gone soon');
    await client.deleteSession(session.sessionId);
    await site.skyport.kill9();
    await site.skyport.run();
    expect(await site.sessions()).toEqual([]);
    await expect(site.client().resumeSession(session.sessionId, site.session())).rejects.toThrow(/Session not found/);
  });

  it('the managed servers of the killed one are gone, and their sessions live on in new ones', async () => {
    const site = await Site.start(scope, { managed: 2 });
    await site.until((status) => status.backends.length === 2 && status.backends.every((one) => one.state === 'up'));
    const client = site.client();
    const sessions = [await client.createSession(site.session()), await client.createSession(site.session())];
    for (const session of sessions) await turn(session, 'remember me');
    await sessions[0]!.send('[[hold:forever]]');
    await site.model.asked('[[hold:forever]]');
    const before = { pids: await managedPids(site), bindings: await bindings(site) };
    await site.skyport.kill9();
    await site.skyport.run();
    await site.until((status) => status.backends.length === 2 && status.backends.every((one) => one.state === 'up'));
    expect(before.pids.map(isRunning)).toEqual([false, false]);
    expect(await bindings(site)).toEqual(before.bindings);
    const again = site.client();
    for (const { sessionId } of sessions) {
      const said = await turn(await again.resumeSession(sessionId, site.session()), 'who am I');
      expect(said.text).toMatch(/^answer \d: who am I$/);
    }
    const after = await managedPids(site);
    expect(after.every((pid) => isRunning(pid) && !before.pids.includes(pid))).toBe(true);
    site.model.release('forever');
    await site.skyport.halt('SIGTERM');
    expect(after.map(isRunning)).toEqual([false, false]);
  });
});

describe('after an orderly restart of Skyport', () => {
  it('everything is as it was, on managed servers too', async () => {
    const site = await Site.start(scope, { managed: 2 });
    await site.until((status) => status.backends.length === 2 && status.backends.every((one) => one.state === 'up'));
    const client = site.client();
    const sessions = [await client.createSession(site.session()), await client.createSession(site.session())];
    for (const session of sessions) await turn(session, 'before');
    const before = await bindings(site);
    await site.skyport.restart();
    expect(await bindings(site)).toEqual(before);
    const again = site.client();
    for (const { sessionId } of sessions) {
      await site.until((status) => status.backends.length === 2 && status.backends.every((one) => one.state === 'up'));
      expect((await turn(await again.resumeSession(sessionId, site.session()), 'after')).text).toBe('answer 2: after');
    }
  });
});
