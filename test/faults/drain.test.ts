/** Going out of service in good order: one backend with `skyport drain`, all of Skyport with SIGTERM. */
import { describe, expect, it } from 'vitest';
import { isRunning } from '../integration/fleet-rig.js';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn, type CopilotSession } from '../support/sdk.js';
import { Site, spread } from '../support/site.js';
import { WireClient, type WireMessage } from '../support/wire-client.js';

const scope = scopeOfEachTest();

async function backendNameOf(site: Site, session: CopilotSession): Promise<string> {
  return (await site.sessions()).find((row) => row.id === session.sessionId)!.backend;
}

const dataOf = ({ error }: WireMessage) => error?.data;

/** The exit code of Skyport, once it has ended. */
function exit(site: Site, signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null> {
  return site.skyport.halt(signal);
}

describe('`skyport drain NAME`', () => {
  it('lets a running turn finish, and gives the backend no new session until `skyport undrain`', async () => {
    const site = await Site.start(scope, { servers: 2 });
    const client = site.client();
    const session = await client.createSession(site.session());
    const name = await backendNameOf(site, session);
    const heard = new Recording(session);
    await session.send('[[hold:drain]]');
    await site.model.asked('[[hold:drain]]');
    const drain = await site.skyport.cli(['drain', name, '--config', site.skyport.configFile]);
    expect([drain.code, drain.stdout + drain.stderr]).toEqual([0, expect.stringContaining(name)]);
    expect(await site.backend(name)).toMatchObject({ draining: true, drained: false, turnsOpen: 1 });

    const wire = await site.wire();
    for (let n = 0; n < 4; n++) await wire.result('session.create', site.params());
    const other = name === 'cli-1' ? 'cli-2' : 'cli-1';
    expect(spread(await site.sessions())).toEqual({ [name]: 1, [other]: 4 });

    site.model.release('drain');
    await heard.until('session.idle');
    expect(heard.text).toBe('answer 1: [[hold:drain]]');
    await site.until(({ backends }) => backends.some((one) => one.name === name && one.drained));

    const undrain = await site.skyport.cli(['undrain', name, '--config', site.skyport.configFile]);
    expect(undrain.code).toBe(0);
    expect(await site.backend(name)).toMatchObject({ draining: false, drained: false });
    for (let n = 0; n < 4; n++) await wire.result('session.create', site.params());
    expect(spread(await site.sessions())[name]).toBeGreaterThan(1);
  });

  it('leaves the sessions that are there in use', async () => {
    const site = await Site.start(scope, { servers: 1 });
    const session = await site.client().createSession(site.session());
    await turn(session, 'one');
    await site.skyport.cli(['drain', 'cli-1', '--config', site.skyport.configFile]);
    expect((await turn(session, 'two')).text).toBe('answer 2: two');
    const refused = await (await site.wire()).call('session.create', site.params());
    expect(dataOf(refused)).toMatchObject({ name: 'SKYPORT_NO_BACKEND', retryable: true });
  });

  it('knows no backend of another name', async () => {
    const site = await Site.start(scope, { servers: 1 });
    const drain = await site.skyport.cli(['drain', 'cli-9', '--config', site.skyport.configFile]);
    expect(drain.code).not.toBe(0);
    expect(drain.stderr).toContain('cli-1');
  });
});

describe('SIGTERM', () => {
  it('lets a running turn complete, and its client hears the end before it is disconnected', async () => {
    const site = await Site.start(scope, { servers: 1 });
    const wire = await site.wire();
    const idle = await site.wire('bob');
    await wire.result('session.create', site.params({ sessionId: 'last-words' }));
    await wire.result('session.create', site.params({ sessionId: 'another' }));
    await wire.result('session.send', { sessionId: 'last-words', prompt: '[[hold:term]]' });
    await site.model.asked('[[hold:term]]');
    const code = exit(site, 'SIGTERM');
    await site.skyport.logged((line) => line.event === 'draining');
    // Who has nothing under way is sent off, with the reason.
    await idle.closed;
    expect(dataOf(idle.messages.at(-1)!)).toMatchObject({ name: 'SKYPORT_SHUTTING_DOWN', retryable: true });
    for (const [method, params] of [
      ['session.send', { sessionId: 'last-words', prompt: 'more' }],
      ['session.send', { sessionId: 'another', prompt: 'else' }],
      ['session.create', site.params()],
    ] as const) {
      expect(dataOf(await wire.call(method, params))).toMatchObject({ name: 'SKYPORT_SHUTTING_DOWN', retryable: true });
    }
    site.model.release('term');
    await wire.closed;
    expect(wire.events('last-words').filter((event) => event.type === 'assistant.message').map((event) => event.data.content))
      .toEqual(['answer 1: [[hold:term]]']);
    expect(wire.events('last-words').map((event) => event.type)).toContain('session.idle');
    expect(await code).toBe(0);
  });

  it('lets a turn answer its questions to the end', async () => {
    const site = await Site.start(scope, { servers: 1 });
    let ask = (): void => {};
    let answer = (_text: string): void => {};
    const asked = new Promise<void>((resolve) => (ask = resolve));
    const answered = new Promise<string>((resolve) => (answer = resolve));
    const session = await site.client().createSession(site.session({
      onUserInputRequest: async () => {
        ask();
        return { answer: await answered, wasFreeform: true };
      },
    }));
    const heard = new Recording(session);
    await session.send('[[tool:ask_user {"question":"one last thing?"}]]');
    await asked;
    const code = exit(site, 'SIGTERM');
    await site.skyport.logged((line) => line.event === 'draining');
    answer('forty-two');
    await heard.until('session.idle');
    expect(heard.text).toContain('forty-two');
    expect(await code).toBe(0);
  });

  it('lets a client that is at work itself when its turn ends hear of that before it is disconnected', async () => {
    const site = await Site.start(scope, { servers: 1 });
    const session = await site.client().createSession(site.session());
    const heard = new Recording(session);
    await session.send('[[hold:work]]');
    await site.model.asked('[[hold:work]]');
    const code = exit(site, 'SIGTERM');
    await site.skyport.logged((line) => line.event === 'draining');
    site.model.release('work');
    await heard.until('assistant.message');
    for (const end = performance.now() + 200; performance.now() < end;);
    await heard.until('session.idle');
    expect(await code).toBe(0);
  });

  it('lets a turn complete that is held for a client that vanished', async () => {
    const site = await Site.start(scope, { managed: 1, config: { sessions: { linger: '1h' } } });
    const wire = await site.wire();
    await wire.result('session.create', site.params({ sessionId: 'orphaned' }));
    await wire.result('session.send', { sessionId: 'orphaned', prompt: '[[hold:orphan]]' });
    await site.model.asked('[[hold:orphan]]');
    wire.destroy();
    await site.until((status) => status.sessions.byState.lingering === 1);
    const code = exit(site, 'SIGTERM');
    await site.skyport.logged((line) => line.event === 'draining');
    const status = await site.skyport.cli(['status', '--json', '--config', site.skyport.configFile]);
    expect(JSON.parse(status.stdout)).toMatchObject({ draining: true, sessions: { byState: { lingering: 1 } } });
    site.model.release('orphan');
    expect(await code).toBe(0);
    await site.skyport.run();
    const back = await site.client().resumeSession('orphaned', site.session());
    expect((await turn(back, 'done?')).text).toBe('answer 2: done?');
    expect(JSON.stringify(await back.getEvents())).toContain('answer 1: [[hold:orphan]]');
  });

  it('does not wait for a held turn that only its client could end', async () => {
    const site = await Site.start(scope, { servers: 1, config: { sessions: { linger: '1h' }, shutdown: { drain: '1h' } } });
    const wire = await site.wire();
    await wire.result('session.create', site.params({ sessionId: 'asking', requestUserInput: true }));
    await wire.result('session.send', { sessionId: 'asking', prompt: '[[tool:ask_user {"question":"well?"}]]' });
    await wire.until((message) => message.method === 'userInput.request');
    wire.destroy();
    await site.until((status) => status.sessions.byState.lingering === 1);
    expect(await exit(site, 'SIGTERM')).toBe(0);
  });

  it('takes no new client', async () => {
    const site = await Site.start(scope, { servers: 1 });
    const wire = await site.wire();
    await wire.result('session.create', site.params({ sessionId: 'holding' }));
    await wire.result('session.send', { sessionId: 'holding', prompt: '[[hold:door]]' });
    await site.model.asked('[[hold:door]]');
    const code = exit(site, 'SIGTERM');
    await site.skyport.logged((line) => line.event === 'draining');
    const entered = await WireClient.tcp(site.skyport.address)
      .then((client) => client.login('token-of-bob'))
      .then((answer) => answer.error === undefined, () => false);
    expect(entered).toBe(false);
    site.model.release('door');
    expect(await code).toBe(0);
  });

  it('ends after `shutdown.drain` whatever still runs', async () => {
    const site = await Site.start(scope, { servers: 1, config: { shutdown: { drain: '300ms' } } });
    const wire = await site.wire();
    await wire.result('session.create', site.params({ sessionId: 'endless' }));
    await wire.result('session.send', { sessionId: 'endless', prompt: '[[hold:endless]]' });
    await site.model.asked('[[hold:endless]]');
    expect(await exit(site, 'SIGTERM')).toBe(0);
    await wire.closed;
    expect(dataOf(wire.messages.at(-1)!)).toMatchObject({ name: 'SKYPORT_SHUTTING_DOWN', retryable: true });
  });

  it('given twice ends at once', async () => {
    const site = await Site.start(scope, { servers: 1, config: { shutdown: { drain: '1h' } } });
    const wire = await site.wire();
    await wire.result('session.create', site.params({ sessionId: 'endless' }));
    await wire.result('session.send', { sessionId: 'endless', prompt: '[[hold:endless]]' });
    await site.model.asked('[[hold:endless]]');
    const code = exit(site, 'SIGTERM');
    await site.skyport.logged((line) => line.event === 'draining');
    process.kill(site.skyport.pid, 'SIGTERM');
    expect(await code).toBe(143);
    await wire.closed;
  });

  it('leaves no managed server behind', async () => {
    const site = await Site.start(scope, { managed: 2 });
    const { backends } = await site.until((status) => status.backends.length === 2 && status.backends.every((one) => one.state === 'up'));
    const session = await site.client().createSession(site.session());
    await turn(session, 'hello');
    expect(await exit(site, 'SIGTERM')).toBe(0);
    expect(backends.map((backend) => isRunning(backend.pid!))).toEqual([false, false]);
  });

  it('given twice leaves no managed server behind either', async () => {
    const site = await Site.start(scope, { managed: 1, config: (place) => ({ shutdown: { drain: '1h' }, fleet: { count: 1, env: { COPILOT_OFFLINE: 'true' }, working_directory: `${place.directory}/work` } }) });
    const pid = (await site.untilState('managed-1', 'up')).backends[0]!.pid!;
    const wire = await site.wire();
    await wire.result('session.create', site.params({ sessionId: 'endless' }));
    await wire.result('session.send', { sessionId: 'endless', prompt: '[[hold:endless]]' });
    await site.model.asked('[[hold:endless]]');
    const code = exit(site, 'SIGTERM');
    await site.skyport.logged((line) => line.event === 'draining');
    process.kill(site.skyport.pid, 'SIGTERM');
    expect(await code).toBe(143);
    while (isRunning(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
  });
});
