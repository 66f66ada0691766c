/**
 * What a client is told of stored sessions where Skyport keeps their files, compared call by call with a
 * CLI server that has them on its own disk. Both are brought to the same state by the same calls; ids that
 * are made up and times are replaced by their order of appearance.
 */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { startRuntime } from '../support/runtime.js';
import { scopeOfSuite } from '../support/scope.js';
import { sessionConfig } from '../support/sdk.js';
import { Site } from '../support/site.js';
import { WireClient, type WireMessage } from '../support/wire-client.js';

const USED = '11111111-2222-4333-8444-000000000001';

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|\+00:00)/g;

type Fields = { readonly [name: string]: unknown };

interface Stored {
  readonly id: string;
  readonly type: string;
  readonly ephemeral?: boolean;
}

/** One of the two that are compared. */
class Side {
  private readonly names = new Map<string, string>();

  constructor(readonly client: WireClient) {}

  async turn(sessionId: string, prompt: string): Promise<void> {
    const idles = (): number => this.client.events(sessionId).filter(({ type }) => type === 'session.idle').length;
    const before = idles();
    await this.client.result('session.send', { sessionId, prompt });
    await this.client.until(() => idles() > before);
  }

  /** An answer or notification without what differs from run to run. */
  plain({ result, error, params }: WireMessage): unknown {
    const text = JSON.stringify(error ? error.message : { result, params });
    return JSON.parse(text.replace(UUID, (id) => this.name(id)).replace(TIME, 'a time'));
  }

  private name(id: string): string {
    if (id === USED) return id;
    if (!this.names.has(id)) this.names.set(id, `id ${this.names.size}`);
    return this.names.get(id)!;
  }
}

const scope = scopeOfSuite();
let sides: readonly [Side, Side];
let site: Site;
let work: string;

function create(side: Side, sessionId: string, workingDirectory: string, model: Site['model']): Promise<unknown> {
  const { model: name, provider } = sessionConfig(model);
  return side.client.result('session.create', { sessionId, model: name, provider, workingDirectory });
}

beforeAll(async () => {
  site = await Site.start(scope, { servers: 1, config: { sessions: { state: 'skyport' }, guard: { profile: 'trusted' } } });
  const oracle = scope.own(await startRuntime());
  const direct = scope.own(await WireClient.tcp(oracle.address));
  await direct.login();
  sides = [new Side(direct), new Side(await site.wire())];
  work = path.join(site.skyport.directory, 'work');
  mkdirSync(path.join(work, 'other'));
  await Promise.all(sides.map(async (side) => {
    await create(side, USED, work, site.model);
    await side.client.result('session.metadata.updateClientMetadata', { sessionId: USED, set: { a: '1', b: '2' } });
    await side.client.result('session.plan.update', { sessionId: USED, content: '# plan' });
    await side.turn(USED, 'first words');
    await side.turn(USED, 'second words');
    await create(side, 'other', path.join(work, 'other'), site.model);
    await side.turn('other', 'elsewhere');
    await create(side, 'unused', work, site.model);
  }));
});

/** Makes the same call on both and holds the answers against each other. */
async function same(method: string, params: Fields | ((side: Side) => Fields)): Promise<readonly [WireMessage, WireMessage]> {
  const ask = (side: Side): Promise<WireMessage> => side.client.call(method, typeof params === 'function' ? params(side) : params);
  const [direct, through] = await Promise.all([ask(sides[0]), ask(sides[1])]);
  expect(sides[1].plain(through)).toEqual(sides[0].plain(direct));
  return [direct, through];
}

