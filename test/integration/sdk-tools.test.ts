import { defineTool } from '@github/copilot-sdk';
import { expect, it } from 'vitest';
import { forEachTarget } from '../support/target.js';
import { Recording, turn } from '../support/sdk.js';

const CITY = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };

/** A tool that says what it was called with. */
function weather(prefix = '') {
  return defineTool<{ city: string }>(`${prefix}weather`, {
    description: 'weather of a city', parameters: CITY, skipPermission: true,
    handler: ({ city }) => `sunny in ${city}`,
  });
}

forEachTarget('a custom tool', (target) => {
  it('is offered to the model and its result goes back to it', async () => {
    const session = await target.client().createSession(target.session({ tools: [weather()] }));
    const said = await turn(session, 'ask [[tool:weather {"city":"Oslo"}]]');
    expect(target.model.about('[[tool:weather {"city":"Oslo"}]]')[0]!.tools).toContain('weather');
    expect(said.text).toBe('tools said: sunny in Oslo');
  });

  it('gets its arguments, the session and the call it belongs to', async () => {
    const calls: unknown[] = [];
    const tool = defineTool('note', {
      parameters: CITY, skipPermission: true,
      handler: (args, { sessionId, toolName, toolCallId }) => {
        calls.push({ args, sessionId, toolName, called: toolCallId.length > 0 });
        return 'noted';
      },
    });
    const session = await target.client().createSession(target.session({ tools: [tool] }));
    await turn(session, '[[tool:note {"city":"Ærøskøbing 🚢"}]]');
    expect(calls).toEqual([{ args: { city: 'Ærøskøbing 🚢' }, sessionId: session.sessionId, toolName: 'note', called: true }]);
  });

  it('tells its story in order', async () => {
    const session = await target.client().createSession(target.session({ tools: [weather()] }));
    const said = await turn(session, '[[tool:weather {"city":"Rome"}]]');
    expect(said.story).toEqual([
      'user.message', 'assistant.turn_start', 'assistant.message', 'tool.execution_start', 'external_tool.requested',
      'tool.execution_complete', 'assistant.turn_end', 'assistant.turn_start', 'assistant.message', 'assistant.turn_end', 'session.idle',
    ]);
  });

  it('can be called several times in one turn', async () => {
    const session = await target.client().createSession(target.session({ tools: [weather()] }));
    const said = await turn(session, '[[tool:weather {"city":"Rome"}]] then [[tool:weather {"city":"Bern"}]]');
    expect(said.text).toBe('tools said: sunny in Rome | sunny in Bern');
  });

  it('that throws is a failed call, and the turn goes on', async () => {
    const broken = defineTool('broken', { skipPermission: true, handler: () => { throw new Error('no luck'); } });
    const session = await target.client().createSession(target.session({ tools: [broken] }));
    const said = await turn(session, '[[tool:broken]]');
    expect(said.of('tool.execution_complete')[0]!.data).toMatchObject({ success: false });
    expect(said.text).toMatch(/^tools said: /);
    expect(said.story.at(-1)).toBe('session.idle');
  });

  it('may answer with a failure of its own words', async () => {
    const tool = defineTool('picky', {
      skipPermission: true,
      handler: () => ({ textResultForLlm: 'not on Sundays', resultType: 'failure' as const }),
    });
    const session = await target.client().createSession(target.session({ tools: [tool] }));
    const said = await turn(session, '[[tool:picky]]');
    expect(said.of('tool.execution_complete')[0]!.data.success).toBe(false);
    expect(said.text).toBe('tools said: not on Sundays');
  });

  it('that the session does not have is a failed call', async () => {
    const session = await target.client().createSession(target.session());
    const said = await turn(session, '[[tool:nowhere]]');
    expect(said.of('tool.execution_complete')[0]!.data.error?.message).toBe("Tool 'nowhere' does not exist.");
    expect(said.story.at(-1)).toBe('session.idle');
  });

  it('may take its time while other sessions of the client go on', async () => {
    let finish = (_text: string): void => {};
    const slow = defineTool('slow', { skipPermission: true, handler: () => new Promise<string>((resolve) => (finish = resolve)) });
    const client = target.client();
    const [waiting, busy] = await Promise.all([client.createSession(target.session({ tools: [slow] })), client.createSession(target.session())]);
    const said = new Recording(waiting);
    await waiting.send('[[tool:slow]]');
    await said.until('external_tool.requested');
    expect((await turn(busy, 'meanwhile')).text).toBe('answer 1: meanwhile');
    finish('done at last');
    await said.until('session.idle');
    expect(said.text).toBe('tools said: done at last');
  });

  it('is called in the session that has it, when two sessions have one of that name', async () => {
    const client = target.client();
    const named = (answer: string) => defineTool('whoami', { skipPermission: true, handler: () => answer });
    const sessions = await Promise.all(['one', 'two', 'three'].map((name) => client.createSession(target.session({ tools: [named(name)] }))));
    const turns = await Promise.all(sessions.map((session) => turn(session, '[[tool:whoami]]')));
    expect(turns.map((said) => said.text)).toEqual(['tools said: one', 'tools said: two', 'tools said: three']);
  });

  it('may return a large result', async () => {
    const tool = defineTool('big', { skipPermission: true, handler: () => 'y'.repeat(15_000) });
    const session = await target.client().createSession(target.session({ tools: [tool] }));
    const said = await turn(session, '[[tool:big]]');
    expect(said.text).toBe(`tools said: ${'y'.repeat(15_000)}`);
  });
});
