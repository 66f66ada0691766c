import { defineTool } from '@github/copilot-sdk';
import { expect, it } from 'vitest';
import { forEachTarget } from '../support/target.js';
import { Recording, turn } from '../support/sdk.js';
import { textOf } from '../support/prompt.js';

const named = (name: string) => defineTool(name, { skipPermission: true, handler: () => `called ${name}` });

forEachTarget('a resumed session', (target) => {
  it('remembers the conversation after a detach', async () => {
    const client = target.client();
    const before = await client.createSession(target.session());
    await turn(before, 'remember the otter');
    await before.disconnect();
    const after = await client.resumeSession(before.sessionId, target.session());
    const said = await turn(after, 'what was it (detach)');
    expect(said.text).toBe('answer 2: what was it (detach)');
    const history = target.model.about('what was it (detach)')[0]!.messages.map(textOf);
    expect(history.some((text) => text.includes('remember the otter'))).toBe(true);
  });

  it('remembers the conversation when its client vanished and another one comes', async () => {
    const first = target.client();
    const before = await first.createSession(target.session());
    await turn(before, 'remember the badger');
    await first.forceStop();
    const after = await target.client().resumeSession(before.sessionId, target.session());
    expect((await turn(after, 'and now')).text).toBe('answer 2: and now');
  });

  it('tells its history as the first client saw it', async () => {
    const client = target.client();
    const before = await client.createSession(target.session());
    const said = await turn(before, 'for the record');
    const seen = said.of('assistant.message')[0]!;
    await before.disconnect();
    const after = await client.resumeSession(before.sessionId, target.session());
    const events = await after.getEvents();
    expect(events.find((event) => event.type === 'user.message')?.data.content).toBe('for the record');
    expect(events.find((event) => event.id === seen.id)).toEqual(seen);
  });

  it('begins its history with session.start and tells that it was resumed', async () => {
    const client = target.client();
    const before = await client.createSession(target.session());
    await turn(before, 'hello');
    await before.disconnect();
    const after = await client.resumeSession(before.sessionId, target.session());
    const types = (await after.getEvents()).map((event) => event.type);
    expect(types[0]).toBe('session.start');
    expect(types).toContain('session.resume');
  });

  it('gets the tools and hooks that the resume names', async () => {
    const client = target.client();
    const before = await client.createSession(target.session({ tools: [named('old')] }));
    await turn(before, 'hello');
    await before.disconnect();
    const hooked: string[] = [];
    const after = await client.resumeSession(before.sessionId, target.session({
      tools: [named('fresh')], hooks: { onPreToolUse: ({ toolName }) => void hooked.push(toolName) },
    }));
    const said = await turn(after, 'tools now [[tool:fresh]] [[tool:old]]');
    expect(said.text).toMatch(/^tools said: called fresh \| Tool 'old' does not exist\./);
    expect(hooked).toContain('fresh');
  });

  it('answers the first message after a client vanished in mid-turn', async () => {
    const first = target.client();
    const before = await first.createSession(target.session());
    await turn(before, 'all is well');
    await before.send('cut off [[hold:cut-off]]');
    await target.model.asked('[[hold:cut-off]]');
    await first.forceStop();
    target.model.release('cut-off');
    const after = await target.client().resumeSession(before.sessionId, target.session());
    const said = new Recording(after);
    await after.send('here again');
    while (!said.text?.includes('here again')) await said.until('assistant.message', said.of('assistant.message').length + 1);
    expect(said.text).toMatch(/^answer \d: here again$/);
  });

  it('keeps the name it was given', async () => {
    const client = target.client();
    const before = await client.createSession(target.session());
    await turn(before, 'hello');
    await before.rpc.name.set({ name: 'Holiday plans' });
    await before.disconnect();
    const after = await client.resumeSession(before.sessionId, target.session());
    expect((await after.rpc.name.get()).name).toBe('Holiday plans');
  });

  it('may be resumed by the client that has it', async () => {
    const client = target.client();
    const one = await client.createSession(target.session());
    await turn(one, 'hello');
    const two = await client.resumeSession(one.sessionId, target.session());
    expect((await turn(two, 'twice')).text).toBe('answer 2: twice');
  });

  it('is refused when nobody knows it', async () => {
    await expect(target.client().resumeSession('no-such-session', target.session())).rejects.toThrow(/Session not found/);
  });
});

forEachTarget('a forked session', (target) => {
  it('starts with the history of the first and goes its own way', async () => {
    const client = target.client();
    const trunk = await client.createSession(target.session());
    await turn(trunk, 'the common past');
    const { sessionId } = await client.rpc.sessions.fork({ sessionId: trunk.sessionId });
    expect(sessionId).not.toBe(trunk.sessionId);
    const branch = await client.resumeSession(sessionId, target.session());
    await turn(branch, 'in the branch');
    await turn(trunk, 'in the trunk');
    const history = target.model.about('in the trunk')[0]!.messages.map(textOf).join('\n');
    expect(history).toContain('the common past');
    expect(history).not.toContain('in the branch');
    expect(target.model.about('in the branch')[0]!.messages.map(textOf).join('\n')).toContain('the common past');
  });
});
