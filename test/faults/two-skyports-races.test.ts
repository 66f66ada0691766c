/** What is done at two Skyports at once, or at the one that has not got the session. */
import { describe, expect, it } from 'vitest';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn } from '../support/sdk.js';
import { said, shareWithBob, shown, startTwo, story } from '../support/two-skyports.js';

const scope = scopeOfEachTest();

describe('at two Skyports at once', () => {
  it('one id is created once, and both clients are attached to that session', async () => {
    const { sites } = await startTwo(scope);
    const clients = sites.map((site) => site.client());
    for (let n = 0; n < 5; n++) {
      const sessions = await Promise.all(clients.map((client, at) => client.createSession(sites[at]!.session({ sessionId: `same-${n}` }))));
      const seen = sessions.map((session) => new Recording(session));
      await sessions[0]!.send(`round ${n}`);
      await Promise.all(seen.map((one) => said(one, `round ${n}`)));
    }
    const holders = await Promise.all(sites.map(async (site) => (await site.sessions()).filter(({ holder }) => holder === undefined).length));
    expect(holders[0]! + holders[1]!).toBe(5);
  });

  it('a session that nobody uses is resumed by both, again and again: one has it, and no turn is lost or doubled', async () => {
    const { sites } = await startTwo(scope);
    const clients = sites.map((site) => site.client());
    const first = await clients[0]!.createSession(sites[0].session());
    await turn(first, 'begin');
    await first.disconnect();
    const prompts = ['begin'];
    for (let n = 0; n < 5; n++) {
      const sessions = await Promise.all(clients.map((client, at) => client.resumeSession(first.sessionId, sites[at]!.session())));
      const seen = sessions.map((session) => new Recording(session));
      await sessions[n % 2]!.send(`round ${n}`);
      prompts.push(`round ${n}`);
      await Promise.all(seen.map((one) => said(one, `round ${n}`)));
      expect(shown(sites[0], `round ${n}`)).toEqual(prompts);
      await Promise.all(sessions.map((session) => session.disconnect()));
    }
    const last = await clients[1]!.resumeSession(first.sessionId, sites[1].session());
    expect((await story(last)).filter((line) => line.startsWith('user'))).toEqual(prompts.map((prompt) => `user: ${prompt}`));
  });
});

describe('at the Skyport that has not got a session in use', () => {
  it('it is in its owner\'s list, forked with its last turn, and deleted for everybody', async () => {
    const { sites: [one, two] } = await startTwo(scope);
    const here = await one.client().createSession(one.session());
    await turn(here, 'remember the heron');
    const there = two.client();
    await there.start();
    expect((await there.listSessions()).map(({ sessionId }) => sessionId)).toEqual([here.sessionId]);
    const wire = await two.wire();
    const { sessionId: forked } = await wire.result('sessions.fork', { sessionId: here.sessionId }) as { sessionId: string };
    const fork = await there.resumeSession(forked, two.session());
    expect((await turn(fork, 'and now')).text).toBe('answer 2: and now');
    await there.deleteSession(here.sessionId);
    expect((await there.listSessions()).map(({ sessionId }) => sessionId)).toEqual([forked]);
    await expect(here.send('anybody?')).rejects.toThrow(/Session not found/);
    expect((await one.sessions()).map(({ id }) => id)).toEqual([forked]);
  });

  it('it can be deleted with others', async () => {
    const { sites: [one, two] } = await startTwo(scope);
    const here = await one.client().createSession(one.session());
    await turn(here, 'remember the heron');
    const wire = await two.wire();
    const { freedBytes } = await wire.result('sessions.bulkDelete', { sessionIds: [here.sessionId] }) as { freedBytes: Record<string, number> };
    expect(freedBytes[here.sessionId]).toBeGreaterThan(0);
    await two.until(({ sessions }) => sessions.total === 0);
    await one.until(({ sessions }) => sessions.total === 0);
  });

  it('it can be shared and taken back, in force at both at once', async () => {
    const { sites: [one, two] } = await startTwo(scope);
    const alice = await one.client().createSession(one.session());
    await turn(alice, 'remember the heron');
    await shareWithBob(two, alice);
    const [atOne, atTwo] = [await one.client('bob').resumeSession(alice.sessionId, one.session()), await two.client('bob').resumeSession(alice.sessionId, two.session())];
    const cutOff = [new Recording(atOne), new Recording(atTwo)];
    expect((await two.skyport.cli(['unshare', alice.sessionId, '--with', 'bob', '--config', two.skyport.configFile])).code).toBe(0);
    for (const seen of cutOff) expect((await seen.until('session.error')).data).toMatchObject({ errorCode: 'SKYPORT_ACCESS_ENDED' });
    for (const bob of [atOne, atTwo]) await expect(bob.send('still here?')).rejects.toThrow(/Session not found/);
  });

  it('it is used also while its own Skyport takes no more clients', async () => {
    const { sites: [one, two] } = await startTwo(scope, { config: { limits: { clients: 1 } } });
    const alice = await one.client().createSession(one.session());
    await turn(alice, 'remember the heron');
    await shareWithBob(one, alice);
    const bob = await two.client('bob').resumeSession(alice.sessionId, two.session());
    expect((await turn(bob, 'and now')).text).toBe('answer 2: and now');
    await expect(one.client('bob').start()).rejects.toThrow(/too many clients/i);
  });

  it('its owner\'s clients hear of what becomes of it, once', async () => {
    const { sites: [one, two] } = await startTwo(scope);
    const wire = await two.wire();
    await wire.result('session.create', two.params());
    const here = await one.client().createSession(one.session({ sessionId: 'the-other-one' }));
    await turn(here, 'remember the heron');
    const again = one.client();
    await again.start();
    await again.deleteSession('the-other-one');
    const told = (type: string) => wire.notifications('session.lifecycle').filter(({ params }) => {
      const news = params as { type?: string; sessionId?: string };
      return news.type === type && news.sessionId === 'the-other-one';
    });
    while (told('session.deleted').length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    expect([told('session.created').length, told('session.deleted').length]).toEqual([1, 1]);
  });
});

describe('the secret of the Skyports', () => {
  it('is in no log, and who does not show it is no Skyport', async () => {
    const { redis, sites: [one] } = await startTwo(scope);
    const secret = String(await redis.command('GET', 'skyport:{instances}:secret'));
    expect(secret.length).toBeGreaterThan(40);
    expect(JSON.stringify(one.skyport.log)).not.toContain(secret);
    const wire = await one.wire();
    const { error } = await wire.call('skyport.release', { sessionId: 'any' });
    expect(error?.message).toMatch(/Unhandled method skyport.release/);
  });
});
