/** Turns in which nothing happens any more: a model that never answers, servers that hang and are not taken for dead. */
import { defineTool, type SessionConfig, type SessionEvent } from '@github/copilot-sdk';
import { describe, expect, it } from 'vitest';
import { serverOf, shown, startPair } from '../support/failover.js';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn } from '../support/sdk.js';
import { Site, type SiteOptions } from '../support/site.js';
import type { LogLine } from '../support/skyport.js';
import { startTwo } from '../support/two-skyports.js';

const scope = scopeOfEachTest();

/** Longer than a busy machine needs for any step of a turn. */
const STALL = { stall_timeout: '3s' };

/** A server that hangs is not found out by this. */
const LENIENT_HEALTH = { interval: '1m', timeout: '1m', fall: 10, slow_start: '0s' };

/** What was done about turns of a session, in order. @param last waited for: the log is written a little later than clients hear of it */
async function steps(site: Site, { sessionId }: { sessionId: string }, last?: string): Promise<unknown[]> {
  const isOne = (line: LogLine): boolean => line.event === 'turn_stalled' && line.sessionId === sessionId;
  if (last !== undefined) await site.skyport.logged((line) => isOne(line) && line.step === last);
  return site.skyport.log.filter(isOne).map(({ step }) => step);
}

const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

describe.each(['skyport', 'server'])('a model that never answers, with state: %s', (state) => {
  const start = (more: SiteOptions = {}) => Site.start(scope, { servers: 1, config: { sessions: { state, ...STALL } }, ...more });

  it('ends as by an abort, and the session goes on', async () => {
    const site = await start();
    const session = await site.client().createSession(site.session());
    await turn(session, 'remember the heron');
    const heard = await turn(session, 'lost [[hold:never]]');
    expect(heard.story.toSorted()).toEqual(['abort', 'assistant.turn_end', 'assistant.turn_start', 'session.idle', 'user.message']);
    expect((await turn(session, 'still there')).text).toBe('answer 3: still there');
    expect(await steps(site, session, 'abort')).toEqual(['abort']);
    expect(await (await fetch(`${site.skyport.http}/metrics`)).text()).toContain('skyport_turns_stalled_total{step="abort"} 1\n');
  });

  it('ends in the middle of a stream, too', async () => {
    const site = await start();
    const session = await site.client().createSession(site.session({ streaming: true }));
    const heard = await turn(session, '[[stream:3]] [[hold:never]]');
    expect(heard.of('assistant.message_delta')).toHaveLength(1);
    expect(heard.of('abort')).toHaveLength(1);
  });

  it('lets those go on who have waited to write', async () => {
    const site = await start();
    const first = await site.client().createSession(site.session());
    const second = await site.client().resumeSession(first.sessionId, site.session());
    const heard = new Recording(second);
    await first.send('[[hold:never]]');
    await second.send('after that');
    await heard.until('assistant.message');
    expect(heard.text).toContain('after that');
  });

  it('of a sub-agent ends the turn that waits for it', async () => {
    const site = await start();
    const session = await site.client().createSession(site.session());
    const heard = new Recording(session);
    const prompt = '[[hold:never]]'.replaceAll('[', '\\u005b').replaceAll(']', '\\u005d');
    await session.send(`[[tool:task {"agent_type":"general-purpose","name":"helper","description":"help","prompt":"${prompt}","mode":"sync"}]]`);
    await heard.until('subagent.started');
    await heard.until('session.idle');
    expect(heard.of('abort').filter(({ agentId }) => agentId === undefined)).toHaveLength(1);
    expect(await steps(site, session, 'abort')).toEqual(['abort']);
    expect((await turn(session, 'still there')).text).toContain('still there');
  });
});

describe('a turn that waits for somebody, or for a tool', () => {
  it('is left alone, however long that takes', async () => {
    const site = await Site.start(scope, { servers: 1, config: { sessions: STALL } });
    const client = site.client();
    const workingDirectory = site.directory();
    const stuck = defineTool('stuck', { skipPermission: true, handler: () => never<string>() });
    const waiting: readonly { readonly of: SessionEvent['type']; readonly prompt: string; readonly more: Partial<SessionConfig> }[] = [
      { of: 'permission.requested', prompt: '[[tool:bash {"command":"true","description":"nothing"}]]', more: { onPermissionRequest: () => never<{ kind: 'reject' }>() } },
      { of: 'external_tool.requested', prompt: '[[tool:stuck]]', more: { tools: [stuck] } },
      { of: 'tool.execution_start', prompt: '[[tool:ask_user {"question":"on?"}]]', more: { onUserInputRequest: () => never<{ answer: string; wasFreeform: boolean }>() } },
      { of: 'tool.execution_start', prompt: '[[tool:bash {"command":"sleep 45","description":"rest"}]]', more: {} },
      { of: 'hook.start', prompt: '[[tool:bash {"command":"true","description":"nothing"}]]', more: { hooks: { onPreToolUse: () => never<undefined>() } } },
    ];
    const heard = await Promise.all(waiting.map(async ({ of, prompt, more }) => {
      const session = await client.createSession(site.session({ workingDirectory, ...more }));
      const said = new Recording(session);
      await session.send(prompt);
      await said.until(of);
      return { session, said };
    }));
    // Two that wait for nobody, one after the other, are older than the time when they are ended.
    const other = await client.createSession(site.session());
    for (const key of ['one', 'two']) await turn(other, `[[hold:never-${key}]]`);
    for (const { session, said } of heard) expect([await steps(site, session), said.of('session.idle')]).toEqual([[], []]);
  }, 60_000);
});

