/** A client that vanished in the middle of its turn, and the events that its user has missed on coming back. */
import { approveAll, defineTool, type SessionEvent } from '@github/copilot-sdk';
import { describe, expect, it } from 'vitest';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, type CopilotClient, type CopilotSession } from '../support/sdk.js';
import { Site, type TokenEntry } from '../support/site.js';
import type { WireClient } from '../support/wire-client.js';

const scope = scopeOfEachTest();

const start = (linger = '1h', tokens?: readonly TokenEntry[]) => Site.start(scope, { servers: 1, tokens, config: { sessions: { linger } } });

const lingering = (site: Site) => site.until((status) => status.sessions.byState.lingering === 1);
const nobodyThere = (site: Site) => site.until((status) => status.sessions.attached === 0);

/** What one client hears of a session, from its create or resume on. */
class Hearing {
  readonly heard: Recording;
  private readonly listeners: ((event: SessionEvent) => void)[] = [];

  private constructor(readonly client: CopilotClient) {
    this.heard = new Recording({ on: (listener: (event: SessionEvent) => void) => { this.listeners.push(listener); return () => undefined; } });
  }

  /** @param resume undefined for a new session */
  static async start(site: Site, { user = 'alice', sessionId, resume, more = {} }: Options): Promise<{ hearing: Hearing; session: CopilotSession }> {
    const hearing = new Hearing(site.client(user));
    const onEvent = (event: SessionEvent): void => hearing.listeners.forEach((listener) => listener(event));
    const config = site.session({ streaming: true, onEvent, ...more });
    const session = resume === undefined ? await hearing.client.createSession({ ...config, sessionId }) : await hearing.client.resumeSession(resume, config);
    return { hearing, session };
  }
}

interface Options {
  readonly user?: string;
  readonly sessionId?: string;
  readonly resume?: string;
  readonly more?: Partial<Parameters<Site['session']>[0]>;
}

/** From the message on; what is told of a resume is no part of the turn. */
function turnOf(events: readonly SessionEvent[]): string[] {
  const first = events.findIndex(({ type }) => type === 'user.message');
  return events.slice(Math.max(0, first)).filter(({ type }) => !OF_A_RESUME.has(type)).map(({ id, type }) => `${type} ${id}`);
}

const OF_A_RESUME = new Set<string>([
  'session.resume', 'session.shutdown', 'session.managed_settings_resolved', 'session.skills_loaded', 'session.mcp_servers_loaded',
  'session.tools_updated', 'session.custom_agents_updated', 'session.extensions_loaded', 'commands.changed', 'capabilities.changed',
]);

const stored = (events: readonly SessionEvent[]): SessionEvent[] => events.filter((event) => (event as { ephemeral?: boolean }).ephemeral !== true);

const deltas = ({ heard }: Hearing): string => heard.of('assistant.message_delta').map((event) => event.data.deltaContent).join('');

/** Asks again and again; the test's own time-out ends a wait in vain. */
async function historyHas(client: WireClient, sessionId: string, type: string): Promise<void> {
  for (;;) {
    const { events } = await client.result<{ events: { type: string }[] }>('session.getMessages', { sessionId });
    if (events.some((event) => event.type === type)) return;
  }
}

async function shareWithBob(site: Site, id: string): Promise<void> {
  const { code } = await site.skyport.cli(['share', id, '--with', 'bob', '--as', 'reader', '--config', site.skyport.configFile]);
  expect(code).toBe(0);
}

