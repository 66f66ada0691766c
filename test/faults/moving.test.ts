/** Sessions that leave their server while it runs: drain, move and restart; their clients go on with the same session objects. */
import { describe, expect, it } from 'vitest';
import { Chatter } from '../support/chatter.js';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn, type CopilotSession } from '../support/sdk.js';
import { Site, spread } from '../support/site.js';
import { textOf, type ChatMessage } from '../support/prompt.js';
import type { CliResult } from '../support/skyport.js';

const scope = scopeOfEachTest();

function skyport(site: Site, ...args: string[]): Promise<CliResult> {
  return site.skyport.cli([...args, '--config', site.skyport.configFile]);
}

async function backendOf(site: Site, session: CopilotSession): Promise<string> {
  return (await site.sessions()).find((row) => row.id === session.sessionId)!.backend;
}

/** What the user has written, as the model got it, oldest first. */
function prompts(messages: readonly ChatMessage[]): string[] {
  return messages.filter(({ role }) => role === 'user').map((message) => textOf(message).replace(/^<current_datetime>[^<]*<\/current_datetime>\s*/, ''));
}

describe('`skyport drain NAME`', () => {
  it('moves idle sessions, and their clients see nothing of it', async () => {
    const site = await Site.start(scope, { servers: 2 });
    const client = site.client();
    const sessions = await Promise.all(Array.from({ length: 6 }, () => client.createSession(site.session())));
    const heard = sessions.map((session) => new Recording(session));
    await Promise.all(sessions.map((session, n) => turn(session, `first of ${n}`)));
    expect(spread(await site.sessions())).toEqual({ 'cli-1': 3, 'cli-2': 3 });

    const drain = await skyport(site, 'drain', 'cli-1', '--wait');
    expect([drain.code, drain.stdout]).toEqual([0, 'cli-1 is drained: it may be stopped\n']);
    expect(await site.backend('cli-1')).toMatchObject({ draining: true, drained: true, sessionsAttached: 0 });
    await site.servers[0]!.kill9();

    const second = await Promise.all(sessions.map((session, n) => turn(session, `second of ${n}`)));
    expect(second.map(({ text }) => text)).toEqual(sessions.map((_, n) => `answer 2: second of ${n}`));
    expect(spread(await site.sessions())).toEqual({ 'cli-2': 6 });
    const story = ['user.message', 'assistant.turn_start', 'assistant.message', 'assistant.turn_end', 'session.idle'];
    for (const each of heard) expect(each.story).toEqual([...story, ...story]);
    for (const session of sessions) {
      const types = (await session.getEvents()).map(({ type }) => type);
      expect(types.filter((type) => type === 'user.message')).toHaveLength(2);
      expect(types.filter((type) => type === 'session.shutdown' || type === 'session.resume')).toEqual([]);
    }
  });

  it('moves a busy session when its turn is over', async () => {
    const site = await Site.start(scope, { servers: 2 });
    const session = await site.client().createSession(site.session());
    const name = await backendOf(site, session);
    const heard = new Recording(session);
    await session.send('[[hold:busy]]');
    await site.model.asked('[[hold:busy]]');
    const drain = skyport(site, 'drain', name, '--wait');
    await site.until(({ backends }) => backends.some((one) => one.name === name && one.draining));
    expect(await site.backend(name)).toMatchObject({ drained: false, sessionsAttached: 1, turnsOpen: 1 });
    site.model.release('busy');
    await heard.until('session.idle');
    expect((await drain).code).toBe(0);
    expect((await turn(session, 'and on')).text).toBe('answer 2: and on');
    expect(await backendOf(site, session)).not.toBe(name);
  });

  it('moves a session whose client never leaves it alone', async () => {
    const site = await Site.start(scope, { servers: 2 });
    const session = await site.client().createSession(site.session());
    const name = await backendOf(site, session);
    const chatter = new Chatter(session, 'alice');
    await site.until(() => chatter.heard.length > 1);
    expect((await skyport(site, 'drain', name, '--wait')).code).toBe(0);
    const seen = chatter.heard.length;
    await site.until(() => chatter.heard.length > seen + 1);
    await chatter.stop();
    expect(chatter.heard).toEqual(chatter.expected);
    expect(await backendOf(site, session)).not.toBe(name);
  });

  it('waits for a prompt to be answered', async () => {
    const site = await Site.start(scope, { servers: 2 });
    let answer = (_text: string): void => {};
    let asked = (): void => {};
    const asking = new Promise<void>((resolve) => (asked = resolve));
    const answered = new Promise<string>((resolve) => (answer = resolve));
    const session = await site.client().createSession(site.session({
      onUserInputRequest: async () => {
        asked();
        return { answer: await answered, wasFreeform: true };
      },
    }));
    const name = await backendOf(site, session);
    const heard = new Recording(session);
    await session.send('[[tool:ask_user {"question":"shall I?"}]]');
    await asking;
    const drain = await skyport(site, 'drain', name, '--wait', '--timeout', '1s');
    expect([drain.code, drain.stderr]).toEqual([1, expect.stringContaining('1 loaded session, 1 open turn; the time is up')]);
    answer('do');
    await heard.until('session.idle');
    expect(heard.text).toContain('do');
    await site.until(({ backends }) => backends.some((one) => one.name === name && one.drained));
  });

  it('leaves a session bound to it until that is called: after `undrain` it is where it was', async () => {
    const site = await Site.start(scope, { servers: 2 });
    const session = await site.client().createSession(site.session());
    const name = await backendOf(site, session);
    await turn(session, 'one');
    await skyport(site, 'drain', name, '--wait');
    const other = name === 'cli-1' ? 'cli-2' : 'cli-1';
    await skyport(site, 'undrain', name);
    expect(await backendOf(site, session)).toBe(name);
    expect((await turn(session, 'two')).text).toBe('answer 2: two');
    expect(spread(await site.sessions())).toEqual({ [name]: 1 });
    expect((await site.backend(other))!.sessionsBound).toBe(0);
  });
});