describe('a CLI server that hangs and is not taken for dead', () => {
  it('loses the session to another one, which ends the turn', async () => {
    const { site, client } = await startPair(scope, { config: { sessions: STALL, health: LENIENT_HEALTH } });
    const session = await client.createSession(site.session());
    await turn(session, 'remember the heron');
    const heard = new Recording(session);
    await session.send('lost [[hold:never]]');
    await site.model.asked('[[hold:never]]');
    const hung = await serverOf(site, session);
    site.servers[hung]!.sigstop();
    await heard.until('session.idle');
    expect(heard.of('session.error').map(({ data }) => data)).toMatchObject([{ errorType: 'turn_stalled', errorCode: 'SKYPORT_TURN_STALLED' }]);
    expect(heard.story.slice(-4)).toEqual(['session.error', 'abort', 'assistant.turn_end', 'session.idle']);
    expect(await steps(site, session, 'move')).toEqual(['abort', 'move']);
    expect((await turn(session, 'and now')).text).toBe('answer 3: and now');
    expect(shown(site, 'and now')).toEqual(['remember the heron', 'lost [[hold:never]]', 'and now']);
    expect(await serverOf(site, session)).toBe(1 - hung);
    // What it still wanted to say when it wakes up is nobody's.
    site.servers[hung]!.sigcont();
    expect((await turn(session, 'and then')).text).toBe('answer 4: and then');
    expect(heard.of('session.shutdown')).toEqual([]);
    expect((await session.getEvents()).filter(({ type }) => type === 'session.shutdown')).toEqual([]);
  });

  it('before it has taken a message: that is sent to another one', async () => {
    const { site, client } = await startPair(scope, { config: { sessions: STALL, health: LENIENT_HEALTH } });
    const session = await client.createSession(site.session());
    await turn(session, 'remember the heron');
    const hung = await serverOf(site, session);
    site.servers[hung]!.sigstop();
    const heard = await turn(session, 'are you there');
    expect([heard.text, heard.of('session.error')]).toEqual(['answer 2: are you there', []]);
    expect(await serverOf(site, session)).toBe(1 - hung);
    site.servers[hung]!.sigcont();
  });

  it('and is the only one: it has the session again as soon as it has let go of it', async () => {
    const site = await Site.start(scope, { servers: 1, config: { sessions: STALL, health: LENIENT_HEALTH } });
    const session = await site.client().createSession(site.session());
    await turn(session, 'remember the heron');
    const heard = new Recording(session);
    await session.send('lost [[hold:never]]');
    await site.model.asked('[[hold:never]]');
    site.servers[0]!.sigstop();
    await site.skyport.logged(({ event, step }) => event === 'turn_stalled' && step === 'move');
    site.servers[0]!.sigcont();
    await heard.until('session.idle');
    expect((await turn(session, 'and now')).text).toBe('answer 3: and now');
    expect(heard.of('session.idle')).toHaveLength(2);
    expect(await steps(site, session, 'move')).toEqual(['abort', 'move']);
    expect(heard.of('session.shutdown')).toEqual([]);
  });

  it('and alone has its sessions: the turn is given up, and goes on when the server does', async () => {
    const site = await Site.start(scope, { servers: 1, config: { sessions: { state: 'server', ...STALL }, health: LENIENT_HEALTH } });
    const session = await site.client().createSession(site.session());
    await turn(session, 'remember the heron');
    const heard = new Recording(session);
    await session.send('lost [[hold:never]]');
    await site.model.asked('[[hold:never]]');
    site.servers[0]!.sigstop();
    await heard.until('session.idle');
    expect(heard.story.slice(-2)).toEqual(['session.error', 'session.idle']);
    expect(await steps(site, session, 'give_up')).toEqual(['abort', 'give_up']);
    site.servers[0]!.sigcont();
    expect((await turn(session, 'and now')).text).toBe('answer 3: and now');
  });
});

describe('a session that another Skyport holds', () => {
  it('has its turn ended by that one alone', async () => {
    const { sites: [one, two] } = await startTwo(scope, { config: { sessions: STALL } });
    const session = await one.client().createSession(one.session());
    await turn(session, 'remember the heron');
    const there = await two.client().resumeSession(session.sessionId, two.session());
    const heard = await turn(there, '[[hold:never]]');
    expect([heard.of('abort').length, await steps(one, session, 'abort'), await steps(two, session)]).toEqual([1, ['abort'], []]);
    expect((await turn(there, 'still there')).text).toBe('answer 3: still there');
  });
});
