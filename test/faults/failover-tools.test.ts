/** CLI servers that die while tools, questions and sub-agents of a turn are under way. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { defineTool, type PermissionRequestResult } from '@github/copilot-sdk';
import { describe, expect, it } from 'vitest';
import { gate, killServerOf, startPair, stored } from '../support/failover.js';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn } from '../support/sdk.js';
import { Site } from '../support/site.js';

const scope = scopeOfEachTest();
const start = () => startPair(scope);

/** A tool of the client that works until it is let go, and counts its calls by their argument. */
function slowTool() {
  const calls: string[] = [];
  const gates = new Map<string, ReturnType<typeof gate>>();
  const gateOf = (key: string) => gates.get(key) ?? gates.set(key, gate()).get(key)!;
  const tool = defineTool<{ key: string }>('slow', {
    parameters: { type: 'object', properties: { key: { type: 'string' } } }, skipPermission: true,
    handler: async ({ key }) => {
      calls.push(key);
      await gateOf(key).opened;
      return `result of ${key}`;
    },
  });
  return { tool, calls, finish: (key: string) => gateOf(key).open() };
}

const BASH = (command: string) => `[[tool:bash {"command":"${command}","description":"do it"}]]`;

describe('a CLI server that is killed', () => {
  it('with two tools of the client under way, one of them done: both results count, neither is called again', async () => {
    const { site, client } = await start();
    const { tool, calls, finish } = slowTool();
    const session = await client.createSession(site.session({ tools: [tool] }));
    const heard = new Recording(session);
    await session.send('[[together:1]] [[tool:slow {"key":"a"}]] [[tool:slow {"key":"b"}]]');
    await heard.until('external_tool.requested', 2);
    finish('a');
    await heard.until('external_tool.completed');
    await killServerOf(site, session);
    finish('b');
    await heard.until('session.idle');
    expect(heard.text).toBe('tools said: result of a | result of b');
    expect(calls.sort()).toEqual(['a', 'b']);
    expect(heard.of('tool.execution_start')).toHaveLength(2);
    expect(heard.of('tool.execution_complete')).toHaveLength(2);
  });

  it('with a command running and a tool of the client under way: the command is not run again, the tool counts', async () => {
    const { site, client } = await start();
    const { tool, calls, finish } = slowTool();
    const workingDirectory = site.directory();
    const session = await client.createSession(site.session({ tools: [tool], workingDirectory }));
    const heard = new Recording(session);
    await session.send(`[[together:1]] ${BASH('echo made >> made.txt; sleep 2')} [[tool:slow {"key":"a"}]]`);
    await heard.until('external_tool.requested');
    while (!existsSync(path.join(workingDirectory, 'made.txt'))) await new Promise((resolve) => setTimeout(resolve, 10));
    await killServerOf(site, session);
    finish('a');
    await heard.until('session.idle');
    expect(heard.text).toMatch(/^tools said: .*interrupted.* \| result of a$/);
    expect(calls).toEqual(['a']);
    expect(readFileSync(path.join(workingDirectory, 'made.txt'), 'utf8')).toBe('made\n');
  });

  it('with two permissions asked for: both answers count, each command runs once', async () => {
    const { site, client } = await start();
    const workingDirectory = site.directory();
    const answered = gate();
    let asked = 0;
    const session = await client.createSession(site.session({
      workingDirectory,
      onPermissionRequest: async () => {
        asked++;
        await answered.opened;
        return { kind: 'approve-once' };
      },
    }));
    const heard = new Recording(session);
    await session.send(`[[together:1]] ${BASH('echo a >> made.txt')} ${BASH('echo b >> made.txt')}`);
    while (asked < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    await killServerOf(site, session);
    answered.open();
    await heard.until('session.idle');
    expect(readFileSync(path.join(workingDirectory, 'made.txt'), 'utf8').split('\n').sort()).toEqual(['', 'a', 'b']);
    expect(heard.of('tool.execution_start')).toHaveLength(2);
    expect(asked).toBe(2);
    expect((await stored(session)).filter((type) => type === 'tool.execution_start')).toHaveLength(2);
  });

  it('while a permission is asked for that is then refused: the command is not run, and the turn ends', async () => {
    const { site, client } = await start();
    const answer = gate();
    const session = await client.createSession(site.session({
      onPermissionRequest: async (): Promise<PermissionRequestResult> => {
        await answer.opened;
        return { kind: 'reject' };
      },
    }));
    const heard = new Recording(session);
    await session.send(BASH('echo never'));
    await heard.until('permission.requested');
    await killServerOf(site, session);
    answer.open();
    await heard.until('session.idle');
    expect(heard.of('tool.execution_complete').map(({ data }) => data.error?.code)).toEqual(['rejected']);
    expect((await turn(session, 'go on')).text).toBe('answer 2: go on');
  });

  it('while a sub-agent asks for a permission: the sub-agent is given up, and the turn goes on', async () => {
    const { site, client } = await start();
    const asked = gate();
    const session = await client.createSession(site.session({
      onPermissionRequest: async () => {
        await asked.opened;
        return { kind: 'approve-once' };
      },
    }));
    const heard = new Recording(session);
    const inner = BASH('echo sub').replaceAll('[', '\\u005b').replaceAll(']', '\\u005d').replaceAll('"', '\\"');
    await session.send(`[[tool:task {"agent_type":"general-purpose","description":"d","prompt":"${inner}","name":"sub","mode":"sync"}]]`);
    const { data } = await heard.until('permission.requested');
    await killServerOf(site, session);
    await heard.until('session.idle');
    expect(heard.text).toMatch(/^tools said: .*interrupted/);
    expect(heard.of('permission.completed').map((event) => event.data.requestId)).toEqual([data.requestId]);
    asked.open();
    expect((await turn(session, 'go on')).text).toBe('answer 2: go on');
  });

  it('while it asks the user something: the answer counts, also when the next one dies, too', async () => {
    const site = await Site.start(scope, { servers: 3, config: { sessions: { state: 'skyport' } } });
    const reply = gate();
    let asked = 0;
    const session = await site.client().createSession(site.session({
      onUserInputRequest: async () => {
        asked++;
        await reply.opened;
        return { answer: 'blue', wasFreeform: false };
      },
    }));
    const heard = new Recording(session);
    await session.send('[[tool:ask_user {"question":"Which colour?","choices":["red","blue"]}]]');
    await heard.until('user_input.requested');
    while (asked < 1) await new Promise((resolve) => setTimeout(resolve, 10));
    for (let times = 1; times <= 2; times++) {
      await killServerOf(site, session);
      await site.skyport.logged((line) => line.event === 'turn_recovered' && line['epoch'] === times + 1);
    }
    reply.open();
    await heard.until('session.idle');
    expect(heard.text).toBe('tools said: User selected: blue');
    expect(asked).toBe(1);
    expect(heard.events.filter(({ type }) => type.startsWith('external_tool'))).toEqual([]);
    expect((await turn(session, 'go on')).text).toBe('answer 2: go on');
  });

  it('is not noticed by the hook of a session\'s start, live or in the history', async () => {
    const { site, client } = await start();
    const starts: string[] = [];
    const session = await client.createSession(site.session({ hooks: { onSessionStart: ({ source }) => void starts.push(source) } }));
    await turn(session, 'one');
    const heard = new Recording(session);
    await killServerOf(site, session);
    await turn(session, 'two');
    await turn(session, 'three');
    expect(starts).toEqual(['new']);
    const hooks = [...heard.events, ...(await session.getEvents())].filter(({ type }) => type === 'hook.start');
    expect(hooks.filter(({ data }) => (data as { hookType: string }).hookType === 'sessionStart')).toHaveLength(1);
  });
});
