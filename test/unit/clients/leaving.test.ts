import { describe, expect, it } from 'vitest';
import { PARTING, Parting } from '../../../proxy/stopping.js';
import { scopeOfEachTest } from '../../support/scope.js';
import type { WireClient } from '../../support/wire-client.js';
import { until } from '../wire/sockets.js';
import { Front } from './front.js';

const scope = scopeOfEachTest();
const S1 = { sessionId: 's1' };
const TOOLS = { tools: [{ name: 'deploy' }] };

/** alice and another client of hers on one session. */
async function shared(front: Front): Promise<[WireClient, WireClient]> {
  const first = await front.owner('s1', TOOLS);
  const second = await front.client();
  await second.result('session.resume', S1);
  return [first, second];
}

/** Waits until everything that the server has sent a client of a session so far has come. */
async function hears(front: Front, client: WireClient, type: string): Promise<void> {
  front.fake.event('s1', type);
  await client.untilEvent('s1', type);
}

describe('a client that detaches from a session that others share', () => {
  it('and resumes it gets the link back on which it is registered: elsewhere its own tools would be a clash', async () => {
    const front = await Front.open(scope);
    const [client] = await shared(front);
    const before = front.fake.attachedTo('s1');
    await client.result('session.detach', S1);
    await client.result('session.resume', { ...S1, ...TOOLS });
    expect(front.fake.attachedTo('s1')).toEqual(before);
    await hears(front, client, 'again');
  });

  it('may come and go as often as it likes', async () => {
    const front = await Front.open(scope, { links: { base: 1, max: 3 } });
    const [client, other] = await shared(front);
    for (let n = 0; n < 10; n++) {
      await client.result('session.detach', S1);
      await client.result('session.resume', S1);
    }
    await Promise.all([hears(front, client, 'tenth'), other.untilEvent('s1', 'tenth')]);
  });

  it('keeps its claim when the server refuses to let it back', async () => {
    const front = await Front.open(scope);
    const [client] = await shared(front);
    const [mine] = front.fake.attachedTo('s1');
    await client.result('session.detach', S1);
    front.fake.answer('session.resume', () => ({ error: { code: -32603, message: 'not now' } }));
    expect((await client.call('session.resume', S1)).error).toBeDefined();
    expect((await client.call('session.resume', S1)).error).toBeDefined();
    const resumes = front.fake.requests.filter(({ method }) => method === 'session.resume').slice(-2);
    expect(resumes.map(({ connection }) => connection)).toEqual([mine, mine]);
  });

  it('and closes has its link closed, if it was alone there', async () => {
    const front = await Front.open(scope);
    const [client, other] = await shared(front);
    const [mine] = front.fake.attachedTo('s1');
    await client.result('session.detach', S1);
    const open = front.fake.open;
    await client.stop();
    await until(() => front.fake.open === open - 1);
    await hears(front, other, 'still here');
    expect(front.fake.attachedTo('s1')).not.toContain(mine);
  });

  it('may be followed by as many others as like to', async () => {
    const front = await Front.open(scope, { links: { base: 1, max: 3 } });
    const stays = await front.owner('s1');
    await front.owner('s2');
    await front.owner('s3');
    for (let n = 0; n < 6; n++) {
      const visitor = await front.client();
      await visitor.result('session.resume', { ...S1, ...TOOLS });
      await visitor.result('session.detach', S1);
      await visitor.stop();
    }
    await hears(front, stays, 'all gone');
  });
});

describe('a detach with a resume right behind it', () => {
  it('leaves the client attached, on the server and in Skyport', async () => {
    const front = await Front.open(scope);
    const [client] = await shared(front);
    const answers = await Promise.all([client.call('session.detach', S1), client.call('session.resume', S1)]);
    expect(answers.map(({ error }) => error)).toEqual([undefined, undefined]);
    await hears(front, client, 'after both');
  });

  it('does so when nobody else is attached, too', async () => {
    const front = await Front.open(scope);
    const client = await front.owner('s1');
    await client.result('session.send', { ...S1, prompt: 'used' });
    await client.untilEvent('s1', 'session.idle');
    const answers = await Promise.all([client.call('session.detach', S1), client.call('session.resume', S1)]);
    expect(answers.map(({ error }) => error)).toEqual([undefined, undefined]);
    await hears(front, client, 'after both');
  });
});

describe('a client of a Skyport that stops', () => {
  it('gets the answers that it waits for, has a moment to take them in, then gets the reason and the end', async () => {
    const front = await Front.open(scope);
    const client = await front.owner('s1');
    const gate = front.fake.gate('session.getMessages');
    const answer = client.call('session.getMessages', S1);
    await gate.until(1);
    const parting = new Parting();
    parting.look(front.services.roster.all(), 1_000);
    gate.pass();
    expect((await answer).result).toEqual({ success: true });
    parting.look(front.services.roster.all(), 2_000);
    parting.look(front.services.roster.all(), 2_000 + PARTING - 1);
    expect((await client.call('session.name.get', S1)).error).toBeUndefined();
    parting.look(front.services.roster.all(), 2_000 + PARTING);
    await client.closed;
    expect(client.messages.at(-1)).toMatchObject({ id: null, error: { code: -32000, message: 'SERVER_SHUTTING_DOWN' } });
  });

  it('leaves also when it asks for something more with each answer', async () => {
    const front = await Front.open(scope);
    const client = await front.owner('s1');
    const gate = front.fake.gate('session.getMessages');
    const first = client.call('session.getMessages', S1);
    await gate.until(1);
    const parting = new Parting();
    parting.look(front.services.roster.all(), 1_000);
    gate.pass();
    await first;
    const second = client.call('session.getMessages', S1).catch((error: Error) => error.message);
    await gate.until(2);
    parting.look(front.services.roster.all(), 2_000);
    parting.look(front.services.roster.all(), 2_000 + PARTING);
    expect(await second).toMatch(/^connection closed/);
    gate.openUp();
  });

  it('leaves at once when it waits for nothing', async () => {
    const front = await Front.open(scope);
    const client = await front.client();
    new Parting().look(front.services.roster.all(), 1_000);
    await client.closed;
    expect(client.messages.at(-1)).toMatchObject({ error: { message: 'SERVER_SHUTTING_DOWN' } });
  });
});

describe('a client that disconnects', () => {
  it('while its create is under way leaves no session behind', async () => {
    const front = await Front.open(scope);
    const gate = front.fake.gate('session.create');
    const client = await front.client();
    client.sendText('{"jsonrpc":"2.0","id":1,"method":"session.create","params":{"sessionId":"s1"}}');
    await gate.until(1);
    await client.stop();
    await until(() => front.services.roster.size === 0);
    gate.openUp();
    await until(() => front.services.directory.size === 0);
    expect(front.services.directory.loaded('b1')).toBe(0);
    await until(() => front.fake.attachedTo('s1').length === 0);
  });

  it('while a link is opened for its create leaves no session behind', async () => {
    const front = await Front.open(scope);
    const client = await front.client();
    const gate = front.fake.gate('connect');
    client.sendText('{"jsonrpc":"2.0","id":1,"method":"session.create","params":{"sessionId":"s1"}}');
    await gate.until(1);
    await client.stop();
    await until(() => front.services.roster.size === 0);
    gate.openUp();
    await until(() => front.services.directory.size === 0 && front.registry.records.size === 0);
    expect(front.fake.requests.some(({ method }) => method === 'session.create')).toBe(false);
  });
});
