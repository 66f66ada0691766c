/** The state of sessions kept by Skyport: nothing of it on any server's disk, and each server has one keeper. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { frontDoor } from '../support/front-door.js';
import { hasFiles } from '../support/kept.js';
import { textOf } from '../support/prompt.js';
import { scopeOfEachTest } from '../support/scope.js';
import { turn } from '../support/sdk.js';
import { backendOf, Site } from '../support/site.js';
import { SkyportUnderTest } from '../support/skyport.js';

const scope = scopeOfEachTest();

/** What a server with this home has of sessions on its own disk. */
function stateIn(home: string): string[] {
  const place = path.join(home, 'session-state');
  return existsSync(place) ? readdirSync(place) : [];
}

function homesOf(site: Site): string[] {
  const managed = path.join(site.skyport.directory, 'data', 'servers');
  const names = existsSync(managed) ? readdirSync(managed) : [];
  return [...site.servers.map(({ home }) => home), ...names.map((name) => path.join(managed, name, 'home')).filter(existsSync)];
}

/** The history that the model was given with a message. */
function historyWith(site: Site, message: string): string[] {
  return site.model.about(message)[0]!.messages.map(textOf);
}

describe.each<[string, { servers?: number; managed?: number }]>([['static', { servers: 2 }], ['managed', { managed: 2 }]])('with %s servers', (_kind, servers) => {
  it('a session leaves nothing on any server, and its history is whole after a detach', async () => {
    const site = await Site.start(scope, servers);
    const client = site.client();
    const sessions = await Promise.all([1, 2, 3, 4].map((n) => client.createSession(site.session({ sessionId: `kept-${n}` }))));
    for (const session of sessions) await turn(session, `remember the otter of ${session.sessionId}`);
    expect(new Set((await site.sessions()).map(({ backend }) => backend)).size).toBe(2);
    for (const session of sessions) {
      const before = await session.getEvents();
      await session.disconnect();
      const again = await client.resumeSession(session.sessionId, site.session());
      expect((await turn(again, `what was it, ${session.sessionId}`)).text).toBe(`answer 2: what was it, ${session.sessionId}`);
      expect(historyWith(site, `what was it, ${session.sessionId}`).join('\n')).toContain(`remember the otter of ${session.sessionId}`);
      expect((await again.getEvents()).slice(0, before.length)).toEqual(before);
    }
    expect(homesOf(site)).toHaveLength(2);
    expect(homesOf(site).flatMap(stateIn)).toEqual([]);
  });

  it('a session works where its client wants it to, also after a resume, and else where its server works', async () => {
    const fleet = { count: servers.managed ?? 0, env: { COPILOT_OFFLINE: 'true' } };
    const site = await Site.start(scope, { ...servers, config: { fleet, guard: { profile: 'trusted' } } });
    const alice = await site.wire();
    const directoryOf = async (sessionId: string): Promise<unknown> =>
      ((await alice.result('session.metadata.snapshot', { sessionId })) as { workingDirectory: unknown }).workingDirectory;
    const own = site.directory();
    await alice.result('session.create', site.params({ sessionId: 'placed', workingDirectory: own }));
    await alice.result('session.create', site.params({ sessionId: 'unplaced' }));
    expect(await directoryOf('placed')).toBe(own);
    expect([...homesOf(site), ...homesOf(site).map((home) => path.dirname(home))]).toContain(await directoryOf('unplaced'));
    const talker = site.client();
    await turn(await talker.resumeSession('placed', site.session()), 'hello');
    await talker.forceStop();
    await alice.result('session.detach', { sessionId: 'placed' });
    await alice.result('session.resume', site.params({ sessionId: 'placed' }));
    expect(await directoryOf('placed')).toBe(own);
  });
});