describe('what is stored is told as a CLI server tells it', () => {
  it.each<[string, Fields]>([
    ['session.list', {}],
    ['session.list', { filter: { repository: 'o/r' } }],
    ['session.list', { filter: { cwd: '/nowhere' } }],
    ['sessions.list', {}],
    ['sessions.list', { metadataLimit: 1 }],
    ['sessions.list', { source: 'remote' }],
    ['session.getLastId', {}],
    ['session.getMetadata', { sessionId: USED }],
    ['session.getMetadata', { sessionId: 'unused' }],
    ['session.getMetadata', { sessionId: 'nobody' }],
    ['sessions.getMetadata', { sessionId: 'other' }],
    ['sessions.listNonEmptySessionIds', { limit: 5 }],
    ['sessions.findByPrefix', { prefix: '11111111' }],
    ['sessions.findByTaskId', { taskId: 't' }],
    ['sessions.getPersistedRemoteSteerable', { sessionId: USED }],
    ['sessions.checkInUse', { sessionIds: [USED, 'nobody'] }],
    ['sessions.getClientMetadata', { sessionIds: [USED, 'other', 'nobody', 'unused'] }],
    ['sessions.getClientMetadata', { sessionIds: [USED], keys: ['b'] }],
    ['sessions.getClientMetadata', { sessionIds: [USED], keys: [''] }],
    ['sessions.enrichMetadata', {
      sessions: [USED, 'unused', 'nobody'].map((sessionId) => ({
        sessionId, startTime: '2020-01-01T00:00:00.000Z', modifiedTime: '2020-01-01T00:00:00.000Z', isRemote: false,
      })),
    }],
    ['sessions.bulkDelete', { sessionIds: ['nobody'] }],
  ])('%s %j', async (method, params) => {
    await same(method, params);
  });

  it('by the directory of a session', async () => {
    const [answer] = await same('session.list', { filter: { cwd: path.join(work, 'other') } });
    expect((answer.result as { sessions: unknown[] }).sessions.length).toBe(1);
    await same('sessions.getLastForContext', { context: { cwd: path.join(work, 'other') } });
  });

  it('after it was renamed', async () => {
    await same('session.name.set', { sessionId: USED, name: 'A new name' });
    await same('session.getMetadata', { sessionId: USED });
  });

  it('with sizes for the same sessions', async () => {
    const of = async ({ client }: Side): Promise<string[]> =>
      Object.keys((await client.result<{ sizes: Fields }>('sessions.getSizes')).sizes);
    expect(await of(sides[1])).toEqual(await of(sides[0]));
  });
});

describe('a stored history', () => {
  const types = ({ result }: WireMessage): unknown[] =>
    (result as { events: { type: string }[] }).events.map(({ type }) => type).filter((type) => type !== 'system.message');

  it('is read in pages, forward and backward', async () => {
    for (const direction of ['forward', 'backward']) {
      let cursors: readonly [string | undefined, string | undefined] = [undefined, undefined];
      for (let more = true; more;) {
        const pages = await Promise.all(sides.map(({ client }, index) =>
          client.call('sessions.readPersistedEvents', { sessionId: USED, max: 4, direction, cursor: cursors[index] })));
        expect(types(pages[1]!)).toEqual(types(pages[0]!));
        const [direct, through] = pages.map(({ result }) => result as { hasMore: boolean; cursor: string; cursorStatus: string });
        expect([through!.hasMore, through!.cursorStatus]).toEqual([direct!.hasMore, direct!.cursorStatus]);
        cursors = [direct!.cursor, through!.cursor];
        more = direct!.hasMore;
      }
    }
  });

  it('is the one that a loaded session has, but for repeated system messages', async () => {
    const [, { client }] = sides;
    const { events } = await client.result<{ events: Stored[] }>('sessions.readPersistedEvents', { sessionId: USED });
    const live = await client.result<{ events: Stored[] }>('session.getMessages', { sessionId: USED });
    const idsIn = (list: readonly Stored[]): string[] =>
      list.filter(({ type, ephemeral }) => type !== 'system.message' && ephemeral !== true).map(({ id }) => id);
    expect(idsIn(events)).toEqual(idsIn(live.events));
  });

  it('is not there before the first turn', async () => {
    await same('sessions.readPersistedEvents', { sessionId: 'unused' });
  });
});

