/** CLI servers that die while calls of their clients are under way, and clients that share a session. */
import { defineTool } from '@github/copilot-sdk';
import { describe, expect, it } from 'vitest';
import { gate, killServerOf, serverOf, shown, startPair, stored } from '../support/failover.js';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn } from '../support/sdk.js';
import { IMPATIENT_HEALTH } from '../support/site.js';

const scope = scopeOfEachTest();
const start = () => startPair(scope);

describe('a CLI server that is killed', () => {
  it('with messages queued behind the turn: all of them are answered, in order and once', async () => {
    const { site, client } = await start();
    const session = await client.createSession(site.session());
    const heard = new Recording(session);
    await session.send('first [[hold:out]]');
    await site.model.asked('first');
    for (const text of ['second', 'third', 'fourth']) await session.send(text);
    await killServerOf(site, session);
    site.model.release('out');
    await site.model.asked('fourth');
    await heard.until('assistant.message', 4);
    await heard.until('session.idle');
    expect(shown(site, 'fourth')).toEqual(['first [[hold:out]]', 'second', 'third', 'fourth']);
    expect((await session.getEvents()).filter(({ type }) => type === 'user.message')).toHaveLength(4);
  });

  it('right after the client has ended the turn: nobody completes it, nor what waited behind it', async () => {
    const { site, client } = await start();
    const session = await client.createSession(site.session());
    const heard = new Recording(session);
    await session.send('one [[hold:never]]');
    await site.model.asked('one');
    await session.send('queued');
    const index = await serverOf(site, session);
    await session.abort();
    void site.servers[index]!.kill9();
    await heard.until('session.idle');
    expect((await turn(session, 'two')).text).toBe('answer 2: two');
    expect(site.model.about('one')).toHaveLength(1);
    expect(site.model.about('queued')).toHaveLength(0);
    expect((await stored(session)).filter((type) => type === 'abort')).toHaveLength(1);
  });

  it('when a turn is all but told to be over: the client hears the end, and the model is asked nothing more', async () => {
    const { site, client } = await start();
    const session = await client.createSession(site.session());
    const heard = new Recording(session);
    const index = await serverOf(site, session);
    await session.send('one');
    await heard.until('assistant.message');
    void site.servers[index]!.kill9();
    await heard.until('session.idle');
    expect((await turn(session, 'two')).text).toBe('answer 2: two');
    expect(site.model.requests).toHaveLength(2);
    expect((await stored(session)).slice(1)).toEqual(Array(2).fill(['user.message', 'assistant.turn_start', 'assistant.message', 'assistant.turn_end']).flat());
  });

  it('in the first turn of a session that nothing was stored of yet', async () => {
    const { site, client } = await start();
    const session = await client.createSession(site.session());
    const index = await serverOf(site, session);
    const heard = new Recording(session);
    const sent = session.send('one');
    void site.servers[index]!.kill9();
    await sent;
    await heard.until('session.idle');
    expect(heard.text).toBe('answer 1: one');
    expect((await turn(session, 'two')).text).toBe('answer 2: two');
    expect(shown(site, 'two')).toEqual(['one', 'two']);
  });

  it('right after a setting was made: the setting is in force on the next one', async () => {
    const { site, client } = await start();
    const session = await client.createSession(site.session());
    await turn(session, 'one');
    const index = await serverOf(site, session);
    await session.rpc.mode.set({ mode: 'plan' });
    await site.servers[index]!.kill9();
    await turn(session, 'two');
    const types = (await session.getEvents()).map(({ type }) => type);
    expect(types.filter((type) => type === 'session.mode_changed')).toHaveLength(1);
    expect((await session.rpc.mode.get())).toBe('plan');
  });

  it('with two clients on the session: both hear the rest of the turn, and the tools of both are there again', async () => {
    const { site, client } = await start();
    const tool = (name: string) => defineTool(name, { skipPermission: true, handler: () => `from ${name}` });
    const first = await client.createSession(site.session({ sessionId: 'shared', tools: [tool('mine')] }));
    await turn(first, 'begin');
    const second = await site.client().resumeSession('shared', site.session({ tools: [tool('yours')] }));
    const heard = [new Recording(first), new Recording(second)];
    await first.send('one [[hold:out]]');
    await site.model.asked('one');
    // Each has its own link; what one of them was not sent before the end is not repeated to it.
    for (const each of heard) await each.until('assistant.turn_start');
    await killServerOf(site, first);
    site.model.release('out');
    for (const each of heard) {
      await each.until('session.idle');
      expect(each.text).toMatch(/^answer 2: .*one \[\[hold:out\]\]$/s);
      expect(each.of('user.message')).toHaveLength(1);
      expect(each.of('assistant.turn_start')).toHaveLength(1);
    }
    expect((await turn(first, '[[tool:mine]] [[tool:yours]]')).text).toBe('tools said: from mine | from yours');
  });

  it('while a turn is held for a client that is gone: it is completed, and the client finds all of it', async () => {
    const { site } = await startPair(scope, {}, { linger: '1h' });
    const wire = await site.wire();
    await wire.result('session.create', site.params({ sessionId: 'held' }));
    await wire.result('session.send', { sessionId: 'held', prompt: 'finish this [[hold:alone]]' });
    await site.model.asked('finish this');
    wire.destroy();
    await site.until((status) => status.sessions.byState.lingering === 1);
    await killServerOf(site, { sessionId: 'held' });
    await site.model.asked('finish this', 2);
    site.model.release('alone');
    await site.until((status) => status.sessions.attached === 0);
    const back = await site.client().resumeSession('held', site.session());
    await new Recording(back).until('session.idle');
    expect((await turn(back, 'thanks')).text).toBe('answer 2: thanks');
    expect(shown(site, 'thanks')).toEqual(['finish this [[hold:alone]]', 'thanks']);
  });
});

