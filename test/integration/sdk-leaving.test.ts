import { defineTool } from '@github/copilot-sdk';
import { expect, it } from 'vitest';
import { forEachTarget } from '../support/target.js';
import { Recording, turn } from '../support/sdk.js';

const named = (name: string) => defineTool(name, { skipPermission: true, handler: () => `called ${name}` });

forEachTarget('a client that vanishes from a shared session', (target) => {
  it('takes its tools with it, and the others are told', async () => {
    const leaving = target.client();
    const one = await leaving.createSession(target.session({ tools: [named('gone')] }));
    const two = await target.client().resumeSession(one.sessionId, target.session({ tools: [named('stays')] }));
    const heard = new Recording(two);
    await leaving.forceStop();
    await heard.until('session.tools_updated');
    const said = await turn(two, 'who is left [[tool:gone]] [[tool:stays]]');
    expect(said.text).toMatch(/^tools said: Tool 'gone' does not exist\..* \| called stays$/);
    const offered = target.model.about('who is left')[0]!.tools;
    expect(offered).toContain('stays');
    expect(offered).not.toContain('gone');
  });

  it('takes the elicitation capability with it, and the others are told', async () => {
    const leaving = target.client();
    const one = await leaving.createSession(target.session({ onElicitationRequest: () => ({ action: 'cancel' }) }));
    const two = await target.client().resumeSession(one.sessionId, target.session());
    expect(two.capabilities.ui?.elicitation).toBe(true);
    const heard = new Recording(two);
    await leaving.forceStop();
    await heard.until('capabilities.changed');
    expect(two.capabilities.ui?.elicitation).toBe(false);
  });

  it('takes its slash commands with it, and the others are told', async () => {
    const leaving = target.client();
    const one = await leaving.createSession(target.session({ commands: [{ name: 'deploy', description: 'ship it', handler: () => undefined }] }));
    const two = await target.client().resumeSession(one.sessionId, target.session());
    const own = async () => (await two.rpc.commands.list()).commands.filter((command) => command.kind === 'client').map((command) => command.name);
    expect(await own()).toEqual(['deploy']);
    const heard = new Recording(two);
    await leaving.forceStop();
    await heard.until('commands.changed');
    expect(await own()).toEqual([]);
  });

  it('takes its hooks with it', async () => {
    const leaving = target.client();
    const one = await leaving.createSession(target.session({ hooks: { onPreToolUse: () => ({ permissionDecision: 'deny' }) } }));
    const two = await target.client().resumeSession(one.sessionId, target.session({ tools: [named('free'), named('marker')] }));
    await turn(two, '[[tool:free]]');
    await leaving.forceStop();
    const said = await turn(two, '[[tool:free]]');
    expect(said.text).toBe('tools said: called free');
  });

  it('frees the names of its tools', async () => {
    const leaving = target.client();
    const one = await leaving.createSession(target.session({ tools: [named('handed_over')] }));
    const two = await target.client().resumeSession(one.sessionId, target.session());
    const heard = new Recording(two);
    await leaving.forceStop();
    await heard.until('session.tools_updated');
    const three = await target.client().resumeSession(one.sessionId, target.session({ tools: [named('handed_over')] }));
    expect((await turn(three, '[[tool:handed_over]]')).text).toBe('tools said: called handed_over');
  });

  it('does not hold up a turn that waits for its answer to a question', async () => {
    const leaving = target.client();
    const one = await leaving.createSession(target.session({ onUserInputRequest: () => new Promise(() => undefined) }));
    const two = await target.client().resumeSession(one.sessionId, target.session());
    const heard = new Recording(two);
    await one.send('[[tool:ask_user {"question":"are you there?"}]]');
    await heard.until('user_input.requested');
    await leaving.forceStop();
    await heard.until('session.idle');
    expect(heard.story.at(-1)).toBe('session.idle');
  });

  it('does not hold up a turn that waits for its hook', async () => {
    let reached = (): void => {};
    const waiting = new Promise<void>((resolve) => (reached = resolve));
    const leaving = target.client();
    const one = await leaving.createSession(target.session({
      hooks: {
        onUserPromptSubmitted: () => {
          reached();
          return new Promise<void>(() => undefined);
        },
      },
    }));
    const two = await target.client().resumeSession(one.sessionId, target.session());
    const heard = new Recording(two);
    await one.send('hooked');
    await waiting;
    await leaving.forceStop();
    await heard.until('session.idle');
    expect(heard.text).toBe('answer 1: hooked');
  });

  it('leaves a permission prompt that the other can still answer', async () => {
    const leaving = target.client();
    const one = await leaving.createSession(target.session({
      workingDirectory: target.directory(), onPermissionRequest: () => new Promise(() => undefined),
    }));
    let asked = (_grant: () => void): void => {};
    const prompt = new Promise<() => void>((resolve) => (asked = resolve));
    const two = await target.client().resumeSession(one.sessionId, target.session({
      onPermissionRequest: () => new Promise((resolve) => asked(() => resolve({ kind: 'approve-once' }))),
    }));
    const heard = new Recording(two);
    await one.send('[[tool:bash {"command":"echo hi","description":"greet"}]]');
    const grant = await prompt;
    await leaving.forceStop();
    grant();
    await heard.until('session.idle');
    expect(heard.text).toContain('hi');
  });
});