it('a backend that leaves the config is gone as soon as its sessions are idle, and they go on elsewhere', async () => {
  const site = await Site.start(scope, { servers: 2 });
  const client = site.client();
  const idle = await client.createSession(site.session());
  const name = await backendOf(site, idle);
  await turn(idle, 'one');
  await client.createSession(site.session());
  const busy = await client.createSession(site.session());
  expect(await backendOf(site, busy)).toBe(name);
  const heard = new Recording(busy);
  await busy.send('[[hold:removal]]');
  await site.model.asked('[[hold:removal]]');
  site.skyport.editConfig((config) => {
    config['backends'] = (config['backends'] as { name: string }[]).filter((one) => one.name !== name);
  });
  await site.until(({ backends }) => backends.some((one) => one.name === name && one.sessionsAttached === 1 && one.draining));
  site.model.release('removal');
  await heard.until('session.idle');
  expect(heard.text).toBe('answer 1: [[hold:removal]]');
  await site.until(({ backends }) => backends.every((one) => one.name !== name));
  expect((await turn(idle, 'two')).text).toBe('answer 2: two');
  expect((await turn(busy, 'more')).text).toBe('answer 2: more');
});

describe('`skyport move`', () => {
  it('moves an idle session to the backend that is named', async () => {
    const site = await Site.start(scope, { servers: 3 });
    const session = await site.client().createSession(site.session());
    await turn(session, 'one');
    const name = await backendOf(site, session);
    const target = name === 'cli-3' ? 'cli-2' : 'cli-3';
    const moved = await skyport(site, 'move', session.sessionId, target);
    expect([moved.code, moved.stdout]).toEqual([0, `${session.sessionId} has moved from ${name} to ${target}\n`]);
    expect((await turn(session, 'two')).text).toBe('answer 2: two');
    expect(await backendOf(site, session)).toBe(target);
    expect((await skyport(site, 'move', session.sessionId, target)).stdout).toBe(`${session.sessionId} is on ${target} already\n`);
    expect(await site.skyport.logged((line) => line.event === 'session_moved')).toMatchObject({ from: name, backend: target, epoch: 2 });
  });

  it('moves a session that nobody has attached, to one that is chosen', async () => {
    const site = await Site.start(scope, { servers: 2 });
    const client = site.client();
    const session = await client.createSession(site.session());
    await turn(session, 'one');
    const name = await backendOf(site, session);
    await session.disconnect();
    await site.until(({ sessions }) => sessions.byState.stored === 1);
    expect((await skyport(site, 'move', session.sessionId)).code).toBe(0);
    expect(await backendOf(site, session)).not.toBe(name);
    const again = await client.resumeSession(session.sessionId, site.session());
    expect((await turn(again, 'two')).text).toBe('answer 2: two');
    expect(await backendOf(site, session)).not.toBe(name);
  });

  it('moves a busy session when its turn is over, or says what it waited for', async () => {
    const site = await Site.start(scope, { servers: 2 });
    const session = await site.client().createSession(site.session());
    const name = await backendOf(site, session);
    const heard = new Recording(session);
    await session.send('[[hold:move]]');
    await site.model.asked('[[hold:move]]');
    const vain = await skyport(site, 'move', session.sessionId, '--timeout', '300ms');
    expect([vain.code, vain.stderr]).toEqual([1, expect.stringContaining('was not moved: a turn runs; the time is up')]);
    const moved = skyport(site, 'move', session.sessionId);
    await new Promise((resolve) => setTimeout(resolve, 500));
    site.model.release('move');
    await heard.until('session.idle');
    expect((await moved).code).toBe(0);
    expect(heard.text).toBe('answer 1: [[hold:move]]');
    expect(await backendOf(site, session)).not.toBe(name);
    expect((await turn(session, 'two')).text).toBe('answer 2: two');
  });

  it('knows what it cannot do', async () => {
    const site = await Site.start(scope, { servers: 2 });
    const session = await site.client().createSession(site.session());
    const { sessionId } = session;
    const target = (await backendOf(site, session)) === 'cli-1' ? 'cli-2' : 'cli-1';
    expect((await skyport(site, 'move', 'nobody')).stderr).toBe('There is no session nobody\n');
    expect((await skyport(site, 'move', sessionId, 'cli-9')).stderr).toBe('No backend is called cli-9; there are cli-1, cli-2\n');
    await skyport(site, 'drain', target);
    const refused = await skyport(site, 'move', sessionId, target);
    expect([refused.code, refused.stderr]).toEqual([1, `${target} takes no sessions: it is draining\n`]);
    expect((await skyport(site, 'move', sessionId)).stderr).toBe('no other backend takes sessions now\n');
  });

  it('is refused where servers keep the state themselves', async () => {
    const site = await Site.start(scope, { servers: 2, config: { sessions: { state: 'server' } } });
    const session = await site.client().createSession(site.session());
    const refused = await skyport(site, 'move', session.sessionId);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('it cannot be moved')]);
  });
});

