/**
 * CLI servers that hang (kill -STOP) or die (kill -9) under clients that are at work, where each server keeps
 * its sessions on its own disk: they wait for it. Where Skyport keeps them they go on elsewhere: failover.test.ts.
 */
import { describe, expect, it } from 'vitest';
import { textOf } from '../support/prompt.js';
import { signalGroup } from '../support/process-group.js';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn, type CopilotClient, type CopilotSession } from '../support/sdk.js';
import { IMPATIENT_HEALTH, Site } from '../support/site.js';

const scope = scopeOfEachTest();

const ON_SERVER = { sessions: { state: 'server' } };

const IMPATIENT = { config: { ...ON_SERVER, health: IMPATIENT_HEALTH } };

interface Placed {
  readonly client: CopilotClient;
  /** One client's sessions, by the name of their backend; each has had a turn. */
  readonly on: Record<string, CopilotSession>;
}

/** One session of one client on each backend. */
async function place(site: Site): Promise<Placed> {
  const client = site.client();
  const on: Record<string, CopilotSession> = {};
  for (const _ of (await site.status()).backends) {
    const session = await client.createSession(site.session());
    const row = (await site.sessions()).find((one) => one.id === session.sessionId)!;
    await turn(session, `remember ${row.backend}`);
    on[row.backend] = session;
  }
  return { client, on };
}

/** Begins a turn that does not end by itself. */
async function hold(site: Site, session: CopilotSession, key: string): Promise<Recording> {
  const heard = new Recording(session);
  await session.send(`[[hold:${key}]]`);
  await site.model.asked(`[[hold:${key}]]`);
  return heard;
}

/** What the model was shown of the conversation when it was asked this. */
const history = (site: Site, prompt: string) => site.model.about(prompt)[0]!.messages.map(textOf).join('\n');

async function pidOf(site: Site, name: string): Promise<number> {
  return (await site.backend(name))!.pid!;
}

/** The refusal that an SDK call came back with. */
async function refusal(call: Promise<unknown>): Promise<unknown> {
  const error = await call.then(() => undefined, (reason: unknown) => reason as { data?: unknown });
  return error?.data;
}

describe('a static CLI server that hangs', () => {
  it('is taken out, and calls to it fail at once and may be repeated, while others go on', async () => {
    const site = await Site.start(scope, { servers: 2, ...IMPATIENT });
    const { on } = await place(site);
    const wire = await site.wire();
    const read = () => wire.call('session.getMessages', { sessionId: on['cli-1']!.sessionId });
    expect((await read()).error).toBeUndefined();
    site.servers[0]!.sigstop();
    const waiting = read();
    await site.untilState('cli-1', 'down');
    expect((await waiting).error?.data).toMatchObject({ name: 'SKYPORT_BACKEND_LOST', retryable: true });
    expect((await read()).error?.data).toMatchObject({ name: 'SKYPORT_BACKEND_UNAVAILABLE', retryable: true });
    expect(await refusal(on['cli-1']!.send('anybody?'))).toMatchObject({ retryable: true });
    expect((await turn(on['cli-2']!, 'I am well')).text).toBe('answer 2: I am well');
  });

  it('gets no new sessions', async () => {
    const site = await Site.start(scope, { servers: 2, ...IMPATIENT });
    site.servers[0]!.sigstop();
    await site.untilState('cli-1', 'down');
    const wire = await site.wire();
    for (let n = 0; n < 3; n++) await wire.result('session.create', site.params());
    expect((await site.sessions()).map((row) => row.backend)).toEqual(['cli-2', 'cli-2', 'cli-2']);
  });

  it('ends the turn of its client with an error and an idle instead of silence', async () => {
    const site = await Site.start(scope, { servers: 2, ...IMPATIENT });
    const { on } = await place(site);
    const heard = await hold(site, on['cli-1']!, 'stop');
    site.servers[0]!.sigstop();
    await heard.until('session.idle');
    expect(heard.story.slice(-2)).toEqual(['session.error', 'session.idle']);
    expect(heard.of('session.error')[0]!.data).toMatchObject({ errorType: 'backend_lost' });
  });

  it('comes back when it goes on, and the same session objects talk on with their history', async () => {
    const site = await Site.start(scope, { servers: 2, ...IMPATIENT });
    const { on } = await place(site);
    const heard = await hold(site, on['cli-1']!, 'frozen');
    site.servers[0]!.sigstop();
    await heard.until('session.idle');
    site.servers[0]!.sigcont();
    site.model.release('frozen');
    await site.untilState('cli-1', 'up');
    const said = await turn(on['cli-1']!, 'what do you remember');
    expect(said.text).toMatch(/^answer \d: what do you remember$/);
    expect(history(site, 'what do you remember')).toContain('remember cli-1');
    expect((await turn(on['cli-2']!, 'and you')).text).toBe('answer 2: and you');
  });

  it('does not lose a turn of a client whose server only paused for a moment', async () => {
    const site = await Site.start(scope, { servers: 1, config: { ...ON_SERVER, health: { interval: '1s', timeout: '10s', fall: 10 } } });
    const { on } = await place(site);
    const heard = await hold(site, on['cli-1']!, 'nap');
    site.servers[0]!.sigstop();
    const waiting = on['cli-1']!.getEvents();
    site.model.release('nap');
    site.servers[0]!.sigcont();
    await heard.until('session.idle');
    expect(heard.text).toBe('answer 2: [[hold:nap]]');
    expect((await waiting).length).toBeGreaterThan(0);
  });
});

