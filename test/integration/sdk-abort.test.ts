import { defineTool } from '@github/copilot-sdk';
import { expect, it } from 'vitest';
import { forEachTarget } from '../support/target.js';
import { Recording, turn } from '../support/sdk.js';

forEachTarget('an abort', (target) => {
  it('ends a turn while the model is at work', async () => {
    const session = await target.client().createSession(target.session());
    const said = new Recording(session);
    await session.send('long [[hold:never-1]]');
    await target.model.asked('[[hold:never-1]]');
    await session.abort();
    await Promise.all([said.until('abort'), said.until('session.idle')]);
    expect(said.story.toSorted()).toEqual(['abort', 'assistant.turn_end', 'assistant.turn_start', 'session.idle', 'user.message']);
  });

  it('ends a turn in the middle of a stream', async () => {
    const session = await target.client().createSession(target.session({ streaming: true }));
    const said = new Recording(session);
    await session.send('long [[stream:1000]] [[slow:50]]');
    await said.until('assistant.message_delta', 3);
    await session.abort();
    await Promise.all([said.until('abort'), said.until('session.idle')]);
    expect(said.of('abort')).toHaveLength(1);
    expect(said.of('assistant.message_delta').length).toBeLessThan(1000);
  });

  it('ends a turn that waits for a tool of the client', async () => {
    const stuck = defineTool('stuck', { skipPermission: true, handler: () => new Promise<string>(() => undefined) });
    const session = await target.client().createSession(target.session({ tools: [stuck] }));
    const said = new Recording(session);
    await session.send('[[tool:stuck]]');
    await said.until('external_tool.requested');
    await session.abort();
    await Promise.all([said.until('abort'), said.until('session.idle')]);
    expect((await turn(session, 'go on')).text).toContain('go on');
  });

  it('drops what was queued behind the turn and is idle once', async () => {
    const session = await target.client().createSession(target.session());
    const said = new Recording(session);
    await session.send('first [[hold:never-2]]');
    await target.model.asked('[[hold:never-2]]');
    await session.send('queued behind');
    await session.abort();
    await said.until('session.idle');
    const after = await turn(session, 'afterwards');
    expect(after.text).toContain('afterwards');
    expect(target.model.about('queued behind')).toEqual([]);
    expect(said.of('session.idle')).toHaveLength(2);
  });

  it('leaves the session usable', async () => {
    const session = await target.client().createSession(target.session());
    const said = new Recording(session);
    await session.send('stop me [[hold:never-3]]');
    await target.model.asked('[[hold:never-3]]');
    await session.abort();
    await said.until('session.idle');
    expect((await turn(session, 'go on')).text).toContain('go on');
  });

  it('of an idle session does nothing', async () => {
    const session = await target.client().createSession(target.session());
    await turn(session, 'hello');
    await session.abort();
    expect((await turn(session, 'still there')).text).toBe('answer 2: still there');
  });

  it('of one session leaves the others of the client alone', async () => {
    const client = target.client();
    const [one, two] = await Promise.all([client.createSession(target.session()), client.createSession(target.session())]);
    const saidOne = new Recording(one);
    const saidTwo = new Recording(two);
    await Promise.all([one.send('one [[hold:pair]]'), two.send('two [[hold:pair]]')]);
    await Promise.all([target.model.asked('one [[hold:pair]]'), target.model.asked('two [[hold:pair]]')]);
    await one.abort();
    await saidOne.until('session.idle');
    target.model.release('pair');
    await saidTwo.until('session.idle');
    expect(saidTwo.text).toBe('answer 1: two [[hold:pair]]');
    expect(saidOne.of('assistant.message')).toEqual([]);
  });
});
