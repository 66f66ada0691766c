/** A Skyport that stops in order: what the other one uses of its sessions goes on there. */
import { describe, expect, it } from 'vitest';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn } from '../support/sdk.js';
import { said, shareWithBob, shown, startTwo, story } from '../support/two-skyports.js';

const scope = scopeOfEachTest();

describe('a Skyport that is stopped', () => {
  it('lets a session that the other one uses go there, without an error or a lost event', async () => {
    const { sites: [one, two] } = await startTwo(scope);
    const alice = await one.client('alice').createSession(one.session());
    await turn(alice, 'remember the heron');
    await shareWithBob(one, alice);
    const bob = await two.client('bob').resumeSession(alice.sessionId, two.session());
    const seen = new Recording(bob);
    await seen.until('session.resume');
    seen.events.length = 0;
    await one.skyport.halt('SIGTERM');
    await bob.send('and now');
    await said(seen, 'answer 2: and now');
    expect(seen.story).toEqual(['user.message', 'assistant.turn_start', 'assistant.message', 'assistant.turn_end', 'session.idle']);
    expect(shown(two, 'and now')).toEqual(['remember the heron', 'and now']);
  });

  it('waits for the end of a turn that runs for the other one\'s client, who goes on there', async () => {
    const { sites: [one, two] } = await startTwo(scope);
    const alice = await one.client('alice').createSession(one.session());
    await turn(alice, 'remember the heron');
    await shareWithBob(one, alice);
    const bob = await two.client('bob').resumeSession(alice.sessionId, two.session());
    const seen = new Recording(bob);
    await bob.send('[[hold:first]] from bob');
    await one.model.asked('from bob');
    const stopped = one.skyport.halt('SIGTERM');
    await one.skyport.logged(({ event }) => event === 'draining');
    one.model.release('first');
    await said(seen, 'from bob');
    await bob.send('and now');
    await said(seen, 'answer 3: and now');
    expect(await stopped).toBe(0);
    expect(seen.of('session.error')).toEqual([]);
    expect(await story(bob)).toEqual([
      'user: remember the heron', 'assistant: answer 1: remember the heron',
      'user: [[hold:first]] from bob', 'assistant: answer 2: [[hold:first]] from bob',
      'user: and now', 'assistant: answer 3: and now',
    ]);
  });
});
