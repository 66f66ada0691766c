import { describe, expect, it } from 'vitest';
import { scopeOfEachTest } from '../../support/scope.js';
import { until } from '../wire/sockets.js';
import { Front } from './front.js';

const scope = scopeOfEachTest();
const S1 = { sessionId: 's1' };

/** Methods that the server got for the session since the call, in order of arrival. */
function recorded(front: Front): () => string[] {
  const from = front.fake.requests.length;
  return () => front.fake.requests.slice(from).filter(({ params }) => params['sessionId'] === 's1').map(({ method }) => method);
}

describe('after a lost link', () => {
  it('the next call attaches its client again first', async () => {
    const front = await Front.open(scope);
    const client = await front.owner('s1');
    await front.loseLinks();
    const methods = recorded(front);
    expect((await client.call('session.getMessages', S1)).error).toBeUndefined();
    expect(methods()).toEqual(['session.resume', 'session.getMessages']);
  });

  it('calls that come while the client is being attached wait for it', async () => {
    const front = await Front.open(scope);
    const client = await front.owner('s1');
    await front.loseLinks();
    const methods = recorded(front);
    const gate = front.fake.gate('session.resume');
    const calls = [client.call('session.getMessages', S1)];
    await gate.until(1);
    calls.push(client.call('session.plan.read', S1), client.call('session.name.set', { ...S1, name: 'n' }));
    await client.result('ping');
    expect(methods()).toEqual(['session.resume']);
    gate.openUp();
    expect((await Promise.all(calls)).map(({ error }) => error)).toEqual([undefined, undefined, undefined]);
    expect(methods().sort()).toEqual(['session.getMessages', 'session.name.set', 'session.plan.read', 'session.resume']);
  });

  it('all who were attached hear events again, each by a link of its own, however their calls coincide', async () => {
    const front = await Front.open(scope, { links: { base: 2, max: 8 } });
    const clients = [await front.owner('s1')];
    for (let n = 0; n < 3; n++) {
      const client = await front.client();
      await client.result('session.resume', S1);
      clients.push(client);
    }
    await front.loseLinks();
    await Promise.all(clients.map((client) => client.result('session.getMessages', S1)));
    expect(new Set(front.fake.attachedTo('s1')).size).toBe(4);
    front.fake.event('s1', 'heard');
    await Promise.all(clients.map((client) => client.untilEvent('s1', 'heard')));
    expect(clients.map((client) => client.events('s1').filter(({ type }) => type === 'heard').length)).toEqual([1, 1, 1, 1]);
  });

  it('a resume that comes while a read brings the client back does not attach it twice', async () => {
    const front = await Front.open(scope);
    const client = await front.owner('s1');
    await front.loseLinks();
    const gate = front.fake.gate('session.resume');
    const read = client.call('session.getMessages', S1);
    await gate.until(1);
    const resume = client.call('session.resume', S1);
    gate.openUp();
    expect((await Promise.all([read, resume])).map(({ error }) => error)).toEqual([undefined, undefined]);
    expect(front.fake.attachedTo('s1')).toHaveLength(1);
    expect(front.services.directory.get('s1')!.attachments).toHaveLength(1);
    front.fake.event('s1', 'heard');
    await client.untilEvent('s1', 'heard');
  });
});

describe('a create that cannot be taken back', () => {
  it('goes on when it is cancelled, for a second one of the same id may be waiting behind it', async () => {
    const front = await Front.open(scope);
    const client = await front.client();
    const gate = front.fake.gate('connect');
    const first = client.call('session.create', S1, 'first');
    await gate.until(1);
    client.notify('$/cancelRequest', { id: 'first' });
    const second = client.call('session.create', S1, 'second');
    await client.result('ping');
    gate.openUp();
    expect((await Promise.all([first, second])).map(({ error }) => error)).toEqual([undefined, undefined]);
    const methods = front.fake.requests.map(({ method }) => method).filter((method) => /create|resume/.test(method));
    expect(methods).toEqual(['session.create', 'session.resume']);
    expect(front.services.directory.get('s1')).toMatchObject({ creating: false, deleted: false });
  });

  it('that failed is forgotten, with all counts', async () => {
    const front = await Front.open(scope);
    const client = await front.client();
    front.fake.answer('session.create', () => ({ error: { code: -32603, message: 'no' } }));
    expect((await client.call('session.create', S1)).error?.message).toBe('no');
    await until(() => front.registry.records.size === 0);
    const { directory } = front.services;
    expect([directory.size, directory.loaded('b1'), [...directory.live()]]).toEqual([0, 0, []]);
  });

  it('that was lost with its link is forgotten, with all counts', async () => {
    const front = await Front.open(scope);
    const client = await front.client();
    const gate = front.fake.gate('session.create');
    const create = client.call('session.create', S1);
    await gate.until(1);
    front.fake.dropConnections();
    expect((await create).error?.code).toBe(-32072);
    await until(() => front.registry.records.size === 0);
    const { directory } = front.services;
    expect([directory.size, directory.loaded('b1'), [...directory.live()]]).toEqual([0, 0, []]);
  });

  it('that the registry refuses is answered so, and nobody\'s', async () => {
    const front = await Front.open(scope);
    const client = await front.client();
    front.registry.failing = true;
    expect((await client.call('session.create', S1)).error?.code).toBe(-32075);
    expect(front.services.directory.size).toBe(0);
    expect(front.fake.requests.some(({ method }) => method === 'session.create')).toBe(false);
  });
});

describe('a turn', () => {
  it('whose session is deleted while its send is unanswered is not counted any more', async () => {
    const front = await Front.open(scope);
    const client = await front.owner('s1');
    const gate = front.fake.gate('session.send');
    const send = client.call('session.send', { ...S1, prompt: 'x' });
    await gate.until(1);
    const session = front.services.directory.get('s1')!;
    await front.services.directory.remove(session);
    gate.openUp();
    await send;
    expect([front.services.directory.turnsOpen('b1'), session.turn.open]).toEqual([0, false]);
  });
});
