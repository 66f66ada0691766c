/** Idle sessions are unloaded to make room, and their clients never notice. */
import { describe, expect, it } from 'vitest';
import { textOf } from '../support/prompt.js';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn, type CopilotSession } from '../support/sdk.js';
import { Site } from '../support/site.js';

const scope = scopeOfEachTest();

const capped = (limit: number, more: object = {}) => Site.start(scope, { servers: 1, config: { sessions: { max_active_per_backend: limit, ...more } } });

const loaded = async (site: Site) => (await site.backend('cli-1'))!.sessionsAttached;

/** What the model was shown of the conversation when it was asked this. */
const history = (site: Site, prompt: string) => site.model.about(prompt)[0]!.messages.map(textOf).join('\n');

describe('a server with two places', () => {
  it('serves six sessions of one client, each with its history, and never has more than two loaded', async () => {
    const site = await capped(2);
    const client = site.client();
    const sessions: CopilotSession[] = [];
    for (let n = 0; n < 6; n++) {
      const session = await client.createSession(site.session());
      sessions.push(session);
      await turn(session, `remember ${n}`);
      expect(await loaded(site)).toBeLessThanOrEqual(2);
    }
    for (const [n, session] of sessions.entries()) {
      expect((await turn(session, `what was it, ${n}?`)).text).toBe(`answer 2: what was it, ${n}?`);
      expect(history(site, `what was it, ${n}?`)).toContain(`remember ${n}`);
      expect(await loaded(site)).toBeLessThanOrEqual(2);
    }
  });

  it('shows a client the same events and the same history as if its session had stayed', async () => {
    const site = await capped(1);
    const client = site.client();
    const first = await client.createSession(site.session());
    const heard = new Recording(first);
    await turn(first, 'one');
    const before = heard.events.length;
    const second = await client.createSession(site.session());
    await turn(second, 'make room');
    expect(await loaded(site)).toBe(1);
    // A server may tell of its calls to the model after the turn's end.
    expect(heard.events.slice(before).map((event) => event.type).filter((type) => !type.startsWith('model.'))).toEqual([]);
    await turn(first, 'two');
    const all = heard.events.map((event) => event.type);
    expect(all).not.toContain('session.shutdown');
    expect(all).not.toContain('session.resume');
    const stored = (await first.getEvents()).map((event) => event.type);
    expect(stored).not.toContain('session.shutdown');
    expect(stored.filter((type) => type === 'user.message')).toHaveLength(2);
  });

  it('keeps tools, approvals and the other clients of a session that was unloaded', async () => {
    const site = await capped(1);
    const client = site.client();
    const shared = await client.createSession(site.session({ onPermissionRequest: () => ({ kind: 'reject' as const }) }));
    await turn(shared, 'hello');
    const watcher = new Recording(await site.client().resumeSession(shared.sessionId, site.session()));
    await shared.rpc.permissions.setApproveAll({ enabled: true });
    await turn(await client.createSession(site.session()), 'make room');
    const said = await turn(shared, '[[tool:bash {"command":"touch it","description":"touch"}]]');
    expect(said.of('tool.execution_complete')[0]!.data.success).toBe(true);
    await watcher.until('session.idle');
    expect(watcher.of('tool.execution_complete')).toHaveLength(1);
  });

  it('never unloads a session at work: the newcomer waits until it is idle', async () => {
    const site = await capped(1);
    const client = site.client();
    const busy = await client.createSession(site.session());
    const heard = new Recording(busy);
    await busy.send('[[hold:work]]');
    await site.model.asked('[[hold:work]]');
    let created = false;
    const waiting = client.createSession(site.session()).then((session) => {
      created = true;
      return session;
    });
    expect(await busy.rpc.metadata.isProcessing()).toMatchObject({ processing: true });
    expect(created).toBe(false);
    site.model.release('work');
    await heard.until('session.idle');
    expect((await turn(await waiting, 'my turn')).text).toBe('answer 1: my turn');
    expect(heard.text).toBe('answer 1: [[hold:work]]');
    expect((await turn(busy, 'and again')).text).toBe('answer 2: and again');
  });
});

describe('a session that is idle for sessions.idle_timeout', () => {
  it('is unloaded, is shown as stored, and answers its next message with its history', async () => {
    const site = await Site.start(scope, { servers: 1, config: { sessions: { idle_timeout: '1s' } } });
    const session = await site.client().createSession(site.session());
    await turn(session, 'remember me');
    await site.until(({ backends }) => backends[0]!.sessionsAttached === 0);
    expect((await site.sessions())[0]).toMatchObject({ id: session.sessionId, state: 'stored', attachments: 1 });
    expect((await turn(session, 'who am I')).text).toBe('answer 2: who am I');
    expect(history(site, 'who am I')).toContain('remember me');
  });

  it('is let go for good when its client detaches while it sleeps', async () => {
    const site = await Site.start(scope, { servers: 1, config: { sessions: { idle_timeout: '1s' } } });
    const client = site.client();
    const session = await client.createSession(site.session());
    await turn(session, 'remember me');
    await site.until(({ backends }) => backends[0]!.sessionsAttached === 0);
    await session.disconnect();
    expect((await site.sessions())[0]).toMatchObject({ state: 'stored', attachments: 0 });
    const resumed = await client.resumeSession(session.sessionId, site.session());
    expect((await turn(resumed, 'who am I')).text).toBe('answer 2: who am I');
  });

  it('can be read by a client of its user that is not attached', async () => {
    const site = await Site.start(scope, { servers: 1, config: { sessions: { idle_timeout: '1s' } } });
    const session = await site.client().createSession(site.session());
    await turn(session, 'remember me');
    const wire = await site.wire();
    await site.until(({ backends }) => backends[0]!.sessionsAttached === 0);
    const { events } = await wire.result<{ events: { type: string }[] }>('session.getMessages', { sessionId: session.sessionId });
    expect(events.filter(({ type }) => type === 'user.message')).toHaveLength(1);
  });
});
