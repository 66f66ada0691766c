import { defineTool } from '@github/copilot-sdk';
import { expect, it } from 'vitest';
import { forEachTarget, type Target } from '../support/target.js';
import { Recording, turn, type CopilotSession } from '../support/sdk.js';

type Config = Parameters<Target['session']>[0];

/** One session with two clients of the same user. */
async function shared(target: Target, first: Config = {}, second: Config = {}): Promise<[CopilotSession, CopilotSession]> {
  const one = await target.client().createSession(target.session(first));
  const two = await target.client().resumeSession(one.sessionId, target.session(second));
  return [one, two];
}

const named = (name: string, answer: string) => defineTool(name, { skipPermission: true, handler: () => answer });

forEachTarget('a session that two clients share', (target) => {
  it('tells both the same story, whoever sends', async () => {
    const [one, two] = await shared(target);
    const [saidOne, saidTwo] = [new Recording(one), new Recording(two)];
    await one.send('from the first');
    await Promise.all([saidOne.until('session.idle'), saidTwo.until('session.idle')]);
    await two.send('from the second');
    await Promise.all([saidOne.until('session.idle', 2), saidTwo.until('session.idle', 2)]);
    const turnStory = ['user.message', 'assistant.turn_start', 'assistant.message', 'assistant.turn_end', 'session.idle'];
    const without = (story: string[]) => story.filter((type) => type !== 'session.resume');
    expect(without(saidOne.story)).toEqual([...turnStory, ...turnStory]);
    expect(without(saidTwo.story)).toEqual(without(saidOne.story));
    expect(saidTwo.texts).toEqual(['answer 1: from the first', 'answer 2: from the second']);
  });

  it('sends both the same events, with the same ids', async () => {
    const [one, two] = await shared(target, { streaming: true }, { streaming: true });
    const [saidOne, saidTwo] = [new Recording(one), new Recording(two)];
    await one.send('stream [[stream:50]]');
    await Promise.all([saidOne.until('session.idle'), saidTwo.until('session.idle')]);
    const deltas = (said: Recording) => said.of('assistant.message_delta').map((event) => event.id);
    expect(deltas(saidOne)).toHaveLength(50);
    expect(deltas(saidTwo)).toEqual(deltas(saidOne));
  });

  it('offers the tools of both and calls each where it was registered', async () => {
    const [one] = await shared(target, { tools: [named('left', 'called left')] }, { tools: [named('right', 'called right')] });
    const said = await turn(one, 'both [[tool:left]] [[tool:right]]');
    expect(said.text).toBe('tools said: called left | called right');
    expect(target.model.about('both [[tool:left]]')[0]!.tools).toEqual(expect.arrayContaining(['left', 'right']));
  });

  it('refuses a tool name that the other client has', async () => {
    const one = await target.client().createSession(target.session({ tools: [named('mine', 'x')] }));
    const second = target.client().resumeSession(one.sessionId, target.session({ tools: [named('mine', 'y')] }));
    await expect(second).rejects.toThrow(/already registered by another connection/);
  });

  it('lets the first answer to a question win', async () => {
    const [one] = await shared(
      target,
      { onUserInputRequest: () => new Promise(() => undefined) },
      { onUserInputRequest: () => ({ answer: 'the second knows', wasFreeform: true }) },
    );
    const said = await turn(one, '[[tool:ask_user {"question":"who?"}]]');
    expect(said.text).toContain('the second knows');
  });

  it('lets either of them grant a permission', async () => {
    const careful = defineTool('careful', { handler: () => 'did it' });
    const [one] = await shared(
      target,
      { tools: [careful], onPermissionRequest: () => new Promise(() => undefined) },
      { onPermissionRequest: () => ({ kind: 'approve-once' }) },
    );
    const said = await turn(one, '[[tool:careful]]');
    expect(said.text).toBe('tools said: did it');
  });

  it('asks the hooks of both, and one denial is enough', async () => {
    const asked: string[] = [];
    const [one] = await shared(
      target,
      { tools: [named('guarded', 'ran')], hooks: { onPreToolUse: () => void asked.push('first') } },
      { hooks: { onPreToolUse: () => { asked.push('second'); return { permissionDecision: 'deny', permissionDecisionReason: 'no' }; } } },
    );
    const said = await turn(one, '[[tool:guarded]]');
    expect(said.of('tool.execution_complete')[0]!.data.error?.message).toBe('Denied by preToolUse hook: no');
    expect(asked).toEqual(['first', 'second']);
  });

  it('goes on for the one when the other detaches', async () => {
    const [one, two] = await shared(target);
    await turn(one, 'we are two');
    await one.disconnect();
    expect((await turn(two, 'now one')).text).toBe('answer 2: now one');
  });

  it('sends nothing more to a client that detached', async () => {
    const [one, two] = await shared(target);
    const silent = target.client();
    const third = await silent.resumeSession(one.sessionId, target.session());
    const heard = new Recording(third);
    await third.disconnect();
    const before = heard.events.length;
    await turn(two, 'without the third');
    expect(heard.events).toHaveLength(before);
  });

  it('goes on in mid-turn when the client that sent the message vanishes', async () => {
    const first = target.client();
    const one = await first.createSession(target.session());
    const two = await target.client().resumeSession(one.sessionId, target.session());
    const said = new Recording(two);
    await one.send('left alone [[hold:vanish]]');
    await target.model.asked('[[hold:vanish]]');
    await first.forceStop();
    target.model.release('vanish');
    await said.until('session.idle');
    expect(said.text).toBe('answer 1: left alone [[hold:vanish]]');
  });
});