describe('`skyport restart`', () => {
  it('starts all managed servers anew under load, and no turn is lost', async () => {
    const site = await Site.start(scope, { managed: 2 });
    const before = (await site.until(({ backends }) => backends.length === 2 && backends.every(({ state }) => state === 'up'))).backends;
    const client = site.client();
    const sessions = await Promise.all(Array.from({ length: 8 }, () => client.createSession(site.session())));
    const chatters = sessions.map((session, n) => new Chatter(session, `user ${n}`));
    await site.until(() => chatters.every(({ heard }) => heard.length > 0));

    const restart = await skyport(site, 'restart', '--timeout', '1m');
    expect([restart.code, restart.stdout, restart.stderr]).toEqual([0, '2 servers run anew\n', expect.stringContaining('managed-2 is up again')]);
    const seen = chatters.map(({ heard }) => heard.length);
    await site.until(() => chatters.every(({ heard }, n) => heard.length > seen[n]!));
    await Promise.all(chatters.map((chatter) => chatter.stop()));

    for (const chatter of chatters) {
      expect(chatter.heard).toEqual(chatter.expected);
      const last = site.model.requests.findLast(({ prompt }) => prompt === chatter.sent.at(-1))!;
      expect(prompts(last.messages)).toEqual(chatter.sent);
    }
    const after = (await site.status()).backends;
    expect(after.map(({ name, pid }) => before.some((one) => one.name === name && one.pid === pid))).toEqual([false, false]);
    expect(after.map(({ state, draining }) => [state, draining])).toEqual([['up', false], ['up', false]]);
    expect(site.skyport.log.filter((line) => line.event === 'turn_ended' && line.outcome !== 'idle')).toEqual([]);
  }, 90_000);

  it('has calls wait where there is only one server', async () => {
    const site = await Site.start(scope, { managed: 1 });
    await site.untilState('managed-1', 'up');
    const session = await site.client().createSession(site.session());
    const chatter = new Chatter(session, 'alice');
    await site.until(() => chatter.heard.length > 0);
    const restart = await skyport(site, 'restart');
    expect([restart.code, restart.stdout]).toEqual([0, '1 server runs anew\n']);
    const seen = chatter.heard.length;
    await site.until(() => chatter.heard.length > seen);
    await chatter.stop();
    expect(chatter.heard).toEqual(chatter.expected);
  });

  it('waits for a running turn, gives up in time, and is not given twice', async () => {
    const site = await Site.start(scope, { managed: 1 });
    const { pid } = (await site.untilState('managed-1', 'up')).backends[0]!;
    const session = await site.client().createSession(site.session());
    const heard = new Recording(session);
    await session.send('[[hold:restart]]');
    await site.model.asked('[[hold:restart]]');
    const first = skyport(site, 'restart', '--timeout', '2s');
    await site.until(({ backends }) => backends[0]!.draining);
    expect((await skyport(site, 'restart')).stderr).toBe('A restart is under way: managed-1 is draining\n');
    const { code, stderr } = await first;
    expect([code, stderr]).toEqual([1, expect.stringContaining('managed-1 was not restarted while draining (loaded sessions: 1, open turns: 1): the time was up')]);
    site.model.release('restart');
    await heard.until('session.idle');
    expect((await turn(session, 'two')).text).toBe('answer 2: two');
    expect((await site.status()).backends[0]).toMatchObject({ pid, draining: false });
  });

  it('has nothing to do without managed servers', async () => {
    const site = await Site.start(scope, { servers: 1 });
    const refused = await skyport(site, 'restart');
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('There are no managed servers')]);
  });
});

