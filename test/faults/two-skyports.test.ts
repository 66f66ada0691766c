/** Two Skyports on one redis-server, each with CLI servers of its own. */
import { describe, expect, it } from 'vitest';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn } from '../support/sdk.js';
import { shareWithBob as share, shown, startTwo } from '../support/two-skyports.js';

const scope = scopeOfEachTest();
const start = () => startTwo(scope);

describe('a session', () => {
  it('that was left at one Skyport goes on at the other, with its history', async () => {
    const { sites: [one, two] } = await start();
    const here = await one.client().createSession(one.session());
    await turn(here, 'remember the heron');
    await here.disconnect();
    const there = await two.client().resumeSession(here.sessionId, two.session());
    expect((await turn(there, 'and now')).text).toBe('answer 2: and now');
    expect(shown(two, 'and now')).toEqual(['remember the heron', 'and now']);
  });

  it('is nobody else\'s at the other Skyport either', async () => {
    const { sites: [one, two] } = await start();
    const here = await one.client().createSession(one.session());
    await turn(here, 'mine');
    await expect(two.client('bob').resumeSession(here.sessionId, two.session())).rejects.toThrow(/Session not found/);
    await expect(two.client('bob').createSession(two.session({ sessionId: here.sessionId }))).rejects.toThrow(/Session not found/);
  });

  it('that is in use at one is used at the other through the first: both see every turn, and turns never overlap', async () => {
    const { sites: [one, two] } = await start();
    const alice = await one.client('alice').createSession(one.session());
    await turn(alice, 'remember the heron');
    await share(one, alice);
    const bob = await two.client('bob').resumeSession(alice.sessionId, two.session());
    const [seenByAlice, seenByBob] = [new Recording(alice), new Recording(bob)];
    await alice.send('[[hold:first]] from alice');
    await one.model.asked('from alice');
    const sent = bob.send('from bob');
    await seenByBob.until('session.custom_notification');
    expect(seenByBob.of('session.custom_notification')[0]!.data).toMatchObject({ name: 'turn.waiting', payload: { place: 1, heldBy: 'alice' } });
    expect(one.model.about('from bob')).toEqual([]);
    one.model.release('first');
    await sent;
    await seenByBob.until('session.idle');
    while (!seenByAlice.texts.includes('answer 3: from bob')) await seenByAlice.until('session.idle', seenByAlice.of('session.idle').length + 1);
    expect(seenByBob.texts).toEqual(['answer 2: [[hold:first]] from alice', 'answer 3: from bob']);
    expect(seenByAlice.texts).toEqual(seenByBob.texts);
    expect(shown(one, 'from bob')).toEqual(['remember the heron', '[[hold:first]] from alice', 'from bob']);
  });
});

describe('a Skyport that is killed', () => {
  it('leaves its sessions to the other, which goes on with them when the lease is over', async () => {
    const { sites: [one, two] } = await start();
    const here = await one.client().createSession(one.session());
    await turn(here, 'remember the heron');
    await one.skyport.kill9();
    const there = await two.client().resumeSession(here.sessionId, two.session());
    expect((await turn(there, 'and now')).text).toBe('answer 2: and now');
    expect(shown(two, 'and now')).toEqual(['remember the heron', 'and now']);
  });

  it('in the middle of alice\'s turn: bob, at the other one, gets his', async () => {
    const { sites: [one, two] } = await start();
    const alice = await one.client('alice').createSession(one.session());
    await turn(alice, 'remember the heron');
    await share(one, alice);
    const bob = await two.client('bob').resumeSession(alice.sessionId, two.session());
    const seen = new Recording(bob);
    await alice.send('[[hold:never]] from alice');
    await one.model.asked('from alice');
    // Who has not heard of it cannot go on with it.
    await seen.until('user.message');
    const sent = bob.send('from bob');
    await seen.until('session.custom_notification');
    await one.skyport.kill9();
    one.model.release('never');
    await sent;
    while (!seen.texts.some((text) => text.includes('from bob'))) await seen.until('session.idle', seen.of('session.idle').length + 1);
    expect(shown(two, 'from bob')).toEqual(['remember the heron', '[[hold:never]] from alice', 'from bob']);
  });
});