describe('a static server', () => {
  it('that another Skyport keeps the state of is down, and it is said what to do', async () => {
    const site = await Site.start(scope, { servers: 1 });
    const session = await site.client().createSession(site.session());
    await turn(session, 'hello');
    const [runtime] = site.servers;
    const second = scope.own(await SkyportUnderTest.start({
      identity: { anonymous: 'carol' }, backends: [backendOf(runtime!, 1)], fleet: { count: 1, env: { COPILOT_OFFLINE: 'true' } },
    }));
    const line = await second.logged((one) => one.event === 'backend_state' && one.backend === 'cli-1' && one.to === 'down');
    expect(line).toMatchObject({ level: 'warn', reason: expect.stringContaining('restart the CLI server') as string });
    const status = await second.cli(['status', '--config', second.configFile]);
    expect(status.stdout).toMatch(/cli-1[^\n]*down/);
    expect(status.stdout).toContain('restart the CLI server');
    expect((await turn(session, 'still here')).text).toBe('answer 2: still here');
    const told = second.log.filter(({ level, backend }) => level === 'warn' && backend === 'cli-1');
    expect(told).toHaveLength(1);
  });

  it('is down when Skyport was restarted, and up with all histories when it was, too', async () => {
    const site = await Site.start(scope, { servers: 1, managed: 1 });
    const client = site.client();
    const sessions = [await client.createSession(site.session()), await client.createSession(site.session())];
    for (const session of sessions) await turn(session, 'remember the badger');
    await site.skyport.restart();
    await site.untilState('cli-1', 'down');
    expect((await site.backend('cli-1'))!.lastError).toContain('restart the CLI server');
    await site.servers[0]!.kill9();
    await site.restartServer(0);
    await site.untilState('cli-1', 'up');
    const again = site.client();
    for (const { sessionId } of sessions) {
      const session = await again.resumeSession(sessionId, site.session());
      expect((await turn(session, `and now ${sessionId}`)).text).toBe(`answer 2: and now ${sessionId}`);
    }
    expect(homesOf(site).flatMap(stateIn)).toEqual([]);
  });
});

describe('a managed server', () => {
  it('that loses its control link is killed and started anew, and its sessions go on', async () => {
    const site = await Site.start(scope, {
      config: (place) => ({
        fleet: {
          count: 1, command: frontDoor(place.directory), env: { COPILOT_OFFLINE: 'true' },
          restart_backoff: { min: '20ms', max: '200ms' },
        },
      }),
    });
    const session = await site.client().createSession(site.session());
    await turn(session, 'remember the heron');
    const { pid } = (await site.backend('managed-1'))!;
    process.kill(pid!, 'SIGUSR2');
    const line = await site.skyport.logged((one) => one.event === 'backend_state' && one.to === 'down');
    expect(line).toMatchObject({ backend: 'managed-1', level: 'warn', reason: expect.stringContaining('its control link') as string });
    const status = await site.until(({ backends }) => backends[0]!.restarts === 1 && backends[0]!.state === 'up');
    expect(status.backends[0]!.pid).not.toBe(pid);
    expect((await turn(session, 'what was it')).text).toBe('answer 2: what was it');
    expect(historyWith(site, 'what was it').join('\n')).toContain('remember the heron');
  });
});

describe("an agent's file tools", () => {
  it.each([['static', { servers: 1 }], ['managed', { managed: 1 }]])('work on the files of the server, which is %s', async (_kind, servers) => {
    const site = await Site.start(scope, { ...servers, config: { guard: { profile: 'trusted' } } });
    const workingDirectory = site.directory();
    const session = await site.client().createSession(site.session({ workingDirectory }));
    const use = async (tool: string, args: object): Promise<string> => (await turn(session, `[[tool:${tool} ${JSON.stringify(args)}]]`)).text ?? '';
    const file = path.join(workingDirectory, "alice's poem.txt");
    await use('create', { path: file, file_text: 'roses are röd\n$HOME is where\n' });
    expect(readFileSync(file, 'utf8')).toBe('roses are röd\n$HOME is where\n');
    expect(await use('view', { path: file })).toContain('roses are röd');
    await use('edit', { path: file, old_str: 'röd', new_str: "'red'" });
    expect(readFileSync(file, 'utf8')).toBe("roses are 'red'\n$HOME is where\n");
    expect(await use('view', { path: workingDirectory })).toContain("alice's poem.txt");
    expect(await use('view', { path: path.join(workingDirectory, 'nothing.txt') })).toContain('does not exist');
    await use('create', { path: '/state/files/note.txt', file_text: 'for myself' });
    expect(await use('view', { path: '/state/files/note.txt' })).toContain('for myself');
    expect(homesOf(site).flatMap(stateIn)).toEqual([]);
  });
});

describe('a session that is over', () => {
  it('without ever having been used leaves nothing, and whoever takes its id finds nothing', async () => {
    const site = await Site.start(scope, { managed: 1 });
    const [alice, bob] = [await site.wire('alice'), await site.wire('bob')];
    await alice.result('session.create', site.params({ sessionId: 'cart-1', clientName: 'the-app-of-alice' }));
    expect(hasFiles(site.skyport, 'cart-1')).toBe(true);
    await alice.result('session.detach', { sessionId: 'cart-1' });
    await site.until((status) => status.sessions.total === 0 && !hasFiles(site.skyport, 'cart-1'));
    await bob.result('session.create', site.params({ sessionId: 'cart-1' }));
    const workspace = await bob.result('session.workspaces.getWorkspace', { sessionId: 'cart-1' });
    expect(JSON.stringify(workspace)).not.toContain('alice');
  });
});
