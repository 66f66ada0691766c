/** A session that several clients share, when the CLI server under it goes away. */
import { defineTool } from '@github/copilot-sdk';
import { describe, expect, it } from 'vitest';
import { signalGroup } from '../support/process-group.js';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn, type CopilotSession } from '../support/sdk.js';
import { Site } from '../support/site.js';

const scope = scopeOfEachTest();

const named = (name: string) => defineTool(name, { skipPermission: true, handler: () => `called ${name}` });

interface Pair {
  readonly site: Site;
  readonly one: CopilotSession;
  readonly two: CopilotSession;
}

/** Two clients of alice's on one session of a managed server, each with a tool. */
async function shared(state = 'skyport'): Promise<Pair> {
  const site = await Site.start(scope, { managed: 1, config: { sessions: { state } } });
  const one = await site.client().createSession(site.session({ tools: [named('of_one')] }));
  await turn(one, 'remember the kite');
  const two = await site.client().resumeSession(one.sessionId, site.session({ tools: [named('of_two')] }));
  return { site, one, two };
}

async function crash(site: Site): Promise<void> {
  signalGroup((await site.backend('managed-1'))!.pid!, 'SIGKILL');
}

const recovered = (site: Site, restarts = 1) =>
  site.until(({ backends: [backend] }) => backend!.restarts === restarts && backend!.state === 'up');

describe('a shared session whose server is killed in mid-turn', () => {
  it('goes on for each of its clients, with the tools of both', async () => {
    const { site, one, two } = await shared();
    const heard = [new Recording(one), new Recording(two)];
    await one.send('[[hold:both]] [[tool:of_one]] [[tool:of_two]]');
    await site.model.asked('[[hold:both]]');
    await crash(site);
    site.model.release('both');
    for (const recording of heard) {
      await recording.until('session.idle');
      expect(recording.of('session.error')).toEqual([]);
      expect(recording.text).toBe('tools said: called of_one | called of_two');
    }
  });

  it('tells each of its clients that the turn is over, where the server kept the state', async () => {
    const { site, one, two } = await shared('server');
    const heard = [new Recording(one), new Recording(two)];
    await one.send('[[hold:both]]');
    await site.model.asked('[[hold:both]]');
    await crash(site);
    for (const recording of heard) {
      await recording.until('session.idle');
      expect(recording.story.slice(-2)).toEqual(['session.error', 'session.idle']);
    }
    site.model.release('both');
  });

  it('has all its clients back with the first call of one of them', async () => {
    const { site, one, two } = await shared();
    await crash(site);
    await recovered(site);
    const heard = new Recording(one);
    const said = await turn(two, 'together again [[tool:of_one]] [[tool:of_two]]');
    expect(said.text).toBe('tools said: called of_one | called of_two');
    await heard.until('session.idle');
    expect(heard.text).toBe(said.text);
    expect((await turn(one, 'and I')).text).toMatch(/and I$/);
  });

  it('does not wait for a client that left meanwhile', async () => {
    const site = await Site.start(scope, { managed: 1 });
    const leaving = site.client();
    const one = await leaving.createSession(site.session({ tools: [named('of_one')] }));
    await turn(one, 'remember the kite');
    const two = await site.client().resumeSession(one.sessionId, site.session());
    await crash(site);
    await leaving.forceStop();
    await recovered(site);
    const said = await turn(two, 'alone now [[tool:of_one]]');
    expect(said.text).toMatch(/^tools said: Tool 'of_one' does not exist/);
  });

  it('survives that several times', async () => {
    const { site, one, two } = await shared();
    for (const [restarts, session] of [[1, one], [2, two], [3, one]] as const) {
      await crash(site);
      await recovered(site, restarts);
      // A server that is killed between the two ends of a turn leaves one of them to be told by whoever takes it up.
      const both = [new Recording(one), new Recording(two)];
      await session.send(`life ${restarts}`);
      for (const heard of both) {
        await heard.until('session.idle');
        expect(heard.text).toMatch(new RegExp(`life ${restarts}$`));
      }
    }
  });
});

describe('calls that come at once after a crash', () => {
  it('attach the session again one single time', async () => {
    const { site, one } = await shared();
    await crash(site);
    await recovered(site);
    const all = await Promise.all([one.getEvents(), one.rpc.model.getCurrent(), one.rpc.name.get(), one.getEvents()]);
    expect(all[0]).toEqual(all[3]);
    expect((await turn(one, 'fine')).text).toMatch(/fine$/);
    const events = await one.getEvents();
    expect(events.filter((event) => event.type === 'session.start')).toHaveLength(1);
  });

  it('are refused retryably while the server is not back, where only that one has the state', async () => {
    const site = await Site.start(scope, { servers: 1, config: { sessions: { state: 'server' } } });
    const session = await site.client().createSession(site.session());
    await turn(session, 'hello');
    const wire = await site.wire();
    await site.servers[0]!.kill9();
    await site.untilState('cli-1', 'down');
    for (const [method, params] of [
      ['session.send', { sessionId: session.sessionId, prompt: 'x' }],
      ['session.resume', site.params({ sessionId: session.sessionId })],
      ['session.create', site.params()],
    ] as const) {
      expect((await wire.call(method, params)).error?.data).toMatchObject({ side: 'backend', retryable: true });
    }
    const error: unknown = await session.send('x').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ data: { name: 'SKYPORT_BACKEND_UNAVAILABLE', retryable: true } });
  });
});

describe('a session that was never used', () => {
  it('is made anew by the first call after its server was killed', async () => {
    const site = await Site.start(scope, { managed: 1 });
    const session = await site.client().createSession(site.session({ tools: [named('kept')] }));
    await crash(site);
    await recovered(site);
    expect((await turn(session, '[[tool:kept]]')).text).toBe('tools said: called kept');
  });
});
