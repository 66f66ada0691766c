/** limits.turns and limits.roles, on real CLI servers. */
import { describe, expect, it } from 'vitest';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, type CopilotSession } from '../support/sdk.js';
import { Site, type TokenEntry } from '../support/site.js';
import type { WireClient, WireMessage } from '../support/wire-client.js';
import { startTwo } from '../support/two-skyports.js';

const scope = scopeOfEachTest();

async function start(limits: object, tokens?: readonly TokenEntry[]): Promise<Site> {
  return Site.start(scope, { servers: 1, config: { limits }, ...(tokens ? { tokens } : {}) });
}

/** What a session was told of its place. */
function places(said: Recording): unknown[] {
  return said.of('session.custom_notification').map(({ data }) => [data.name, data.payload]);
}

async function session(site: Site, client: WireClient, sessionId: string): Promise<string> {
  await client.result('session.create', site.params({ sessionId }));
  return sessionId;
}

const send = (client: WireClient, sessionId: string, prompt: string): Promise<WireMessage> => client.call('session.send', { sessionId, prompt });

/** Waits until the model has been asked for all of these, and says in which order. */
async function asked(site: Site, ...prompts: string[]): Promise<string[]> {
  await Promise.all(prompts.map((prompt) => site.model.asked(prompt)));
  return site.model.requests.map(({ prompt }) => prompt);
}

