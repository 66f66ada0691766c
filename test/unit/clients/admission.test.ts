import { describe, expect, it } from 'vitest';
import { scopeOfEachTest } from '../../support/scope.js';
import type { WireClient } from '../../support/wire-client.js';
import type { LimitRules } from '../../../proxy/clients/allowances.js';
import { channels } from '../../../proxy/channels.js';
import { until } from '../wire/sockets.js';
import { Front, tokensOf } from './front.js';

const scope = scopeOfEachTest();
const WAITING = 'session.custom_notification';

interface Stage {
  readonly front: Front;
  /** Prompts that the server got, in order of arrival. */
  prompts(): unknown[];
  client(user: string): Promise<WireClient>;
  /** The turn of a session ends. */
  endTurn(sessionId: string): void;
  later(ms: number): void;
}

/** A server whose turns run until the test ends them. */
async function stage(turns: LimitRules, roles: Record<string, string> = {}): Promise<Stage> {
  let now = 0;
  const { entries, patterns } = tokensOf('alice', 'bob');
  const tokens = { patterns, entries: entries.map((entry) => {
    const role = roles[entry.principal.user];
    return { ...entry, principal: { ...entry.principal, roles: new Set(role === undefined ? ['user'] : ['user', role]) } };
  }) };
  const front = await Front.open(scope, { links: { base: 2, max: 8 }, logins: { tokens }, turns, now: () => now });
  front.fake.answer('session.send', ({ params }) => {
    front.fake.event(String(params['sessionId']), 'user.message', { content: params['prompt'] });
    return { result: { messageId: 'm' } };
  });
  return {
    front,
    prompts: () => front.fake.requests.filter(({ method }) => method === 'session.send').map(({ params }) => params['prompt']),
    client: (user) => front.client(`token-of-${user}`),
    endTurn: (sessionId) => front.fake.event(sessionId, 'session.idle'),
    later: (ms) => {
      now += ms;
      front.services.admission.tick(front.services.draining);
    },
  };
}

const send = (client: WireClient, sessionId: string, prompt: string, id?: string) => client.call('session.send', { sessionId, prompt }, id);
const places = (client: WireClient, sessionId: string) => client.events(sessionId).filter(({ type }) => type === WAITING).map(({ data }) => data['payload']);

/** alice with a turn on s1, and a session s2. */
async function busy(rules: LimitRules = { turns: { active: 1 } }, roles: Record<string, string> = {}): Promise<Stage & { alice: WireClient }> {
  const all = await stage(rules, roles);
  const alice = await all.client('alice');
  for (const sessionId of ['s1', 's2', 's3']) await alice.result('session.create', { sessionId });
  await send(alice, 's1', 'first');
  return { ...all, alice };
}

