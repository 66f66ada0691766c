/** The ways in: tokens, services, listeners with `as`, anonymous, roles; and ids that try to slip through. */
import { beforeAll, describe, expect, it } from 'vitest';
import { scopeOfSuite } from '../support/scope.js';
import { freePorts } from '../support/ports.js';
import { Site } from '../support/site.js';
import { WireClient, type WireMessage } from '../support/wire-client.js';

const scope = scopeOfSuite();
let site: Site;
let alicesPort: number;

beforeAll(async () => {
  [alicesPort] = await freePorts(1) as [number];
  site = await Site.start(scope, {
    servers: 2,
    tokens: [
      { user: 'alice' }, { user: 'bob' },
      { user: 'root', roles: ['user', 'admin'] },
      { user: 'shop', roles: ['service'], session_pattern: '^user-(?<user>[a-z]+)-' },
    ],
    config: (place) => ({
      listen: [
        { tcp: place.address }, { tcp: `127.0.0.1:${alicesPort}`, as: 'alice' }, { http: `127.0.0.1:${place.httpPort}` },
      ],
      guard: { profile: 'tenant', open: { admin: ['shell_exec'] } },
    }),
  });
});

async function create(client: WireClient, sessionId: string): Promise<string> {
  await client.result('session.create', site.params({ sessionId }));
  return sessionId;
}

async function talk(client: WireClient, sessionId: string, prompt: string): Promise<void> {
  await client.result('session.send', { sessionId, prompt });
  await client.untilEvent(sessionId, 'session.idle');
}

async function listed(client: WireClient): Promise<string[]> {
  const { sessions } = await client.result<{ sessions: { sessionId: string }[] }>('session.list');
  return sessions.map((session) => session.sessionId);
}

const nameOf = ({ error }: WireMessage) => (error?.data as { name?: string } | undefined)?.name;

describe('a service', () => {
  it('makes sessions for the users that their ids name', async () => {
    const [shop, alice, bob] = await Promise.all([site.wire('shop'), site.wire('alice'), site.wire('bob')]);
    const id = await create(shop, 'user-alice-cart');
    await talk(shop, id, 'a cart for alice');
    expect((await site.sessions()).find((row) => row.id === id)?.owner).toBe('alice');
    expect(await listed(shop)).toEqual([id]);
    expect(await listed(alice)).toContain(id);
    expect(await listed(bob)).not.toContain(id);
    expect(nameOf(await bob.call('session.resume', site.params({ sessionId: id })))).toBe('SKYPORT_SESSION_NOT_OWNED');
  });

  it('may not make one whose id names nobody', async () => {
    const shop = await site.wire('shop');
    expect(nameOf(await shop.call('session.create', site.params({ sessionId: 'cart-7' })))).toBe('SKYPORT_SESSION_ID_REFUSED');
    expect(nameOf(await shop.call('session.create', site.params()))).toBe('SKYPORT_SESSION_ID_REFUSED');
  });

  it('has no say in sessions that users made for themselves', async () => {
    const [shop, bob] = await Promise.all([site.wire('shop'), site.wire('bob')]);
    const id = await create(bob, 'private-to-bob');
    await talk(bob, id, 'mine alone');
    const refused = await shop.call('session.getMessages', { sessionId: id });
    expect(refused.error?.message).toBe(`Session not found for sessionId: ${id}`);
    expect(await listed(shop)).not.toContain(id);
    expect(shop.frames.filter((frame) => frame.includes(id) && !frame.includes('"error"'))).toEqual([]);
  });

  it('keeps its ids: a user may make one that names the user, and none that names another', async () => {
    const bob = await site.wire('bob');
    expect(nameOf(await bob.call('session.create', site.params({ sessionId: 'user-alice-stolen' })))).toBe('SKYPORT_SESSION_ID_REFUSED');
    expect((await bob.call('session.create', site.params({ sessionId: 'user-bob-own' }))).error).toBeUndefined();
  });

  it('hears of the sessions it speaks for, and of no others', async () => {
    const [shop, alice] = await Promise.all([site.wire('shop'), site.wire('alice')]);
    await create(shop, 'user-bob-warm-up');
    await talk(alice, await create(alice, 'not-for-the-shop'), 'quiet');
    await talk(alice, await create(alice, 'user-alice-wish'), 'loud');
    await shop.until((message) => message.method === 'session.lifecycle' && message.params?.sessionId === 'user-alice-wish');
    expect(shop.frames.filter((frame) => frame.includes('not-for-the-shop'))).toEqual([]);
  });
});

describe('a listener with `as`', () => {
  it('makes everybody who comes in by it that user', async () => {
    const token = await site.wire('alice');
    const id = await create(token, 'seen-by-both');
    await talk(token, id, 'hello');
    const legacy = scope.own(await WireClient.tcp(`127.0.0.1:${alicesPort}`));
    expect(await listed(legacy)).toContain(id);
    const bob = await site.wire('bob');
    const others = await create(bob, 'not-for-the-listener');
    expect((await legacy.call('session.getMessages', { sessionId: others })).error?.message).toMatch(/^Session not found/);
  });

  it('takes no token', async () => {
    const client = scope.own(await WireClient.tcp(`127.0.0.1:${alicesPort}`));
    expect((await client.login('token-of-bob')).error?.code).toBe(-32003);
  });
});