describe('a CLI server that hangs, and dies with a call under way', () => {
  const hanging = () => startPair(scope, { config: { health: { ...IMPATIENT_HEALTH, timeout: '20s' }, sessions: { state: 'skyport' }, routing: { policy: 'least_sessions' }, links: { base: 1 } } });

  it('costs a resume nothing: it succeeds on the other one', async () => {
    const { site, client } = await hanging();
    const session = await client.createSession(site.session());
    await turn(session, 'one');
    const index = await serverOf(site, session);
    await session.disconnect();
    site.servers[index]!.sigstop();
    const resumed = client.resumeSession(session.sessionId, site.session());
    await site.until(({ backends }) => backends[index]!.requestsWaiting > 0);
    await site.servers[index]!.kill9();
    const back = await resumed;
    expect((await turn(back, 'two')).text).toBe('answer 2: two');
    expect(await serverOf(site, back)).toBe(1 - index);
  });

  it('costs a create nothing: the session is made on the other one', async () => {
    const { site, client } = await hanging();
    for (let used = 0; used < 2; used++) await turn(await client.createSession(site.session()), 'a link to each');
    for (const server of site.servers) server.sigstop();
    const created = client.createSession(site.session({ sessionId: 'new' }));
    await site.until((status) => status.sessions.total > 2 && status.backends.some(({ requestsWaiting }) => requestsWaiting > 0));
    const index = await serverOf(site, { sessionId: 'new' });
    site.servers[1 - index]!.sigcont();
    await site.servers[index]!.kill9();
    const session = await created;
    expect((await turn(session, 'one')).text).toBe('answer 1: one');
    expect(await serverOf(site, session)).toBe(1 - index);
  });

  it('costs an abort nothing: the turn is over', async () => {
    const { site, client } = await hanging();
    const session = await client.createSession(site.session());
    const heard = new Recording(session);
    await session.send('one [[hold:never]]');
    await site.model.asked('one');
    const index = await serverOf(site, session);
    site.servers[index]!.sigstop();
    const aborted = session.abort();
    await site.until(({ backends }) => backends[index]!.requestsWaiting > 0);
    await site.servers[index]!.kill9();
    await aborted;
    await heard.until('session.idle');
    expect(site.model.about('one')).toHaveLength(1);
    expect((await turn(session, 'two')).text).toBe('answer 2: two');
  });

  it('with a permission just given: the command is run at most once, for it may have been', async () => {
    const { site, client } = await hanging();
    const given = gate();
    const session = await client.createSession(site.session({
      onPermissionRequest: async () => {
        await given.opened;
        return { kind: 'approve-once' };
      },
    }));
    const heard = new Recording(session);
    await session.send('[[tool:bash {"command":"echo made","description":"make"}]]');
    await heard.until('permission.requested');
    const index = await serverOf(site, session);
    site.servers[index]!.sigstop();
    given.open();
    await site.until(({ backends }) => backends[index]!.requestsWaiting > 0);
    await site.servers[index]!.kill9();
    await heard.until('session.idle');
    expect(heard.text).toContain('interrupted');
  });
});
