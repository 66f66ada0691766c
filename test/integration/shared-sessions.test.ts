/** A session that its owner shares with others: what readers and writers get, what they are refused, and the end of it. */
import { defineTool } from '@github/copilot-sdk';
import { beforeAll, describe, expect, it } from 'vitest';
import { METHODS } from '../../proxy/protocol/catalogue.js';
import { SHARED_METHODS } from '../../proxy/protocol/classification/sharing.js';
import { scopeOfEachTest, scopeOfSuite } from '../support/scope.js';
import { Recording, turn, type CopilotSession } from '../support/sdk.js';
import { Site, type SiteOptions, type TokenEntry } from '../support/site.js';
import type { WireMessage } from '../support/wire-client.js';

const PEOPLE: readonly TokenEntry[] = [{ user: 'alice' }, { user: 'bob' }, { user: 'carol' }, { user: 'dan', roles: ['user', 'team-red'] }];

/** As an operator types it; `skyport` must succeed. */
async function skyport(site: Site, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await site.skyport.cli([...args, '--config', site.skyport.configFile]);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return stdout;
}

const share = (site: Site, id: string, as: 'reader' | 'writer', user = 'bob') => skyport(site, 'share', id, '--with', user, '--as', as);

const named = (name: string, answer: string) => defineTool(name, { skipPermission: true, handler: () => answer });

const nameOf = ({ error }: WireMessage): string | undefined => (error?.data as { name?: string } | undefined)?.name;

/** The end of access as the client is told it. */
async function cutOff(said: Recording): Promise<void> {
  const { data } = await said.until('session.error');
  expect(data.errorCode).toBe('SKYPORT_ACCESS_ENDED');
  await said.until('session.idle');
}

describe('a reader', () => {
  const scope = scopeOfSuite();
  let site: Site;
  let own: CopilotSession;
  let read: CopilotSession;

  beforeAll(async () => {
    site = await Site.start(scope, { servers: 2, tokens: PEOPLE });
    own = await site.client('alice').createSession(site.session({
      streaming: true, tools: [named('mine', 'alice has it')], excludedTools: ['view'], systemMessage: { mode: 'append', content: 'Mind the gap.' },
    }));
    await turn(own, 'before bob came');
    await share(site, own.sessionId, 'reader');
    read = await site.client('bob').resumeSession(own.sessionId, site.session({
      model: 'gpt-5', streaming: false, tools: [named('his', 'bob has it')], excludedTools: ['bash'], workingDirectory: '/',
      hooks: { onPreToolUse: () => ({ permissionDecision: 'deny', permissionDecisionReason: 'a reader says no' }) },
    }));
  });

  it('finds the history', async () => {
    const told = (await read.getEvents()).filter((event) => event.type === 'user.message').map((event) => event.data.content);
    expect(told).toEqual(['before bob came']);
  });

  it('sees the turns of the owner as the owner does', async () => {
    const [told, seen] = [new Recording(own), new Recording(read)];
    await own.send('look [[stream:3]]');
    await Promise.all([told.until('session.idle'), seen.until('session.idle')]);
    expect(seen.story).toEqual(told.story);
    expect(seen.of('assistant.message_delta').map((event) => event.data.deltaContent)).toEqual(['d0 ', 'd1 ', 'd2 ']);
  });

  it('has changed nothing for the owner, whatever was in the resume', async () => {
    const [before] = site.model.about('before bob came');
    const said = await turn(own, 'after bob came [[tool:mine]]');
    expect(said.text).toBe('tools said: alice has it');
    const after = site.model.about('after bob came')[0]!;
    const known = ['mine', 'his', 'view', 'bash'];
    expect(after.tools!.filter((tool) => known.includes(tool))).toEqual(before!.tools!.filter((tool) => known.includes(tool)));
    expect(after.tools).toEqual(expect.arrayContaining(['mine', 'bash']));
    expect(JSON.stringify(after)).toContain('Mind the gap.');
  });

  it('cannot send, and is told why', async () => {
    await expect(read.send('let me')).rejects.toThrow('This session is shared with you for reading; session.send is refused');
  });

  it('may call what only looks, of all methods that a session has', async () => {
    const bob = await site.wire('bob');
    const refused = new Map<string, string | undefined>();
    for (const spec of METHODS.filter(({ route, life }) => route === 'session' && life === undefined)) {
      const answer = await bob.call(spec.name, { sessionId: own.sessionId });
      const name = nameOf(answer);
      if (name === 'SKYPORT_READ_ONLY' || name === 'SKYPORT_OWNER_ONLY') refused.set(spec.name, name);
      else expect(SHARED_METHODS).toContain(spec.name);
    }
    const allowed = METHODS.filter(({ name, route, life }) => route === 'session' && life === undefined && !refused.has(name)).map(({ name }) => name);
    expect(allowed).toEqual(expect.arrayContaining(['session.getMessages', 'session.eventLog.read', 'session.plan.read', 'session.metadata.snapshot']));
    expect(refused.get('session.send')).toBe('SKYPORT_READ_ONLY');
    expect(refused.get('session.permissions.handlePendingPermissionRequest')).toBe('SKYPORT_READ_ONLY');
    expect(refused.get('sessions.fork')).toBe('SKYPORT_OWNER_ONLY');
    expect(refused.get('session.options.update')).toBe('SKYPORT_OWNER_ONLY');
    expect((await turn(own, 'still here')).text).toContain('still here');
  });

  it('can neither delete nor close the session, nor take its id', async () => {
    const bob = await site.wire('bob');
    const names = await Promise.all(['session.delete', 'sessions.delete', 'sessions.close', 'session.create'].map(async (method) =>
      nameOf(await bob.call(method, { sessionId: own.sessionId }))));
    expect(names).toEqual(Array(4).fill('SKYPORT_OWNER_ONLY'));
    expect(await bob.result('sessions.bulkDelete', { sessionIds: [own.sessionId] })).toEqual({ freedBytes: { [own.sessionId]: 0 } });
  });

  it('sees it in lists, and not as his own last session', async () => {
    const bob = site.client('bob');
    await bob.start();
    expect((await bob.listSessions()).map((one) => one.sessionId)).toEqual([own.sessionId]);
    expect(await bob.getLastSessionId()).toBeUndefined();
    expect((await bob.getSessionMetadata(own.sessionId))?.sessionId).toBe(own.sessionId);
  });

  it('hears of its life', async () => {
    const [bob, carol] = [await site.wire('bob'), await site.wire('carol')];
    for (const client of [bob, carol]) await client.call('session.getMetadata', { sessionId: own.sessionId });
    await turn(own, 'news');
    await bob.until((message) => message.method === 'session.lifecycle' && JSON.stringify(message.params).includes(own.sessionId));
    expect(carol.notifications('session.lifecycle')).toEqual([]);
  });

  it('is shown to the operator', async () => {
    const [row] = JSON.parse(await skyport(site, 'sessions', '--json')) as { shares: object }[];
    expect(row!.shares).toEqual({ users: { bob: 'reader' }, roles: {} });
    expect(await skyport(site, 'sessions')).toContain('bob:reader');
  });

  it('is nothing that counts as a session of his own', async () => {
    const rows = await site.sessions();
    expect(rows.filter((row) => row.owner === 'bob')).toEqual([]);
  });
});

