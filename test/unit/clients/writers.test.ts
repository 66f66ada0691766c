import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import type { WriterRules } from '../../../proxy/clients/writers.js';
import { scopeOfEachTest } from '../../support/scope.js';
import type { WireClient } from '../../support/wire-client.js';
import { until } from '../wire/sockets.js';
import { Front } from './front.js';

const scope = scopeOfEachTest();
const S1 = { sessionId: 's1' };
const WAITING = 'session.custom_notification';
const QUEUE: WriterRules = { mode: 'queue', wait: 120_000 };

interface Stage {
  readonly front: Front;
  readonly first: WireClient;
  readonly second: WireClient;
  /** Prompts that the server got, in order of arrival. */
  prompts(): unknown[];
  /** The turn that runs ends. */
  endTurn(): void;
  later(ms: number): void;
}

/** Two clients of one session, of which the first has a turn that runs until the test ends it. */
async function stage(rules = QUEUE): Promise<Stage> {
  let now = 0;
  const front = await Front.open(scope, { links: { base: 2, max: 8 }, writers: rules, now: () => now });
  const first = await front.owner('s1');
  const second = await front.client();
  await second.result('session.resume', S1);
  front.fake.answer('session.send', ({ params }) => {
    front.fake.event('s1', 'user.message', { content: params['prompt'] });
    return { result: { messageId: 'm' } };
  });
  await first.result('session.send', { ...S1, prompt: 'first' });
  return {
    front, first, second,
    prompts: () => front.fake.requests.filter(({ method }) => method === 'session.send').map(({ params }) => params['prompt']),
    endTurn: () => front.fake.event('s1', 'session.idle'),
    later: (ms) => {
      now += ms;
      front.services.writers.tick(front.services.draining);
    },
  };
}

const send = (client: WireClient, prompt: string, id?: string) => client.call('session.send', { ...S1, prompt }, id);
const places = (client: WireClient) => client.events('s1').filter(({ type }) => type === WAITING).map(({ data }) => data['payload']);