// A server that was told of a detach keeps tools, commands and the elicitation capability registered even when the connection closes.
// Nobody may wait for them, though.
forEachTarget('a client that stops in an orderly way and leaves others in its session', (target) => {
  it('does not hold up a call of one of its tools', async () => {
    const leaving = target.client();
    const one = await leaving.createSession(target.session({ tools: [named('gone')] }));
    const two = await target.client().resumeSession(one.sessionId, target.session({ tools: [named('stays')] }));
    await leaving.stop();
    const said = await turn(two, '[[tool:gone]] [[tool:stays]]');
    expect(said.of('tool.execution_complete').map((event) => event.data.success)).toEqual([false, true]);
    expect(said.text).toMatch(/\| called stays$/);
  });

  it('does not hold up a turn with its hooks', async () => {
    const leaving = target.client();
    const one = await leaving.createSession(target.session({ hooks: { onPreToolUse: () => ({ permissionDecision: 'deny' }) } }));
    const two = await target.client().resumeSession(one.sessionId, target.session({ tools: [named('free')] }));
    expect((await turn(two, '[[tool:free]]')).text).not.toContain('called free');
    await leaving.stop();
    expect((await turn(two, '[[tool:free]]')).text).toBe('tools said: called free');
  });

  it('does not hold up a turn that waits for its answer to a question', async () => {
    const leaving = target.client();
    const one = await leaving.createSession(target.session({ onUserInputRequest: () => new Promise(() => undefined) }));
    const two = await target.client().resumeSession(one.sessionId, target.session());
    const heard = new Recording(two);
    await one.send('[[tool:ask_user {"question":"are you there?"}]]');
    await heard.until('user_input.requested');
    await leaving.stop();
    await heard.until('session.idle');
    expect(heard.of('user_input.completed')).toHaveLength(1);
  });

  it('does not hold up a turn that waits for its hook', async () => {
    let reached = (): void => {};
    const waiting = new Promise<void>((resolve) => (reached = resolve));
    const leaving = target.client();
    const one = await leaving.createSession(target.session({
      hooks: {
        onUserPromptSubmitted: () => {
          reached();
          return new Promise<void>(() => undefined);
        },
      },
    }));
    const two = await target.client().resumeSession(one.sessionId, target.session());
    const heard = new Recording(two);
    await one.send('hooked');
    await waiting;
    await leaving.stop();
    await heard.until('session.idle');
    expect(heard.text).toBe('answer 1: hooked');
  });
});