describe('a listener without `as`', () => {
  it('answers like a CLI server who comes without a token, or with a wrong one', async () => {
    const codes = await Promise.all([
      (client: WireClient) => client.call('session.list'),
      (client: WireClient) => client.login(),
      (client: WireClient) => client.login('token-of-nobody'),
    ].map(async (step) => (await step(scope.own(await WireClient.tcp(site.skyport.address)))).error?.code));
    expect(codes).toEqual([-32001, -32002, -32002]);
  });

  it('lets a connection keep the user it came as', async () => {
    const client = await site.wire('alice');
    expect(nameOf(await client.login('token-of-bob'))).toBe('SKYPORT_ALREADY_CONNECTED');
    expect((await client.call('ping')).error).toBeUndefined();
  });
});

describe('an anonymous client', () => {
  it('is the user that the configuration names, apart from everybody with a token', async () => {
    const open = await Site.start(scope, { servers: 1, config: { identity: { tokens_file: './tokens.yaml', anonymous: 'guest' } } });
    const alice = await open.wire('alice');
    const id = await create(alice, 'with-a-token');
    await talk(alice, id, 'hello');
    const guest = scope.own(await WireClient.tcp(open.skyport.address));
    expect(await listed(guest)).toEqual([]);
    expect((await guest.call('session.resume', { sessionId: id })).error?.message).toBe(`Session not found for sessionId: ${id}`);
    await guest.result('session.create', open.params({ sessionId: 'of-a-guest' }));
    expect((await open.sessions()).find((row) => row.id === 'of-a-guest')?.owner).toBe('guest');
    expect((await alice.call('session.getMessages', { sessionId: 'of-a-guest' })).error?.message).toMatch(/^Session not found/);
  });
});

describe('a role', () => {
  it('opens a rule on the sessions of its user', async () => {
    const [root, alice] = await Promise.all([site.wire('root'), site.wire('alice')]);
    const params = { command: 'true' };
    const own = await create(root, 'of-root');
    const hers = await create(alice, 'of-alice');
    expect((await root.call('session.shell.exec', { sessionId: own, ...params })).error).toBeUndefined();
    expect((await alice.call('session.shell.exec', { sessionId: hers, ...params })).error).toMatchObject({
      message: 'Method session.shell.exec is refused (rule shell_exec)', data: { name: 'SKYPORT_METHOD_REFUSED', rule: 'shell_exec' },
    });
  });

  it("opens nobody else's session", async () => {
    const [root, alice] = await Promise.all([site.wire('root'), site.wire('alice')]);
    const hers = await create(alice, 'closed-to-root');
    const answer = await root.call('session.shell.exec', { sessionId: hers, command: 'true' });
    expect(answer.error?.message).toBe(`Session not found for sessionId: ${hers}`);
  });
});

describe("another session's id", () => {
  /** Sends a text with the two ids in it, as bob, and gives the answer to id 77. */
  async function smuggled(method: string, params: string): Promise<WireMessage> {
    const bob = await site.wire('bob');
    bob.sendText(`{"jsonrpc":"2.0","id":77,"method":"${method}","params":${params}}`);
    return bob.until((message) => message.id === 77);
  }

  beforeAll(async () => {
    await create(await site.wire('alice'), 'target');
    await talk(await site.wire('bob').then(async (bob) => (await create(bob, 'vehicle'), bob)), 'vehicle', 'bob begins');
  });

  it.each([
    ['after the own one', '{"sessionId":"vehicle","sessionId":"target","prompt":"smuggled"}'],
    ['before the own one', '{"sessionId":"target","sessionId":"vehicle","prompt":"smuggled"}'],
    ['in an escaped spelling of the key', '{"sessionId":"vehicle","session\\u0049d":"target","prompt":"smuggled"}'],
    ['in an escaped spelling before the plain one', '{"\\u0073essionId":"target","sessionId":"vehicle","prompt":"smuggled"}'],
    ['in second params', '{"sessionId":"vehicle","prompt":"smuggled"},"params":{"sessionId":"target","prompt":"smuggled"}'],
    ['in second params with an escape', '{"sessionId":"vehicle","prompt":"smuggled"},"p\\u0061rams":{"sessionId":"target","prompt":"smuggled"}'],
    ['in another case of the key', '{"sessionId":"vehicle","SessionId":"target","prompt":"smuggled"}'],
    ['in another style of the key', '{"sessionId":"vehicle","session_id":"target","prompt":"smuggled"}'],
    ['as the only one, in an escaped spelling', '{"session\\u0049d":"t\\u0061rget","prompt":"smuggled"}'],
    ['in a list', '{"sessionId":["target"],"prompt":"smuggled"}'],
    ['in an object', '{"sessionId":{"sessionId":"target"},"prompt":"smuggled"}'],
    ['behind a NUL', '{"sessionId":"vehicle\\u0000target","prompt":"smuggled"}'],
  ])('cannot be smuggled %s', async (_how, params) => {
    expect((await smuggled('session.send', params)).error).toBeDefined();
    expect(site.model.about('smuggled')).toEqual([]);
  });

  it('cannot be smuggled into a list of records by a second key', async () => {
    const answer = await smuggled('sessions.enrichMetadata', '{"sessions":[{"sessionId":"vehicle","session\\u0049d":"target","x":1}]}');
    const unknown = await smuggled('sessions.enrichMetadata', '{"sessions":[{"sessionId":"vehicle","session\\u0049d":"nobody","x":1}]}');
    expect(JSON.stringify(answer).replaceAll('target', 'ID')).toBe(JSON.stringify(unknown).replaceAll('nobody', 'ID'));
  });

  it('is the own one when it is spelled with escapes: that hides nothing', async () => {
    const answer = await smuggled('session.getMessages', '{"session\\u0049d":"veh\\u0069cle"}');
    expect(JSON.stringify(answer.result)).toContain('bob begins');
  });
});