describe('a fork', () => {
  const forkOf = (answer: WireMessage): string => (answer.result as { sessionId: string }).sessionId;

  it('has the name, the history and the notes of its source, which is told of it', async () => {
    const made = await same('sessions.fork', { sessionId: USED });
    const ids = new Map(sides.map((side, index) => [side, forkOf(made[index]!)]));
    await same('session.getMetadata', (side) => ({ sessionId: ids.get(side) }));
    await same('sessions.getClientMetadata', (side) => ({ sessionIds: [ids.get(side)] }));
    const messages = await Promise.all(sides.map(async (side) => {
      const { events } = await side.client.result<{ events: { type: string; data: Fields }[] }>('sessions.readPersistedEvents', { sessionId: ids.get(side) });
      return side.plain({ result: events.filter(({ type }) => type !== 'system.message').map(({ type, data }) => [type, data]) });
    }));
    expect(JSON.stringify(messages[1]).replace(/"apiCallId":"[^"]*"/g, '')).toBe(JSON.stringify(messages[0]).replace(/"apiCallId":"[^"]*"/g, ''));
    const told = await Promise.all(sides.map(({ client }) => client.until(({ params }) =>
      params?.['sessionId'] === USED && (params['event'] as { data?: Fields } | undefined)?.data?.['infoType'] === 'fork')));
    const [direct, through] = told.map(({ params }, index) => sides[index]!.plain({ result: (params!['event'] as { data: Fields }).data }));
    expect(through).toEqual(direct);
  });

  it('goes on with the conversation', async () => {
    const [, { client }] = sides;
    const { sessionId } = await client.result<{ sessionId: string }>('sessions.fork', { sessionId: 'other', name: 'Goes on' });
    const resumed = await client.call('session.resume', { sessionId });
    expect(resumed.error).toBeUndefined();
    const { events } = await client.result<{ events: { type: string; data: Fields }[] }>('session.getMessages', { sessionId });
    expect(events.filter(({ type }) => type === 'user.message').map(({ data }) => data['content'])).toEqual(['elsewhere']);
  });

  it('of a session that was never used is made as well', async () => {
    await same('sessions.fork', { sessionId: 'unused' });
  });

  it.each<[Fields]>([[{ toEventId: 'nope' }], [{ name: '' }], [{ name: ' x' }], [{ name: 'x'.repeat(101) }]])('is refused with %j', async (more) => {
    await same('sessions.fork', { sessionId: 'other', ...more });
  });

  it('leaves the history of a source that nobody has loaded as it is', async () => {
    const [, { client }] = sides;
    await client.result('session.detach', { sessionId: 'other' });
    const read = async (): Promise<unknown[]> =>
      (await client.result<{ events: unknown[] }>('sessions.readPersistedEvents', { sessionId: 'other' })).events;
    const before = await read();
    await client.result('sessions.fork', { sessionId: 'other' });
    const after = await read();
    expect(after.slice(0, -1)).toEqual(before);
    expect(after.at(-1)).toMatchObject({ type: 'session.info', data: { infoType: 'fork' } });
    await sides[0].client.result('session.detach', { sessionId: 'other' });
  });
});

describe('deleting', () => {
  const gone = (sessionId: string): Promise<unknown> => same('session.getMetadata', { sessionId });

  it('a session that is not loaded', async () => {
    await same('session.delete', { sessionId: 'other' });
    await gone('other');
  });

  it('one that was never used', async () => {
    await same('session.delete', { sessionId: 'unused' });
    await gone('unused');
  });

  it('a loaded one unloads it, and says so as a CLI server does', async () => {
    const from = sides.map(({ client }) => client.messages.length);
    await same('session.delete', { sessionId: USED });
    const news = sides.map(({ client }, index) => client.messages.slice(from[index]!)
      .filter(({ method }) => method !== undefined)
      .map(({ method, params }) => `${method} ${String(params?.['type'] ?? (params?.['event'] as { type?: unknown } | undefined)?.type)}`));
    expect(news[1]).toEqual(news[0]);
    await gone(USED);
    for (const { client } of sides) {
      const answer = await client.call('session.send', { sessionId: USED, prompt: 'still there?' });
      expect(answer.error?.message).toContain(`Session not found for sessionId: ${USED}`);
    }
  });

  it('one in the middle of its turn ends the turn', async () => {
    await Promise.all(sides.map(async (side) => {
      await create(side, 'busy', work, site.model);
      await side.client.result('session.send', { sessionId: 'busy', prompt: '[[hold:busy]]' });
      await side.client.untilEvent('busy', 'assistant.turn_start');
    }));
    await same('session.delete', { sessionId: 'busy' });
    site.model.release('busy');
    await gone('busy');
    const [, { client }] = sides;
    await create(sides[1], 'busy', work, site.model);
    const { events } = await client.result<{ events: Stored[] }>('session.getMessages', { sessionId: 'busy' });
    expect(events.filter(({ type }) => type === 'user.message')).toEqual([]);
    await client.result('session.delete', { sessionId: 'busy' });
  });

  it('several at once tells what each has freed', async () => {
    const [, { client }] = sides;
    const { sessions } = await client.result<{ sessions: { sessionId: string }[] }>('session.list');
    const sessionIds = sessions.map(({ sessionId }) => sessionId);
    const { freedBytes } = await client.result<{ freedBytes: { [id: string]: number } }>('sessions.bulkDelete', { sessionIds });
    expect(Object.keys(freedBytes)).toEqual(sessionIds);
    expect(Object.values(freedBytes).every((bytes) => bytes > 1000)).toBe(true);
    expect(await client.result('session.list')).toEqual({ sessions: [] });
  });

  it('needs no server', async () => {
    const [, side] = sides;
    await create(side, 'orphan', work, site.model);
    await side.turn('orphan', 'remember me');
    await site.servers[0]!.kill9();
    const { sessions } = await side.client.result<{ sessions: { summary: string }[] }>('session.list');
    expect(sessions.map(({ summary }) => summary)).toEqual(['remember me']);
    expect(await side.client.result('session.delete', { sessionId: 'orphan' })).toEqual({ success: true });
    expect(await side.client.result('session.list')).toEqual({ sessions: [] });
  });
});
