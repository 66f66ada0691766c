/** Sessions that were created and left without a turn: a CLI server lists them to nobody, but keeps a directory. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { scopeOfEachTest } from '../support/scope.js';
import { turn } from '../support/sdk.js';
import { Site } from '../support/site.js';

const scope = scopeOfEachTest();

const ID = 'cart-1';

/** Where Skyport keeps the state, a server has nothing to forget: integration/state.test.ts. */
const ON_SERVER = { sessions: { state: 'server' } };

/** What a server has of a session on its disk. */
const directoryOf = (site: Site) => path.join(site.servers[0]!.home, 'session-state', ID);

describe('a session that was left without a turn', () => {
  it.each([
    ['session.plan.update', { content: "alice's plan" }],
    ['session.workspaces.createFile', { path: 'a.txt', content: "alice's file" }],
    ['session.workspaces.saveLargePaste', { content: "alice's paste" }],
    ['session.name.set', { name: "alice's name" }],
  ])('stays its owner\'s when something was written with %s', async (method, params) => {
    const site = await Site.start(scope, { servers: 1, config: ON_SERVER });
    const alice = await site.wire('alice');
    await alice.result('session.create', site.params({ sessionId: ID }));
    expect((await alice.call(method, { sessionId: ID, ...params })).error).toBeUndefined();
    await alice.stop();
    await site.until((status) => status.sessions.attached === 0);
    const bob = await site.wire('bob');
    const answer = await bob.call('session.create', site.params({ sessionId: ID }));
    expect(answer.error?.message).toBe(`Session not found for sessionId: ${ID}`);
    expect((await site.sessions()).map(({ id, owner }) => ({ id, owner }))).toEqual([{ id: ID, owner: 'alice' }]);
  });

  it('has what its owner wrote when the owner creates it again', async () => {
    const site = await Site.start(scope, { servers: 1, config: ON_SERVER });
    const alice = await site.wire('alice');
    await alice.result('session.create', site.params({ sessionId: ID }));
    await alice.call('session.plan.update', { sessionId: ID, content: 'the plan' });
    await alice.call('session.detach', { sessionId: ID });
    await site.skyport.restart();
    const session = await site.client('alice').createSession(site.session({ sessionId: ID }));
    expect(await session.rpc.plan.read()).toMatchObject({ exists: true, content: 'the plan' });
    expect((await turn(session, 'hello')).text).toBe('answer 1: hello');
  });

  it('leaves nothing on its server when nothing was done with it, and its id is free again', async () => {
    const site = await Site.start(scope, { servers: 1, config: ON_SERVER });
    const alice = await site.wire('alice');
    await alice.result('session.create', site.params({ sessionId: ID, clientName: 'the-app-of-alice' }));
    expect(existsSync(directoryOf(site))).toBe(true);
    await alice.call('session.detach', { sessionId: ID });
    const bob = await site.wire('bob');
    expect((await bob.call('session.create', site.params({ sessionId: ID }))).error).toBeUndefined();
    const workspace = await bob.result('session.workspaces.getWorkspace', { sessionId: ID });
    expect(JSON.stringify(workspace)).not.toContain('alice');
    expect((await site.sessions()).map(({ id, owner }) => ({ id, owner }))).toEqual([{ id: ID, owner: 'bob' }]);
    expect(alice.frames.filter((frame) => frame.includes('session.deleted'))).toEqual([]);
  });

  it('may be created again by its owner at once', async () => {
    const site = await Site.start(scope, { servers: 1, config: ON_SERVER });
    const alice = await site.wire('alice');
    for (let n = 0; n < 5; n++) {
      await alice.result('session.create', site.params({ sessionId: ID }));
      await alice.result('session.detach', { sessionId: ID });
    }
    const session = await site.client('alice').createSession(site.session({ sessionId: ID }));
    expect((await turn(session, 'at last')).text).toBe('answer 1: at last');
  });

  it('does not count against the limit of sessions', async () => {
    const site = await Site.start(scope, { servers: 1, config: { ...ON_SERVER, limits: { sessions_per_user: 2 } } });
    const alice = await site.wire('alice');
    for (let n = 0; n < 5; n++) {
      await alice.result('session.create', site.params({ sessionId: `left-${n}` }));
      await alice.result('session.detach', { sessionId: `left-${n}` });
    }
    await site.until((status) => status.sessions.total === 0);
  });

  it('is kept for its owner while its server cannot be asked to forget it', async () => {
    const site = await Site.start(scope, { servers: 1, config: ON_SERVER });
    const [alice, bob] = await Promise.all([site.wire('alice'), site.wire('bob')]);
    await alice.result('session.create', site.params({ sessionId: ID }));
    await site.servers[0]!.kill9();
    await site.untilState('cli-1', 'down');
    await alice.stop();
    await site.until((status) => status.clients.connected === 1);
    await site.restartServer(0);
    await site.untilState('cli-1', 'up');
    expect((await bob.call('session.create', site.params({ sessionId: ID }))).error?.message).toBe(`Session not found for sessionId: ${ID}`);
  });
});