describe('who has no share', () => {
  const scope = scopeOfSuite();

  it('gets the answer of an unknown session everywhere', async () => {
    const site = await Site.start(scope, { servers: 1, tokens: PEOPLE });
    const session = await site.client('alice').createSession(site.session());
    await turn(session, 'mine and his');
    await share(site, session.sessionId, 'writer');
    const carol = await site.wire('carol');
    const unknown = 'nobody-has-this-id';
    for (const spec of METHODS.filter(({ route }) => route === 'session' || route === 'fanout')) {
      if (spec.life === 'create') continue;
      const about = async (id: string): Promise<string> => {
        const { result, error } = await carol.call(spec.name, spec.params.has('sessionId') ? { sessionId: id } : { sessionIds: [id], sessions: [{ sessionId: id }] });
        return JSON.stringify({ result, error }).replaceAll(id, '<id>');
      };
      expect([spec.name, await about(session.sessionId)]).toEqual([spec.name, await about(unknown)]);
    }
  });
});

describe('a share', () => {
  const scope = scopeOfEachTest();
  const start = (more: SiteOptions = {}) => Site.start(scope, { servers: 1, tokens: PEOPLE, ...more });

  async function shared(site: Site, as: 'reader' | 'writer'): Promise<{ own: CopilotSession; bobs: CopilotSession }> {
    const own = await site.client('alice').createSession(site.session());
    await turn(own, 'first');
    await share(site, own.sessionId, as);
    return { own, bobs: await site.client('bob').resumeSession(own.sessionId, site.session()) };
  }

  it('as writer lets him send, with tools of his own', async () => {
    const site = await start();
    const own = await site.client('alice').createSession(site.session());
    await turn(own, 'first');
    await share(site, own.sessionId, 'writer');
    const bobs = await site.client('bob').resumeSession(own.sessionId, site.session({ tools: [named('his', 'bob has it')] }));
    const seen = new Recording(own);
    expect((await turn(bobs, 'with [[tool:his]]')).text).toBe('tools said: bob has it');
    await seen.until('session.idle');
    expect(seen.text).toBe('tools said: bob has it');
  });

  it('lets a writer answer the prompts of the owner\'s turn, and no reader', async () => {
    const site = await start();
    const own = await site.client('alice').createSession(site.session({ onPermissionRequest: () => new Promise(() => undefined) }));
    await turn(own, 'first');
    await share(site, own.sessionId, 'reader');
    const bob = await site.wire('bob');
    await bob.result('session.resume', { sessionId: own.sessionId });
    const seen = new Recording(own);
    await own.send('[[tool:bash {"command":"echo granted","description":"greet"}]]');
    const { data } = await bob.untilEvent(own.sessionId, 'permission.requested');
    const answer = { sessionId: own.sessionId, requestId: (data as { requestId: string }).requestId, result: { kind: 'approve-once' } };
    expect(nameOf(await bob.call('session.permissions.handlePendingPermissionRequest', answer))).toBe('SKYPORT_READ_ONLY');
    await share(site, own.sessionId, 'writer');
    await bob.result('session.permissions.handlePendingPermissionRequest', answer);
    await seen.until('session.idle');
    expect(seen.text).toContain('granted');
  });

  it('that is taken away cuts him off at once, and is as if it had never been', async () => {
    const site = await start();
    const { own, bobs } = await shared(site, 'writer');
    const heard = new Recording(bobs);
    await skyport(site, 'unshare', own.sessionId, '--with', 'bob');
    await cutOff(heard);
    const events = heard.events.length;
    await expect(bobs.send('me again')).rejects.toThrow(/Session not found/);
    await turn(own, 'among ourselves');
    expect(heard.events).toHaveLength(events);
    const bob = site.client('bob');
    await expect(bob.resumeSession(own.sessionId, site.session())).rejects.toThrow(/Session not found/);
    expect(await bob.listSessions()).toEqual([]);
  });

  it('that becomes less cuts a writer off, who may come back as a reader', async () => {
    const site = await start();
    const { own, bobs } = await shared(site, 'writer');
    const heard = new Recording(bobs);
    await share(site, own.sessionId, 'reader');
    await cutOff(heard);
    const again = await site.client('bob').resumeSession(own.sessionId, site.session());
    await expect(again.send('as before')).rejects.toThrow(/for reading/);
    const seen = new Recording(again);
    await turn(own, 'look');
    await seen.until('session.idle');
  });

  it('that becomes more is in force at once', async () => {
    const site = await start();
    const { own, bobs } = await shared(site, 'reader');
    await share(site, own.sessionId, 'writer');
    expect((await turn(bobs, 'now me')).text).toBe('answer 2: now me');
  });

  it('that is taken away ends a read that waits', async () => {
    const site = await start();
    const { own } = await shared(site, 'reader');
    const bob = await site.wire('bob');
    const { cursor } = await bob.result<{ cursor: string }>('session.eventLog.tail', { sessionId: own.sessionId });
    const waiting = bob.call('session.eventLog.read', { sessionId: own.sessionId, cursor, waitMs: 25_000 });
    await bob.result('session.name.get', { sessionId: own.sessionId });
    await skyport(site, 'unshare', own.sessionId, '--with', 'bob');
    expect(nameOf(await waiting)).toBe('SKYPORT_SESSION_NOT_OWNED');
  });

  it('outlives Skyport', async () => {
    const site = await start({ servers: 0, managed: 1 });
    const { own } = await shared(site, 'reader');
    await site.skyport.kill9();
    await site.skyport.run();
    const again = await site.client('bob').resumeSession(own.sessionId, site.session());
    expect((await again.getEvents()).some((event) => event.type === 'user.message')).toBe(true);
    await expect(again.send('no')).rejects.toThrow(/for reading/);
    await expect(site.client('carol').resumeSession(own.sessionId, site.session())).rejects.toThrow(/Session not found/);
  });

  it('with a role is for who has it, as long as he has it', async () => {
    const site = await start();
    const own = await site.client('alice').createSession(site.session());
    await turn(own, 'for the team');
    await skyport(site, 'share', own.sessionId, '--with-role', 'team-red', '--as', 'writer');
    const dans = await site.client('dan').resumeSession(own.sessionId, site.session());
    expect((await turn(dans, 'team work')).text).toBe('answer 2: team work');
    await expect(site.client('bob').resumeSession(own.sessionId, site.session())).rejects.toThrow(/Session not found/);
    const heard = new Recording(dans);
    site.setTokens(PEOPLE.map((one) => (one.user === 'dan' ? { user: 'dan' } : one)));
    await cutOff(heard);
    await expect(dans.send('once more')).rejects.toThrow(/Session not found/);
  });

  it('by a rule is for sessions of the pattern, as long as the rule is there', async () => {
    const site = await start({
      config: { sessions: { shares: [{ pattern: '^(?<team>team-[a-z]+)-', with: { roles: ['$<team>'] }, as: 'writer' }] } },
    });
    const alice = site.client('alice');
    const [red, blue] = [await alice.createSession(site.session({ sessionId: 'team-red-plan' })), await alice.createSession(site.session({ sessionId: 'team-blue-plan' }))];
    for (const session of [red, blue]) await turn(session, 'first');
    const dan = site.client('dan');
    const dans = await dan.resumeSession(red.sessionId, site.session());
    expect((await turn(dans, 'mine too')).text).toBe('answer 2: mine too');
    await expect(dan.resumeSession(blue.sessionId, site.session())).rejects.toThrow(/Session not found/);
    const heard = new Recording(dans);
    site.skyport.editConfig((config) => delete config['sessions']);
    await cutOff(heard);
  });

  it('leaves the owner\'s session whole when a reader loads it first', async () => {
    const site = await start();
    const client = site.client('alice');
    const config = { streaming: true, tools: [named('mine', 'alice has it')], systemMessage: { mode: 'append' as const, content: 'Mind the gap.' } };
    const before = await client.createSession(site.session(config));
    await turn(before, 'first');
    await share(site, before.sessionId, 'reader');
    await before.disconnect();
    const read = await site.client('bob').resumeSession(before.sessionId, site.session({ model: 'gpt-5' }));
    const own = await client.resumeSession(before.sessionId, site.session(config));
    const seen = new Recording(read);
    expect((await turn(own, 'second [[tool:mine]]')).text).toBe('tools said: alice has it');
    await seen.until('session.idle');
    expect(seen.text).toBe('tools said: alice has it');
    expect(JSON.stringify(site.model.about('second')[0])).toContain('Mind the gap.');
  });

  it('keeps a turn waiting for its owner when only a reader is left', async () => {
    const site = await start({ config: { sessions: { linger: '1h' } } });
    const leaving = site.client('alice');
    const before = await leaving.createSession(site.session({ onPermissionRequest: () => new Promise(() => undefined) }));
    await turn(before, 'first');
    await share(site, before.sessionId, 'reader');
    const bobs = await site.client('bob').resumeSession(before.sessionId, site.session({ onPermissionRequest: undefined }));
    const seen = new Recording(bobs);
    await before.send('[[tool:bash {"command":"echo granted","description":"greet"}]]');
    await seen.until('permission.requested');
    await leaving.forceStop();
    await site.until((status) => status.sessions.byState.lingering === 1);
    const back = await site.client('alice').resumeSession(before.sessionId, site.session());
    const heard = new Recording(back);
    await Promise.all([heard.until('session.idle'), seen.until('session.idle')]);
    expect(heard.text).toContain('granted');
    expect(seen.text).toContain('granted');
  });

  it('lets a turn end with its owner when only a reader is left', async () => {
    const site = await start({ config: { sessions: { linger: '0s' } } });
    const leaving = site.client('alice');
    const before = await leaving.createSession(site.session({ onPermissionRequest: () => new Promise(() => undefined) }));
    await turn(before, 'first');
    await share(site, before.sessionId, 'reader');
    const bobs = await site.client('bob').resumeSession(before.sessionId, site.session({ onPermissionRequest: undefined }));
    const seen = new Recording(bobs);
    await before.send('[[tool:bash {"command":"echo granted","description":"greet"}]]');
    await seen.until('permission.requested');
    await leaving.forceStop();
    await seen.until('session.idle');
    expect(seen.text ?? '').not.toContain('granted');
  });

  it('is refused for what makes no sense', async () => {
    const site = await start();
    const own = await site.client('alice').createSession(site.session({ sessionId: 'alices' }));
    await turn(own, 'first');
    const run = async (...args: string[]) => {
      const { code, stderr } = await site.skyport.cli([...args, '--config', site.skyport.configFile]);
      return [code, stderr.trim()];
    };
    expect(await run('share', 'nothing', '--with', 'bob')).toEqual([1, 'There is no session nothing']);
    expect(await run('share', 'alices', '--with', 'alice')).toEqual([1, "The session is alice's own"]);
    expect(await run('share', 'alices', '--with', '../bob')).toEqual([1, '"../bob" is not a user name']);
    expect(await run('share', 'alices')).toEqual([2, 'Name somebody: --with USER, --with-role ROLE']);
    expect(await run('unshare', 'alices', '--with', 'bob')).toEqual([1, 'alices was not shared with bob']);
    expect((await site.sessions())[0]!.shares).toBeUndefined();
  });
});