describe('a static CLI server that is killed and started again on its port', () => {
  it('has its sessions back, for clients that never noticed', async () => {
    const site = await Site.start(scope, { servers: 2, config: ON_SERVER });
    const { on } = await place(site);
    await site.servers[0]!.kill9();
    await site.untilState('cli-1', 'down');
    await site.restartServer(0);
    await site.untilState('cli-1', 'up');
    expect((await turn(on['cli-1']!, 'after the crash')).text).toBe('answer 2: after the crash');
    expect(history(site, 'after the crash')).toContain('remember cli-1');
  });
});

describe('a managed CLI server', () => {
  it('that hangs is killed and replaced, and its sessions go on with their history', async () => {
    const site = await Site.start(scope, { managed: 2, ...IMPATIENT });
    const { on } = await place(site);
    const heard = await hold(site, on['managed-1']!, 'hung');
    const pid = await pidOf(site, 'managed-1');
    process.kill(pid, 'SIGSTOP');
    await heard.until('session.idle');
    expect(heard.story.slice(-2)).toEqual(['session.error', 'session.idle']);
    const { backends } = await site.until((status) => status.backends.some((one) => one.restarts === 1 && one.state === 'up'));
    expect(backends.find((one) => one.name === 'managed-1')!.pid).not.toBe(pid);
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    expect((await turn(on['managed-1']!, 'still you?')).text).toMatch(/^answer \d: still you\?$/);
    expect(history(site, 'still you?')).toContain('remember managed-1');
    site.model.release('hung');
  });

  it('that is killed in mid-turn is started again, and its sessions go on with their history', async () => {
    const site = await Site.start(scope, { managed: 2, config: ON_SERVER });
    const { client, on } = await place(site);
    const heard = await hold(site, on['managed-1']!, 'killed');
    signalGroup(await pidOf(site, 'managed-1'), 'SIGKILL');
    await heard.until('session.idle');
    expect(heard.story.slice(-2)).toEqual(['session.error', 'session.idle']);
    expect((await turn(on['managed-2']!, 'unharmed')).text).toBe('answer 2: unharmed');
    await site.until((status) => status.backends.some((one) => one.restarts === 1 && one.state === 'up'));
    expect((await turn(on['managed-1']!, 'reborn')).text).toMatch(/^answer \d: reborn$/);
    expect(history(site, 'reborn')).toContain('remember managed-1');
    expect((await client.ping()).message).toMatch(/^pong/);
    site.model.release('killed');
  });

  it('that is killed answers at once what waited for it', async () => {
    const site = await Site.start(scope, { managed: 1, config: ON_SERVER });
    const wire = await site.wire();
    const { sessionId } = await wire.result<{ sessionId: string }>('session.create', site.params({ requestElicitation: true }));
    const waiting = wire.call('session.ui.elicitation', { sessionId, message: 'm', requestedSchema: { type: 'object', properties: {} } });
    await wire.untilEvent(sessionId, 'elicitation.requested');
    signalGroup(await pidOf(site, 'managed-1'), 'SIGKILL');
    expect((await waiting).error?.data).toMatchObject({ name: 'SKYPORT_BACKEND_LOST', retryable: true });
  });

  it('that is killed between turns is not missed', async () => {
    const site = await Site.start(scope, { managed: 1, config: ON_SERVER });
    const { on } = await place(site);
    const session = on['managed-1']!;
    for (let n = 2; n <= 3; n++) {
      signalGroup(await pidOf(site, 'managed-1'), 'SIGKILL');
      await site.until((status) => status.backends[0]!.restarts === n - 1 && status.backends[0]!.state === 'up');
      expect((await turn(session, `life ${n}`)).text).toBe(`answer ${n}: life ${n}`);
    }
  });
});