describe('a user with limits.turns.active: 1', () => {
  it('has one turn after the other, in all of his sessions, and is told that he waits', async () => {
    const site = await start({ turns: { active: 1 } });
    const client = site.client();
    const [first, second] = [await client.createSession(site.session()), await client.createSession(site.session())];
    const [saidFirst, saidSecond] = [new Recording(first), new Recording(second)];
    await first.send('one [[hold:one]]');
    await site.model.asked('one');
    const answer = second.sendAndWait('two');
    await saidSecond.until('session.custom_notification');
    expect(places(saidSecond)).toEqual([['turn.waiting', { place: 1, limit: 'active' }]]);
    expect(site.model.about('two')).toEqual([]);
    // What steers the turn that runs is no second turn.
    await first.send({ prompt: 'more', mode: 'enqueue' });
    site.model.release('one');
    expect((await answer)?.data.content).toBe('answer 1: two');
    expect(saidFirst.of('session.idle').length).toBeGreaterThan(0);
    expect((await asked(site, 'more')).indexOf('two')).toBe(2);
    expect(places(saidFirst)).toEqual([]);
  });

  it('has his next turn when he aborts the one that runs, or deletes its session', async () => {
    const site = await start({ turns: { active: 1 } });
    const client = site.client();
    const sessions: CopilotSession[] = [];
    for (let n = 0; n < 3; n++) sessions.push(await client.createSession(site.session()));
    const [first, second, third] = sessions as [CopilotSession, CopilotSession, CopilotSession];
    await first.send('[[hold:never]] one');
    await site.model.asked('one');
    const two = second.send('[[hold:never]] two');
    await new Recording(second).until('session.custom_notification');
    await first.abort();
    await two;
    await site.model.asked('two');
    const three = third.sendAndWait('three');
    await new Recording(third).until('session.custom_notification');
    await client.deleteSession(second.sessionId);
    expect((await three)?.data.content).toBe('answer 1: three');
    site.model.release('never');
  });

  it('is refused with the time to wait when his line is full, and what he does else is not held back', async () => {
    const site = await start({ turns: { active: 1, queued: 1 } });
    const client = await site.wire();
    const ids = [await session(site, client, 's1'), await session(site, client, 's2'), await session(site, client, 's3')];
    await send(client, ids[0]!, 'one [[hold:one]]');
    const waiting = send(client, ids[1]!, 'two');
    await client.untilEvent(ids[1]!, 'session.custom_notification');
    const { error } = await send(client, ids[2]!, 'three');
    expect(error).toMatchObject({ code: -32066, data: { name: 'SKYPORT_TURN_LIMIT', retryable: true } });
    expect((error?.data as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(0);
    await client.result('session.name.set', { sessionId: ids[1], name: 'a name' });
    site.model.release('one');
    expect((await waiting).error).toBeUndefined();
    await site.model.asked('two');
    expect(site.model.about('three')).toEqual([]);
    const metrics = await (await fetch(`${site.skyport.http}/metrics`)).text();
    expect(metrics).toContain('skyport_turns_refused_total{limit="active",reason="full"} 1');
    expect(metrics).toContain('skyport_turns_waiting 0');
    expect(metrics).toContain('skyport_turn_wait_seconds_count 1');
  });

  it('goes on after his server was killed in the middle of a turn', async () => {
    const site = await Site.start(scope, { managed: 2, config: { limits: { turns: { active: 1 } } } });
    const client = site.client();
    const [first, second] = [await client.createSession(site.session()), await client.createSession(site.session())];
    const said = new Recording(first);
    await first.send('one [[hold:one]]');
    await site.model.asked('one');
    const answer = second.sendAndWait('two');
    await new Recording(second).until('session.custom_notification');
    const { backend } = (await site.sessions()).find(({ id }) => id === first.sessionId)!;
    process.kill((await site.backend(backend))!.pid!, 'SIGKILL');
    await site.model.asked('one', 2);
    expect(site.model.about('two')).toEqual([]);
    site.model.release('one');
    await said.until('session.idle');
    expect((await answer)?.data.content).toBe('answer 1: two');
  });

  it('who leaves in the middle of a turn has his next one when that is over', async () => {
    const site = await Site.start(scope, { servers: 1, config: { limits: { turns: { active: 1 } }, sessions: { linger: '1s' } } });
    const first = await site.wire();
    await session(site, first, 's1');
    await send(first, 's1', 'one [[hold:never]]');
    await site.model.asked('one');
    first.destroy();
    const second = await site.wire();
    await session(site, second, 's2');
    expect((await send(second, 's2', 'two')).error).toBeUndefined();
    await site.model.asked('two');
    site.model.release('never');
  });
});

describe('a reload', () => {
  it('of the limits is in force at once', async () => {
    const site = await start({ turns: { active: 1 } });
    const client = await site.wire();
    for (const id of ['s1', 's2', 's3']) await session(site, client, id);
    await send(client, 's1', 'one [[hold:all]]');
    const waiting = send(client, 's2', 'two [[hold:all]]');
    await client.untilEvent('s2', 'session.custom_notification');
    site.skyport.editConfig((config) => {
      config['limits'] = { turns: { active: 2 } };
    });
    expect((await waiting).error).toBeUndefined();
    void send(client, 's3', 'three').catch(() => undefined);
    await client.untilEvent('s3', 'session.custom_notification');
    site.model.release('all');
  });
});

describe('a user with limits.turns.per_minute', () => {
  it('begins so many turns, and is told when the next one may begin', async () => {
    const site = await start({ turns: { per_minute: 2, queued: 0 } });
    const client = await site.wire();
    const said = await session(site, client, 's1');
    for (const prompt of ['one', 'two']) expect((await send(client, said, prompt)).error).toBeUndefined();
    const { error } = await send(client, said, 'three');
    expect(error).toMatchObject({ data: { name: 'SKYPORT_TURN_LIMIT' } });
    const { retryAfterMs } = error!.data as { retryAfterMs: number };
    expect(retryAfterMs).toBeGreaterThan(0);
    expect(retryAfterMs).toBeLessThanOrEqual(60_000);
    const bob = await site.wire('bob');
    await session(site, bob, 'of-bob');
    expect((await send(bob, 'of-bob', 'of bob')).error).toBeUndefined();
  });
});

describe('users with a role that has one turn for all', () => {
  const GUESTS = ['alice', 'bob'].map((user) => ({ user, roles: ['user', 'guest'] }));

  it('take turns: a thousand messages of one do not delay another\'s first', async () => {
    const site = await start({ roles: { guest: { turns: { queued: 1_000 }, all: { active: 1 } } } }, GUESTS);
    const [alice, bob] = [await site.wire('alice'), await site.wire('bob')];
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) ids.push(await session(site, alice, `alice-${n}`));
    await session(site, bob, 'bob-1');
    await send(alice, ids[0]!, 'first [[hold:first]]');
    await site.model.asked('first');
    for (let n = 0; n < 1_000; n++) void send(alice, ids[n % 5]!, `a${n}.`).catch(() => undefined);
    await alice.untilEvent(ids[1]!, 'session.custom_notification');
    const answer = send(bob, 'bob-1', 'of bob');
    await bob.untilEvent('bob-1', 'session.custom_notification');
    site.model.release('first');
    expect((await answer).error).toBeUndefined();
    await site.model.asked('of bob');
    // One of hers at most has come before him, with what she had sent to the session of her turn.
    const before = site.model.requests.map(({ prompt }) => prompt);
    const sessionsBefore = new Set(before.slice(0, before.indexOf('of bob')).filter((prompt) => /^a\d/.test(prompt)).map((prompt) => Number(/\d+/.exec(prompt)![0]) % 5));
    sessionsBefore.delete(0);
    expect(sessionsBefore.size).toBeLessThanOrEqual(1);
  });
});

describe('two Skyports on one Redis', () => {
  it('share the turns that a user may have at one time', async () => {
    const { sites: [one, two] } = await startTwo(scope, { config: { limits: { turns: { active: 1 } } } });
    const [here, there] = [await one.wire(), await two.wire()];
    await session(one, here, 's1');
    await session(two, there, 's2');
    await send(here, 's1', 'one [[hold:one]]');
    await one.model.asked('one');
    const answer = send(there, 's2', 'two');
    await there.untilEvent('s2', 'session.custom_notification');
    expect(one.model.about('two')).toEqual([]);
    one.model.release('one');
    expect((await answer).error).toBeUndefined();
    await one.model.asked('two');
  });

  it('share the turns that he may begin within a minute', async () => {
    const { sites: [one, two] } = await startTwo(scope, { config: { limits: { turns: { per_minute: 1, queued: 0 } } } });
    const [here, there] = [await one.wire(), await two.wire()];
    await session(one, here, 's1');
    await session(two, there, 's2');
    expect((await send(here, 's1', 'one')).error).toBeUndefined();
    expect((await send(there, 's2', 'two')).error).toMatchObject({ data: { name: 'SKYPORT_TURN_LIMIT' } });
  });

  it('count a turn once that is begun at one in a session of the other', async () => {
    const { sites: [one, two] } = await startTwo(scope, { config: { limits: { turns: { active: 1 } } } });
    const [here, there] = [await one.wire(), await two.wire()];
    await session(one, here, 's1');
    await there.result('session.resume', two.params({ sessionId: 's1' }));
    expect((await send(there, 's1', 'one')).error).toBeUndefined();
    await one.model.asked('one');
    await there.untilEvent('s1', 'session.idle');
    expect((await send(here, 's1', 'two')).error).toBeUndefined();
    await one.model.asked('two');
  });

  it('let a user go on whose turn was at one that is killed', async () => {
    const { sites: [one, two] } = await startTwo(scope, { config: { limits: { turns: { active: 1 } } } });
    const [here, there] = [await one.wire(), await two.wire()];
    await session(one, here, 's1');
    await session(two, there, 's2');
    await send(here, 's1', 'one [[hold:never]]');
    await one.model.asked('one');
    const answer = send(there, 's2', 'two');
    await there.untilEvent('s2', 'session.custom_notification');
    await one.skyport.kill9();
    expect((await answer).error).toBeUndefined();
    one.model.release('never');
  });
});