describe('`skyport sessions prune`', () => {
  it('shows and deletes what nobody has used, and nothing that is attached', async () => {
    const site = await Site.start(scope, { servers: 1 });
    const [alice, bob] = [site.client('alice'), site.client('bob')];
    const attached = await alice.createSession(site.session());
    const left = await Promise.all([alice, alice, bob].map((client) => client.createSession(site.session())));
    for (const session of [attached, ...left]) await turn(session, 'remember me');
    for (const session of left) await session.disconnect();
    await site.until(({ sessions }) => sessions.byState.stored === 3);

    const ids = (rows: string): string[] => (JSON.parse(rows) as { id: string }[]).map(({ id }) => id).sort();
    const dry = await skyport(site, 'sessions', 'prune', '--older-than', '0s', '--user', 'alice', '--dry-run', '--json');
    expect([dry.code, ids(dry.stdout), dry.stderr]).toEqual([0, left.slice(0, 2).map(({ sessionId }) => sessionId).sort(), '2 sessions would be deleted.\n']);
    expect((await skyport(site, 'sessions', 'prune', '--older-than', '1h')).stdout).toBe('0 sessions deleted.\n');
    expect(await site.sessions()).toHaveLength(4);

    expect((await skyport(site, 'sessions', 'prune', '--older-than', '0s', '--user', 'alice')).stdout).toBe('2 sessions deleted.\n');
    expect((await site.sessions()).map(({ id }) => id).sort()).toEqual([attached.sessionId, left[2]!.sessionId].sort());
    await expect(alice.resumeSession(left[0]!.sessionId, site.session())).rejects.toThrow(/Session not found/);
    expect((await turn(attached, 'still here')).text).toBe('answer 2: still here');
    expect((await turn(await bob.resumeSession(left[2]!.sessionId, site.session()), 'and me')).text).toBe('answer 2: and me');
  });
});
