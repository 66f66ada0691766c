import type { ElicitationContext } from '@github/copilot-sdk';
import { expect, it } from 'vitest';
import { forEachTarget } from '../support/target.js';
import { Recording, turn } from '../support/sdk.js';

const ASK = '[[tool:ask_user {"question":"Which colour?","choices":["red","blue"]}]]';

forEachTarget('a question to the user', (target) => {
  it('is asked through ask_user and its answer goes to the model', async () => {
    const asked: unknown[] = [];
    const session = await target.client().createSession(target.session({
      onUserInputRequest: (request) => {
        asked.push(request);
        return { answer: 'blue', wasFreeform: false };
      },
    }));
    const said = await turn(session, ASK);
    expect(asked).toMatchObject([{ question: 'Which colour?', choices: ['red', 'blue'] }]);
    expect(said.text).toMatch(/blue/);
    expect(said.story).toContain('user_input.completed');
  });

  it('cannot be asked when nobody answers questions', async () => {
    const session = await target.client().createSession(target.session());
    const said = await turn(session, ASK);
    expect(said.of('tool.execution_complete')[0]!.data.error?.message).toBe("Tool 'ask_user' does not exist.");
  });

  it('whose handler fails is answered as an error, and the turn goes on', async () => {
    const session = await target.client().createSession(target.session({
      onUserInputRequest: () => { throw new Error('nobody is home'); },
    }));
    const said = await turn(session, ASK);
    expect(said.text).toContain('unable to respond');
  });

  it('may stay open while other sessions go on', async () => {
    let reply = (_answer: { answer: string; wasFreeform: boolean }): void => {};
    const client = target.client();
    const asking = await client.createSession(target.session({ onUserInputRequest: () => new Promise((resolve) => (reply = resolve)) }));
    const said = new Recording(asking);
    await asking.send(ASK);
    await said.until('user_input.requested');
    const other = await client.createSession(target.session());
    expect((await turn(other, 'meanwhile')).text).toBe('answer 1: meanwhile');
    reply({ answer: 'red', wasFreeform: false });
    await said.until('session.idle');
    expect(said.text).toMatch(/red/);
  });
});

forEachTarget('an elicitation', (target) => {
  async function withForms(answer: (context: ElicitationContext) => object | 'decline') {
    return target.client().createSession(target.session({
      onElicitationRequest: (context) => {
        const content = answer(context);
        return content === 'decline' ? { action: 'decline' } : { action: 'accept', content: content as Record<string, string> };
      },
    }));
  }

  it('is a capability of a session whose client answers forms, and of no other', async () => {
    const client = target.client();
    const able = await client.createSession(target.session({ onElicitationRequest: () => ({ action: 'cancel' }) }));
    const unable = await client.createSession(target.session());
    expect(able.capabilities.ui?.elicitation).toBe(true);
    expect(unable.capabilities.ui?.elicitation).toBe(false);
  });

  it('confirms', async () => {
    const session = await withForms(({ message }) => ({ confirmed: message === 'Sure?' }));
    expect(await session.ui.confirm('Sure?')).toBe(true);
    expect(await session.ui.confirm('Really?')).toBe(false);
  });

  it('selects one of several', async () => {
    const session = await withForms(() => ({ selection: 'b' }));
    expect(await session.ui.select('Which?', ['a', 'b'])).toBe('b');
  });

  it('takes a line of text', async () => {
    const session = await withForms(() => ({ value: 'Ada' }));
    expect(await session.ui.input('Your name?')).toBe('Ada');
  });

  it('takes a form and gives its contents back', async () => {
    const session = await withForms(({ message, requestedSchema }) => ({ got: `${message} ${Object.keys(requestedSchema?.properties ?? {})}` }));
    const result = await session.ui.elicitation({
      message: 'Fill in', requestedSchema: { type: 'object', properties: { got: { type: 'string' } }, required: ['got'] },
    });
    expect(result).toEqual({ action: 'accept', content: { got: 'Fill in got' } });
  });

  it('may be declined', async () => {
    const session = await withForms(() => 'decline');
    expect(await session.ui.input('Your name?')).toBeNull();
  });
});