describe('a message of a second client during a turn', () => {
  it('waits until the turn is over, and its client is told its place', async () => {
    const { second, prompts, endTurn } = await stage();
    const answer = send(second, 'second');
    await second.untilEvent('s1', WAITING);
    expect(prompts()).toEqual(['first']);
    expect(places(second)).toEqual([{ place: 1, heldBy: 'alice' }]);
    endTurn();
    expect((await answer).result).toEqual({ messageId: 'm' });
    expect(prompts()).toEqual(['first', 'second']);
  });

  it('is told of by an event that the schema of the events has', async () => {
    const { second } = await stage();
    void send(second, 'second').catch(() => undefined);
    const found = await second.untilEvent('s1', WAITING);
    const types = createRequire(import.meta.url).resolve('@github/copilot-sdk-linux-x64/schemas/session-events.schema.json');
    const { definitions } = JSON.parse(readFileSync(types, 'utf8')) as {
      definitions: { [name: string]: { required: string[]; properties: { [key: string]: unknown } } };
    };
    for (const [name, value] of [['CustomNotificationEvent', found], ['CustomNotificationData', found.data]] as const) {
      const { required, properties } = definitions[name]!;
      expect(Object.keys(value)).toEqual(expect.arrayContaining(required));
      expect(Object.keys(properties)).toEqual(expect.arrayContaining(Object.keys(value)));
    }
    expect(found).toMatchObject({ ephemeral: true, parentId: null, data: { source: 'skyport', name: 'turn.waiting' } });
  });

  it('holds back neither its own client\'s other calls nor the holder\'s', async () => {
    const { first, second, prompts } = await stage();
    void send(second, 'second').catch(() => undefined);
    await second.untilEvent('s1', WAITING);
    const calls: [WireClient, string][] = [
      [second, 'session.abort'], [second, 'session.model.setReasoningEffort'], [second, 'session.name.set'],
      [first, 'session.name.set'], [second, 'session.permissions.handlePendingPermissionRequest'],
    ];
    for (const [client, method] of calls) expect((await client.call(method, S1)).error).toBeUndefined();
    await first.result('session.send', { ...S1, prompt: 'steered', mode: 'immediate' });
    expect(prompts()).toEqual(['first', 'steered']);
  });

  it('that is cancelled is never passed on', async () => {
    const { second, prompts, endTurn, first } = await stage();
    const answer = send(second, 'second', 'the second');
    await second.untilEvent('s1', WAITING);
    second.notify('$/cancelRequest', { id: 'the second' });
    expect((await answer).error?.code).toBe(-32800);
    endTurn();
    await first.result('session.send', { ...S1, prompt: 'third' });
    expect(prompts()).toEqual(['first', 'third']);
  });

  it('whose client leaves is never passed on, and those behind it move up', async () => {
    const { front, second, prompts, endTurn } = await stage();
    const third = await front.client();
    await third.result('session.resume', S1);
    void send(second, 'second').catch(() => undefined);
    await second.untilEvent('s1', WAITING);
    const answer = send(third, 'third');
    await third.untilEvent('s1', WAITING);
    second.destroy();
    await until(() => places(third).length === 2);
    expect(places(third)).toEqual([{ place: 2, heldBy: 'alice' }, { place: 1, heldBy: 'alice' }]);
    endTurn();
    await answer;
    expect(prompts()).toEqual(['first', 'third']);
  });

  it('is refused when it has waited for too long', async () => {
    const { second, prompts, later } = await stage({ mode: 'queue', wait: 5_000 });
    const answer = send(second, 'second');
    await second.untilEvent('s1', WAITING);
    later(4_999);
    expect(prompts()).toEqual(['first']);
    later(1);
    expect((await answer).error).toMatchObject({
      code: -32065, message: 'Session is in use by alice; waited 5000 ms in vain',
      data: { name: 'SKYPORT_SESSION_IN_USE', retryable: true },
    });
  });

  it('is refused when Skyport stops', async () => {
    const { front, second, later } = await stage();
    const answer = send(second, 'second');
    await second.untilEvent('s1', WAITING);
    front.services.draining = true;
    later(0);
    expect((await answer).error?.message).toBe('SERVER_SHUTTING_DOWN');
  });

  it('is refused when the session is deleted meanwhile', async () => {
    const { first, second, prompts } = await stage();
    const answer = send(second, 'second');
    await second.untilEvent('s1', WAITING);
    await first.result('session.delete', S1);
    expect((await answer).error?.message).toBe('Session not found for sessionId: s1');
    expect(prompts()).toEqual(['first']);
  });

  it('is refused at once where writers are rejected', async () => {
    const { second, prompts } = await stage({ mode: 'reject', wait: 1_000 });
    const { error } = await send(second, 'second');
    expect(error).toMatchObject({ code: -32065, message: 'Session is in use by alice' });
    expect([prompts(), places(second)]).toEqual([['first'], []]);
  });

  it('is passed on at once where writers are free', async () => {
    const { second, prompts } = await stage({ mode: 'free', wait: 1_000 });
    expect((await send(second, 'second')).error).toBeUndefined();
    expect([prompts(), places(second)]).toEqual([['first', 'second'], []]);
  });

  it('sees nothing of the end of the turn that it waits for, and all of its own', async () => {
    const { first, second, endTurn } = await stage();
    const idles = (client: WireClient) => client.events('s1').filter(({ type }) => type === 'session.idle').length;
    const answer = send(second, 'second');
    await second.untilEvent('s1', WAITING);
    endTurn();
    await answer;
    await until(() => idles(first) === 1);
    expect(idles(second)).toBe(0);
    endTurn();
    await until(() => idles(first) === 2 && idles(second) === 1);
  });
});

describe('a session that only one client uses', () => {
  it('keeps no lock when its turn is over', async () => {
    const { front, endTurn, later } = await stage();
    const session = front.services.directory.get('s1')!;
    expect(session.turnLock).toBeDefined();
    endTurn();
    await until(() => !session.turn.open && session.turnLock!.free);
    later(0);
    expect(session.turnLock).toBeUndefined();
  });
});
