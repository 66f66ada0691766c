import { approveAll, defineTool, type CopilotClient, type SessionConfig } from 'copilot-sdk-legacy';
import { expect, it } from 'vitest';
import { forEachTarget, type Target } from '../support/target.js';
import { Recording, turn, type Talker } from '../support/sdk.js';

function config(target: Target, more: Partial<SessionConfig> = {}): SessionConfig {
  return { model: 'gpt-4.1', provider: { type: 'openai', baseUrl: target.model.url, apiKey: 'a-key' }, onPermissionRequest: approveAll, ...more };
}

/** The two SDK generations name the same events in types of their own. */
const talker = (session: Awaited<ReturnType<CopilotClient['createSession']>>): Talker => session as unknown as Talker;

forEachTarget('an SDK of generation 0.3', (target) => {
  it('holds a conversation', async () => {
    const session = await (await target.legacyClient()).createSession(config(target));
    expect((await session.sendAndWait({ prompt: 'hello' }))?.data.content).toBe('answer 1: hello');
    expect((await session.sendAndWait({ prompt: 'and again' }))?.data.content).toBe('answer 2: and again');
  });

  it('streams', async () => {
    const session = await (await target.legacyClient()).createSession(config(target, { streaming: true }));
    const said = await turn(talker(session), 'count [[stream:40]]');
    expect(said.of('assistant.message_delta').map((event) => event.data.deltaContent).join('')).toBe(said.text);
  });

  it('has its tools called', async () => {
    const add = defineTool<{ a: number; b: number }>('add', {
      description: 'adds', parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } } },
      handler: ({ a, b }) => `${a + b}`,
    });
    const session = await (await target.legacyClient()).createSession(config(target, { tools: [add] }));
    expect((await turn(talker(session), '[[tool:add {"a":19,"b":23}]]')).text).toBe('tools said: 42');
  });

  it('grants and denies permissions', async () => {
    const client = await target.legacyClient();
    const command = '[[tool:bash {"command":"echo out","description":"say"}]]';
    const yes = await client.createSession(config(target, { workingDirectory: target.directory() }));
    expect((await turn(talker(yes), command)).text).toContain('out');
    const no = await client.createSession(config(target, {
      workingDirectory: target.directory(), onPermissionRequest: () => ({ kind: 'reject' }),
    }));
    expect((await turn(talker(no), command)).of('tool.execution_complete')[0]!.data.success).toBe(false);
  });

  it('answers questions and has its hooks asked', async () => {
    const hooked: string[] = [];
    const session = await (await target.legacyClient()).createSession(config(target, {
      onUserInputRequest: () => ({ answer: 'green', wasFreeform: true }),
      hooks: { onPreToolUse: ({ toolName }) => void hooked.push(toolName) },
    }));
    expect((await turn(talker(session), '[[tool:ask_user {"question":"Which?"}]]')).text).toContain('green');
    expect(hooked).toEqual(['ask_user']);
  });

  it('aborts', async () => {
    const session = await (await target.legacyClient()).createSession(config(target));
    const said = new Recording(talker(session));
    await session.send({ prompt: 'long [[hold:legacy]]' });
    await target.model.asked('[[hold:legacy]]');
    await session.abort();
    await Promise.all([said.until('abort'), said.until('session.idle')]);
    expect((await session.sendAndWait({ prompt: 'go on' }))?.data.content).toContain('go on');
  });

  it('disconnects from a session and resumes it with its history', async () => {
    const client = await target.legacyClient();
    const before = await client.createSession(config(target));
    await before.sendAndWait({ prompt: 'first' });
    await before.disconnect();
    const after = await client.resumeSession(before.sessionId, config(target));
    expect((await after.sendAndWait({ prompt: 'second' }))?.data.content).toBe('answer 2: second');
    const types = (await after.getMessages()).map((event) => event.type);
    expect(types.filter((type) => type === 'user.message')).toHaveLength(2);
  });

  it('lists, describes and deletes sessions', async () => {
    const client = await target.legacyClient();
    const session = await client.createSession(config(target));
    await session.sendAndWait({ prompt: 'to be listed' });
    expect(await client.getLastSessionId()).toBe(session.sessionId);
    expect((await client.listSessions()).map((one) => one.sessionId)).toContain(session.sessionId);
    expect((await client.getSessionMetadata(session.sessionId))?.summary).toBe('to be listed');
    await session.disconnect();
    await client.deleteSession(session.sessionId);
    expect((await client.listSessions()).map((one) => one.sessionId)).not.toContain(session.sessionId);
  });

  it('is told of the lives of sessions', async () => {
    const client = await target.legacyClient();
    await client.start();
    const created = new Promise<string>((resolve) => client.on('session.created', (event) => resolve(event.sessionId)));
    const session = await client.createSession(config(target));
    expect(await created).toBe(session.sessionId);
  });

  it('pings and asks for the status', async () => {
    const client = await target.legacyClient();
    await client.start();
    expect((await client.ping('hi')).message).toBe('pong: hi');
    expect((await client.getStatus()).protocolVersion).toBe(3);
  });

  it('stops without errors', async () => {
    const client = await target.legacyClient();
    const session = await client.createSession(config(target));
    await session.sendAndWait({ prompt: 'bye' });
    expect(await client.stop()).toEqual([]);
  });
});