describe('a message over its user\'s limit', () => {
  it('waits for another turn of his to end, and its client is told', async () => {
    const { alice, prompts, endTurn } = await busy();
    const answer = send(alice, 's2', 'second');
    await alice.untilEvent('s2', WAITING);
    expect(places(alice, 's2')).toEqual([{ place: 1, limit: 'active' }]);
    expect(prompts()).toEqual(['first']);
    endTurn('s1');
    expect((await answer).result).toEqual({ messageId: 'm' });
    expect(prompts()).toEqual(['first', 'second']);
  });

  it('holds back no other call, and no message to the session whose turn runs', async () => {
    const { alice, prompts } = await busy();
    void send(alice, 's2', 'second').catch(() => undefined);
    await alice.untilEvent('s2', WAITING);
    for (const method of ['session.abort', 'session.model.setReasoningEffort', 'session.permissions.handlePendingPermissionRequest']) {
      for (const sessionId of ['s1', 's2']) expect((await alice.call(method, { sessionId })).error).toBeUndefined();
    }
    await send(alice, 's1', 'more');
    expect(prompts()).toEqual(['first', 'more']);
  });

  it('is refused when too many wait, with the time after which to try again', async () => {
    const { alice } = await busy({ turns: { active: 1, queued: 1 } });
    void send(alice, 's2', 'second').catch(() => undefined);
    await alice.untilEvent('s2', WAITING);
    const { error } = await send(alice, 's3', 'third');
    expect(error).toEqual({
      code: -32066, message: 'Too many turns: 1 at one time; 1 messages may wait',
      data: { name: 'SKYPORT_TURN_LIMIT', side: 'client', retryable: true, retryAfterMs: expect.any(Number) as number },
    });
  });

  it('is refused when it has waited for too long', async () => {
    const { alice, later } = await busy({ turns: { active: 1, wait: 5_000 } });
    const answer = send(alice, 's2', 'second');
    await alice.untilEvent('s2', WAITING);
    later(5_000);
    expect((await answer).error).toMatchObject({ message: 'Too many turns: 1 at one time; waited 5000 ms in vain', data: { name: 'SKYPORT_TURN_LIMIT' } });
  });

  it('is refused when Skyport stops', async () => {
    const { front, alice, later } = await busy();
    const answer = send(alice, 's2', 'second');
    await alice.untilEvent('s2', WAITING);
    front.services.draining = true;
    later(0);
    expect((await answer).error?.message).toBe('SERVER_SHUTTING_DOWN');
  });

  it('that is cancelled is never passed on', async () => {
    const { alice, prompts, endTurn } = await busy();
    const answer = send(alice, 's2', 'second', 'the second');
    await alice.untilEvent('s2', WAITING);
    alice.notify('$/cancelRequest', { id: 'the second' });
    expect((await answer).error?.code).toBe(-32800);
    endTurn('s1');
    await send(alice, 's3', 'third');
    expect(prompts()).toEqual(['first', 'third']);
  });

  it('whose client leaves makes room for those behind it', async () => {
    const { alice, client, prompts, endTurn } = await busy();
    const other = await client('alice');
    await other.result('session.create', { sessionId: 's4' });
    void send(alice, 's2', 'second').catch(() => undefined);
    await alice.untilEvent('s2', WAITING);
    const answer = send(other, 's4', 'fourth');
    await until(() => places(other, 's4').length === 1);
    alice.destroy();
    await until(() => places(other, 's4').length === 2);
    expect(places(other, 's4')).toEqual([{ place: 2, limit: 'active' }, { place: 1, limit: 'active' }]);
    endTurn('s1');
    await answer;
    expect(prompts()).toEqual(['first', 'fourth']);
  });

  it('whose session is deleted meanwhile is refused like any message to it', async () => {
    const { alice, prompts, endTurn } = await busy();
    const answer = send(alice, 's2', 'second');
    await alice.untilEvent('s2', WAITING);
    await alice.result('session.delete', { sessionId: 's2' });
    endTurn('s1');
    expect((await answer).error?.message).toBe('Session not found for sessionId: s2');
    expect(prompts()).toEqual(['first']);
  });

  it('waits behind nobody else\'s messages', async () => {
    const { alice, client, prompts } = await busy();
    for (let n = 0; n < 50; n++) void send(alice, 's2', `${n}`).catch(() => undefined);
    await alice.untilEvent('s2', WAITING);
    const bob = await client('bob');
    await bob.result('session.create', { sessionId: 'of-bob' });
    await send(bob, 'of-bob', 'of bob');
    expect(prompts()).toEqual(['first', 'of bob']);
  });

  it('is counted for its sender, on a session that is shared with him', async () => {
    const { front, alice, client, prompts, endTurn } = await busy({ turns: { active: 1 } });
    const shared = front.services.directory.get('s2')!;
    front.services.directory.reshare(shared, { users: { bob: 'writer' }, roles: {} });
    const bob = await client('bob');
    await bob.result('session.resume', { sessionId: 's2' });
    await send(bob, 's2', 'of bob');
    expect(prompts()).toEqual(['first', 'of bob']);
    // It waits for alice's own turn, not for bob's on the same session.
    const answer = send(alice, 's3', 'second');
    await alice.untilEvent('s3', WAITING);
    endTurn('s1');
    await answer;
    expect(front.services.admission.usageOf().map(({ user, turnsOpen }) => [user, turnsOpen])).toEqual([['alice', 1], ['bob', 1]]);
  });

  it('of a service is counted for the user that its session id names', async () => {
    const [app] = tokensOf('app').entries;
    const principal = { ...app!.principal, roles: new Set(['service']), sessionPattern: /^user-(?<user>[a-z]+)-/ };
    const front = await Front.open(scope, { turns: { turns: { active: 1 } }, logins: { tokens: { patterns: [principal.sessionPattern], entries: [{ ...app!, principal }] } } });
    front.fake.answer('session.send', ({ params }) => {
      front.fake.event(String(params['sessionId']), 'user.message');
      return { result: { messageId: 'm' } };
    });
    const client = await front.client('token-of-app');
    for (const sessionId of ['user-alice-1', 'user-alice-2', 'user-bob-1']) await client.result('session.create', { sessionId });
    await send(client, 'user-alice-1', 'first');
    void send(client, 'user-alice-2', 'second').catch(() => undefined);
    await client.untilEvent('user-alice-2', WAITING);
    expect((await send(client, 'user-bob-1', 'of bob')).error).toBeUndefined();
    expect(front.services.admission.usageOf().map(({ user, turnsOpen, turnsQueued }) => [user, turnsOpen, turnsQueued])).toEqual([['alice', 1, 1], ['bob', 1, 0]]);
  });

  it('goes on when a reload allows it', async () => {
    const { front, alice } = await busy();
    const answer = send(alice, 's2', 'second');
    await alice.untilEvent('s2', WAITING);
    front.services.admission.update({});
    expect((await answer).error).toBeUndefined();
  });

  it('is told of as it happens', async () => {
    const news: object[] = [];
    const told = (message: object): void => void news.push(message);
    const all = [channels.turnWaiting, channels.turnWaited, channels.turnRefused] as const;
    for (const channel of all) channel.subscribe(told);
    scope.after(() => all.forEach((channel) => channel.unsubscribe(told)));
    const { alice, endTurn } = await busy({ turns: { active: 1, queued: 1 } });
    const answer = send(alice, 's2', 'second');
    await alice.untilEvent('s2', WAITING);
    await send(alice, 's3', 'third');
    endTurn('s1');
    await answer;
    const durationMs = expect.any(Number) as number;
    expect(news).toEqual([
      { user: 'alice' }, { user: 'alice', limit: 'active', reason: 'full' }, { user: 'alice', outcome: 'passed', durationMs },
    ]);
  });
});

