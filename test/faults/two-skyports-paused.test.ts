/** A Skyport that is stopped (SIGSTOP) for longer than its lease, and wakes up. */
import { describe, expect, it } from 'vitest';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn } from '../support/sdk.js';
import { IMPATIENT_HEALTH, type Site } from '../support/site.js';
import { said, shareWithBob, shown, startTwo, story } from '../support/two-skyports.js';

const scope = scopeOfEachTest();
const config = { health: IMPATIENT_HEALTH };

const signal = ({ skyport }: Site, name: NodeJS.Signals): void => void process.kill(skyport.pid, name);

describe('a Skyport that wakes up after its lease', () => {
  it('goes on with its clients\' sessions through the one that has taken them over', async () => {
    const { sites: [one, two] } = await startTwo(scope, { config });
    const alice = await one.client('alice').createSession(one.session());
    await turn(alice, 'remember the heron');
    await shareWithBob(one, alice);
    const seen = new Recording(alice);
    signal(one, 'SIGSTOP');
    const bob = await two.client('bob').resumeSession(alice.sessionId, two.session());
    await turn(bob, 'from bob');
    signal(one, 'SIGCONT');
    await alice.send('from alice');
    await said(seen, 'answer 3: from alice');
    expect(shown(two, 'from alice')).toEqual(['remember the heron', 'from bob', 'from alice']);
    expect((await two.sessions()).map(({ holder }) => holder)).toEqual([undefined]);
    expect((await one.sessions()).map(({ holder }) => holder)).toEqual([two.skyport.address]);
  });

  it('in the middle of a turn that the other one has completed tells its client how it ended, once', async () => {
    const { sites: [one, two] } = await startTwo(scope, { config });
    const alice = await one.client('alice').createSession(one.session());
    await turn(alice, 'remember the heron');
    await shareWithBob(one, alice);
    const bob = await two.client('bob').resumeSession(alice.sessionId, two.session());
    const [seenByAlice, seenByBob] = [new Recording(alice), new Recording(bob)];
    await alice.send('[[hold:long]] from alice');
    await one.model.asked('from alice');
    await seenByBob.until('user.message');
    signal(one, 'SIGSTOP');
    // The other one takes the turn up, and the model is asked again.
    while (one.model.about('from alice').length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    one.model.release('long');
    await said(seenByBob, 'from alice');
    signal(one, 'SIGCONT');
    await said(seenByAlice, 'from alice');
    expect(seenByAlice.texts).toEqual(['answer 2: [[hold:long]] from alice']);
    expect(seenByAlice.of('session.idle')).toHaveLength(1);
    expect(seenByAlice.of('session.error')).toEqual([]);
    await alice.send('and now');
    await said(seenByAlice, 'answer 3: and now');
    const stored = [
      'user: remember the heron', 'assistant: answer 1: remember the heron',
      'user: [[hold:long]] from alice', 'assistant: answer 2: [[hold:long]] from alice',
      'user: and now', 'assistant: answer 3: and now',
    ];
    expect(await story(bob)).toEqual(stored);
    expect(await story(alice)).toEqual(stored);
    // Its own server had the session as it was when all that began.
    for (const session of [alice, bob]) await session.disconnect();
    const back = await one.client('alice').resumeSession(alice.sessionId, one.session());
    expect((await one.sessions()).map(({ holder }) => holder)).toEqual([undefined]);
    expect((await turn(back, 'at home')).text).toBe('answer 4: at home');
    expect(shown(one, 'at home')).toEqual(['remember the heron', '[[hold:long]] from alice', 'and now', 'at home']);
    expect(await story(back)).toEqual([...stored, 'user: at home', 'assistant: answer 4: at home']);
  });
});
