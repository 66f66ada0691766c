import { defineTool } from '@github/copilot-sdk';
import { expect, it } from 'vitest';
import { forEachTarget } from '../support/target.js';
import { turn } from '../support/sdk.js';

const echo = defineTool<{ text: string }>('echo', {
  parameters: { type: 'object', properties: { text: { type: 'string' } } }, skipPermission: true,
  handler: ({ text }) => `echo of ${text}`,
});
const CALL = '[[tool:echo {"text":"secret"}]]';

forEachTarget('a hook', (target) => {
  it('may deny a tool call before it is made', async () => {
    const session = await target.client().createSession(target.session({
      tools: [echo], hooks: { onPreToolUse: () => ({ permissionDecision: 'deny', permissionDecisionReason: 'house rule' }) },
    }));
    const said = await turn(session, CALL);
    expect(said.of('external_tool.requested')).toEqual([]);
    expect(said.of('tool.execution_complete')[0]!.data.error?.message).toBe('Denied by preToolUse hook: house rule');
  });

  it('may change the arguments of a tool call', async () => {
    const session = await target.client().createSession(target.session({
      tools: [echo], hooks: { onPreToolUse: () => ({ permissionDecision: 'allow', modifiedArgs: { text: 'public' } }) },
    }));
    expect((await turn(session, CALL)).text).toBe('tools said: echo of public');
  });

  it('may change the result of a tool call', async () => {
    const session = await target.client().createSession(target.session({
      tools: [echo],
      hooks: { onPostToolUse: () => ({ modifiedResult: { textResultForLlm: 'redacted', resultType: 'success' } }) },
    }));
    expect((await turn(session, CALL)).text).toBe('tools said: redacted');
  });

  it('sees the tool, its arguments, its result and the session', async () => {
    const seen: unknown[] = [];
    const session = await target.client().createSession(target.session({
      tools: [echo],
      hooks: {
        onPreToolUse: (input, { sessionId }) => void seen.push(['pre', input.toolName, input.toolArgs, sessionId]),
        onPostToolUse: (input, { sessionId }) => void seen.push(['post', input.toolName, input.toolResult.textResultForLlm, sessionId]),
      },
    }));
    await turn(session, CALL);
    expect(seen).toEqual([
      ['pre', 'echo', { text: 'secret' }, session.sessionId],
      ['post', 'echo', 'echo of secret', session.sessionId],
    ]);
  });

  it('may change the prompt before the model sees it', async () => {
    const session = await target.client().createSession(target.session({
      hooks: { onUserPromptSubmitted: ({ prompt }) => ({ modifiedPrompt: `${prompt}, politely` }) },
    }));
    const said = await turn(session, 'say hello');
    expect(said.text).toBe('answer 1: say hello, politely');
  });

  it('sees the start of a session', async () => {
    const sources: string[] = [];
    const session = await target.client().createSession(target.session({
      hooks: { onSessionStart: ({ source }) => void sources.push(source) },
    }));
    await turn(session, 'hello');
    expect(sources).toEqual(['new']);
  });

  it('that throws does not stop the turn', async () => {
    const session = await target.client().createSession(target.session({
      tools: [echo], hooks: { onPreToolUse: () => { throw new Error('hook is broken'); } },
    }));
    expect((await turn(session, CALL)).text).toBe('tools said: echo of secret');
  });

  it('that is slow holds up its own session only', async () => {
    let go = (): void => {};
    let reached = (): void => {};
    const waiting = new Promise<void>((resolve) => (reached = resolve));
    const client = target.client();
    const slow = await client.createSession(target.session({
      hooks: {
        onUserPromptSubmitted: () => new Promise<void>((resolve) => {
          go = resolve;
          reached();
        }),
      },
    }));
    const other = await client.createSession(target.session());
    const slowTurn = turn(slow, 'take your time');
    await waiting;
    expect((await turn(other, 'quick')).text).toBe('answer 1: quick');
    go();
    expect((await slowTurn).text).toBe('answer 1: take your time');
  });
});