describe('a client that comes back to the turn that runs on for it', () => {
  it('has heard the same as one that was there all the time, each event once and in order', async () => {
    const site = await start();
    const { hearing: before, session } = await Hearing.start(site, {});
    await shareWithBob(site, session.sessionId);
    const { hearing: witness } = await Hearing.start(site, { user: 'bob', resume: session.sessionId });
    await session.send('[[slow:20]][[stream:60]][[hold:rest]]');
    await before.heard.until('assistant.message_delta');
    await before.client.forceStop();
    await lingering(site);
    site.model.release('rest');
    await witness.heard.until('assistant.message_delta', 20);
    const { hearing: after } = await Hearing.start(site, { resume: session.sessionId });
    await Promise.all([after.heard.until('session.idle'), witness.heard.until('session.idle')]);
    expect(turnOf([...before.heard.events, ...after.heard.events])).toEqual(turnOf(witness.heard.events));
  });

  it('has heard what is stored of a turn that ended meanwhile, and how it ended', async () => {
    const site = await start();
    const { hearing: before, session } = await Hearing.start(site, {});
    await session.send('[[stream:5]][[hold:end]]');
    await before.heard.until('assistant.message_delta');
    await before.client.forceStop();
    await lingering(site);
    site.model.release('end');
    await nobodyThere(site);
    const { hearing: after, session: back } = await Hearing.start(site, { resume: session.sessionId });
    await after.heard.until('session.idle');
    const all = [...before.heard.events, ...after.heard.events];
    expect(turnOf(stored(all))).toEqual(turnOf(stored(await back.getEvents())));
    expect(deltas(before) + deltas(after)).toBe('d0 d1 d2 d3 d4 ');
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
  });

  it('hears it after the answer to its resume and before anything else', async () => {
    const site = await start();
    const before = await site.wire();
    await before.result('session.create', site.params({ sessionId: 'first', streaming: true }));
    await before.result('session.send', { sessionId: 'first', prompt: '[[stream:3]][[hold:first]]' });
    await before.untilEvent('first', 'assistant.message_delta');
    before.destroy();
    await lingering(site);
    site.model.release('first');
    await nobodyThere(site);
    const after = await site.wire();
    await after.result('session.resume', site.params({ sessionId: 'first', streaming: true }));
    await after.untilEvent('first', 'session.idle');
    await after.untilEvent('first', 'session.resume');
    const said = after.messages.map(({ method, params }) => (method === 'session.event' ? (params!['event'] as { type: string }).type : 'answer'));
    const [told, resumed] = [said.indexOf('session.idle'), said.indexOf('session.resume')];
    expect(said.findIndex((type) => type !== 'answer')).toBeGreaterThan(after.messages.findIndex(({ result }) => JSON.stringify(result ?? {}).includes('"first"')));
    expect(told).toBeLessThan(resumed);
    expect(said.slice(0, told)).toEqual(expect.arrayContaining(['assistant.message_delta', 'assistant.message']));
  });

  it('hears it once: the next one to resume hears nothing of it', async () => {
    const site = await start();
    const { hearing: before, session } = await Hearing.start(site, {});
    await session.send('[[stream:3]][[hold:once]]');
    await before.heard.until('assistant.message_delta');
    await before.client.forceStop();
    await lingering(site);
    site.model.release('once');
    await nobodyThere(site);
    const { hearing: first } = await Hearing.start(site, { resume: session.sessionId });
    await first.heard.until('session.idle');
    const { hearing: second, session: again } = await Hearing.start(site, { resume: session.sessionId });
    await again.getEvents();
    expect(turnOf(second.heard.events)).toEqual([]);
  });

  it('that vanishes again hears the rest the next time', async () => {
    const site = await start();
    const { hearing: one, session } = await Hearing.start(site, {});
    await session.send('[[slow:20]][[stream:60]][[hold:twice]]');
    await one.heard.until('assistant.message_delta');
    await one.client.forceStop();
    await lingering(site);
    const { hearing: two } = await Hearing.start(site, { resume: session.sessionId });
    site.model.release('twice');
    await two.heard.until('assistant.message_delta', 10);
    await two.client.forceStop();
    await nobodyThere(site);
    const { hearing: three } = await Hearing.start(site, { resume: session.sessionId });
    await three.heard.until('session.idle');
    const all = [one, two, three].flatMap(({ heard }) => heard.events);
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    expect(three.heard.text).toBe(Array.from({ length: 60 }, (_, n) => `d${n} `).join(''));
    expect(three.heard.of('session.idle').length).toBe(1);
  });

  it('runs no tool for a call that was withdrawn meanwhile', async () => {
    const site = await start();
    const runs: string[] = [];
    const tools = [defineTool('deploy', { skipPermission: true, handler: () => { runs.push('ran'); return 'done'; } })];
    const { hearing: before, session } = await Hearing.start(site, { more: { tools } });
    await session.send('[[hold:call]] [[tool:deploy]]');
    await site.model.asked('[[hold:call]]');
    await before.client.forceStop();
    await lingering(site);
    site.model.release('call');
    const other = await site.wire();
    await historyHas(other, session.sessionId, 'external_tool.requested');
    await other.call('session.abort', { sessionId: session.sessionId });
    await nobodyThere(site);
    const { hearing: after, session: back } = await Hearing.start(site, { resume: session.sessionId, more: { tools } });
    await after.heard.until('session.idle');
    await back.getEvents();
    expect([runs, after.heard.of('external_tool.requested')]).toEqual([[], []]);
  });

  it('hears nothing of it when it comes too late', async () => {
    const site = await start('300ms');
    const { hearing: before, session } = await Hearing.start(site, {});
    await session.send('[[slow:20]][[stream:2000]]');
    await before.heard.until('assistant.message_delta');
    await before.client.forceStop();
    await nobodyThere(site);
    const { hearing: after, session: back } = await Hearing.start(site, { resume: session.sessionId });
    await back.getEvents();
    expect(turnOf(after.heard.events)).toEqual([]);
  });
});