describe('a message of a user with a role', () => {
  it('has the limits of the role', async () => {
    const { alice, prompts } = await busy({ turns: { active: 1 }, roles: { customer: { turns: { active: 2 } } } }, { alice: 'customer' });
    await send(alice, 's2', 'second');
    expect(prompts()).toEqual(['first', 'second']);
    void send(alice, 's3', 'third').catch(() => undefined);
    await alice.untilEvent('s3', WAITING);
  });

  it('waits for the turns of all who have it', async () => {
    const { client, prompts, endTurn } = await busy({ roles: { guest: { all: { active: 1 } } } }, { alice: 'guest', bob: 'guest' });
    const bob = await client('bob');
    await bob.result('session.create', { sessionId: 'of-bob' });
    const answer = send(bob, 'of-bob', 'of bob');
    await bob.untilEvent('of-bob', WAITING);
    expect(places(bob, 'of-bob')).toEqual([{ place: 1, limit: 'role_active' }]);
    endTurn('s1');
    await answer;
    expect(prompts()).toEqual(['first', 'of bob']);
  });
});

describe('sessions', () => {
  const create = (client: WireClient, sessionId: string) => client.call('session.create', { sessionId });

  it('are limited by the role instead of sessions_per_user', async () => {
    const { client } = await stage({ roles: { guest: { sessions: 1 } } }, { alice: 'guest' });
    const [alice, bob] = [await client('alice'), await client('bob')];
    await alice.result('session.create', { sessionId: 'a1' });
    expect((await create(alice, 'a2')).error).toMatchObject({ data: { name: 'SKYPORT_TOO_MANY_SESSIONS' } });
    for (const id of ['b1', 'b2']) expect((await create(bob, id)).error).toBeUndefined();
  });

  it('of all users with a role are limited together, until one is deleted', async () => {
    const { client } = await stage({ roles: { guest: { all: { sessions: 2 } } } }, { alice: 'guest', bob: 'guest' });
    const [alice, bob] = [await client('alice'), await client('bob')];
    await alice.result('session.create', { sessionId: 'a1' });
    await bob.result('session.create', { sessionId: 'b1' });
    expect((await create(bob, 'b2')).error).toMatchObject({ code: -32061, message: 'All users with the role guest own 2 sessions' });
    await alice.result('session.delete', { sessionId: 'a1' });
    expect((await create(bob, 'b2')).error).toBeUndefined();
    expect((await create(bob, 'b3')).error?.code).toBe(-32061);
  });

  it('are counted anew when roles have changed', async () => {
    const { front, client } = await stage({ roles: { guest: { all: { sessions: 1 } } } }, { alice: 'guest', bob: 'guest' });
    const [alice, bob] = [await client('alice'), await client('bob')];
    await alice.result('session.create', { sessionId: 'a1' });
    expect((await create(bob, 'b1')).error?.code).toBe(-32061);
    const { entries, patterns } = tokensOf('alice', 'bob');
    front.services.authenticator.update({ tokens: { patterns, entries: entries.map((entry) => {
      return entry.principal.user === 'alice' ? entry : { ...entry, principal: { ...entry.principal, roles: new Set(['guest']) } };
    }) } });
    front.services.admission.update({ roles: { guest: { all: { sessions: 1 } } } });
    expect((await create(bob, 'b1')).error).toBeUndefined();
  });
});