describe('what a client has missed', () => {
  it('is not told to another user with whom the session is shared', async () => {
    const site = await start();
    const { hearing: before, session } = await Hearing.start(site, {});
    await shareWithBob(site, session.sessionId);
    await session.send('[[stream:3]][[hold:hers]]');
    await before.heard.until('assistant.message_delta');
    await before.client.forceStop();
    await lingering(site);
    site.model.release('hers');
    await nobodyThere(site);
    const { hearing: bob, session: read } = await Hearing.start(site, { user: 'bob', resume: session.sessionId });
    await read.getEvents();
    expect(bob.heard.story).toEqual(expect.not.arrayContaining(['assistant.message', 'session.idle']));
    const { hearing: after } = await Hearing.start(site, { resume: session.sessionId });
    await after.heard.until('session.idle');
    expect(after.heard.text).toBe('d0 d1 d2 ');
  });

  it('as a service is not told to the user whom it speaks for, who goes on from where the turn is', async () => {
    const site = await start('1h', [{ user: 'alice' }, { user: 'bot', roles: ['service'], session_pattern: '^for-(?<user>[a-z]+)-' }]);
    const { hearing: before, session } = await Hearing.start(site, { user: 'bot', sessionId: 'for-alice-1' });
    await session.send('[[stream:3]][[hold:bot]]');
    await before.heard.until('assistant.message_delta');
    await before.client.forceStop();
    await lingering(site);
    site.model.release('bot');
    await nobodyThere(site);
    const { hearing: alice, session: own } = await Hearing.start(site, { resume: 'for-alice-1' });
    await own.getEvents();
    expect(alice.heard.story).toEqual(expect.not.arrayContaining(['assistant.message', 'session.idle']));
    await alice.client.stop();
    const { hearing: after } = await Hearing.start(site, { user: 'bot', resume: 'for-alice-1' });
    await after.heard.until('session.idle');
    expect(after.heard.text).toBe('d0 d1 d2 ');
  });

  it('with a second connection of the same user that dropped, too, is told to the first that comes back', async () => {
    const site = await start();
    const { hearing: one, session } = await Hearing.start(site, {});
    const { hearing: two } = await Hearing.start(site, { resume: session.sessionId });
    await session.send('[[stream:3]][[hold:both]]');
    await Promise.all([one, two].map(({ heard }) => heard.until('assistant.message_delta')));
    await one.client.forceStop();
    await site.until((status) => status.sessions.attached === 1 && status.clients.connected === 1);
    await two.client.forceStop();
    await lingering(site);
    site.model.release('both');
    await nobodyThere(site);
    const { hearing: first } = await Hearing.start(site, { resume: session.sessionId });
    await first.heard.until('session.idle');
    const { hearing: second, session: again } = await Hearing.start(site, { resume: session.sessionId });
    await again.getEvents();
    expect([first.heard.text, second.heard.text]).toEqual(['d0 d1 d2 ', undefined]);
  });

  it('includes a permission that is still to be given, which is asked for once', async () => {
    const site = await start();
    const { hearing: before, session } = await Hearing.start(site, {});
    await session.send('[[hold:ask]] [[tool:bash {"command":"echo asked","description":"greet"}]]');
    await site.model.asked('[[hold:ask]]');
    await before.client.forceStop();
    await lingering(site);
    site.model.release('ask');
    await historyHas(await site.wire(), session.sessionId, 'permission.requested');
    const { hearing: after } = await Hearing.start(site, { resume: session.sessionId, more: { onPermissionRequest: approveAll } });
    await after.heard.until('session.idle');
    expect([after.heard.of('permission.requested').length, after.heard.text]).toEqual([1, expect.stringContaining('asked')]);
  });
});
