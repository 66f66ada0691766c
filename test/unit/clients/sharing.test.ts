import { describe, expect, it } from 'vitest';
import { accessOf, changeShares, reviewAll } from '../../../proxy/clients/sharing.js';
import type { Principal } from '../../../proxy/identity/principal.js';
import { Sharing } from '../../../proxy/sessions/shares.js';
import { scopeOfEachTest } from '../../support/scope.js';
import type { WireClient } from '../../support/wire-client.js';
import { sessionOf } from '../sessions/cast.js';
import { until } from '../wire/sockets.js';
import { Front, tokensOf } from './front.js';

const scope = scopeOfEachTest();
const S1 = { sessionId: 's1' };
const BOB = { users: { bob: 'writer' }, roles: {} } as const;

/** alice's session s1, and bob. */
async function open(): Promise<{ front: Front; alice: WireClient; bob: WireClient }> {
  const front = await Front.open(scope, { logins: { tokens: tokensOf('alice', 'bob') } });
  const [alice, bob] = [await front.client('token-of-alice'), await front.client('token-of-bob')];
  await alice.result('session.create', S1);
  return { front, alice, bob };
}

const session = (front: Front) => front.services.directory.get('s1')!;

describe('access', () => {
  const { session: shared } = sessionOf('user-alice-1', { shares: { users: { app: 'writer', bob: 'reader' }, roles: { service: 'writer', team: 'writer' } } });
  const sharing = new Sharing([{ pattern: /^user-/, users: ['app'], roles: ['service'], as: 'writer' }]);
  const principal = (user: string, more: Partial<Principal> = {}): Principal => ({ user, roles: new Set(['user']), source: 'token', key: user, ...more });

  it('of the owner is everything, of others what is shared with them', () => {
    expect(accessOf(principal('alice'), shared, { sharing })).toBe('owner');
    expect(accessOf(principal('bob'), shared, { sharing })).toBe('reader');
    expect(accessOf(principal('carol'), shared, { sharing })).toBeUndefined();
  });

  it('of a service comes from its pattern alone, whatever is shared with its name and roles', () => {
    const service = (pattern: RegExp) => principal('app', { roles: new Set(['service', 'team']), sessionPattern: pattern, key: 'service:app' });
    expect(accessOf(service(/^user-(?<user>\w+)-/), shared, { sharing })).toBe('owner');
    expect(accessOf(service(/^other-(?<user>\w+)-/), shared, { sharing })).toBeUndefined();
  });
});

describe('a change of shares', () => {
  it('is in the registry when it is done', async () => {
    const { front } = await open();
    await changeShares(front.services, session(front), BOB);
    expect(front.registry.load().find(({ id }) => id === 's1')!.shares).toEqual(BOB);
  });

  it('that the registry refuses leaves everything as it was', async () => {
    const { front, bob } = await open();
    front.registry.failing = true;
    await expect(changeShares(front.services, session(front), BOB)).rejects.toThrow('disk full');
    expect(session(front).shares).toBeUndefined();
    expect((await bob.call('session.resume', S1)).error?.message).toMatch(/Session not found/);
  });

  it('refuses the calls that wait for their turn', async () => {
    const { front, alice, bob } = await open();
    await changeShares(front.services, session(front), BOB);
    const held = front.fake.gate('session.send');
    const first = alice.call('session.send', { ...S1, prompt: 'first' });
    await held.until(1);
    const second = bob.call('session.name.set', { ...S1, name: 'bobs' });
    await bob.result('ping');
    await changeShares(front.services, session(front), undefined);
    expect((await second).error?.message).toMatch(/Session not found/);
    held.openUp();
    await first;
    expect(front.fake.requests.filter(({ method }) => method === 'session.name.set')).toEqual([]);
  });

  it('ends an attach that is under way', async () => {
    const { front, bob } = await open();
    await changeShares(front.services, session(front), BOB);
    const held = front.fake.gate('session.resume');
    const resume = bob.call('session.resume', S1);
    await held.until(1);
    await changeShares(front.services, session(front), undefined);
    held.openUp();
    expect((await resume).error?.message).toMatch(/Session not found/);
    await until(() => session(front).attachments.length === 1);
  });

  it('tells who is cut off, and gives him nothing more', async () => {
    const { front, alice, bob } = await open();
    await changeShares(front.services, session(front), BOB);
    await bob.result('session.resume', S1);
    await changeShares(front.services, session(front), undefined);
    await bob.untilEvent('s1', 'session.idle');
    expect(bob.events('s1').map(({ type }) => type)).toEqual(['session.error', 'session.idle']);
    front.fake.event('s1', 'assistant.message');
    await alice.untilEvent('s1', 'assistant.message');
    await bob.result('ping');
    expect(bob.events('s1')).toHaveLength(2);
  });

  it('leaves the owner and other sharers alone', async () => {
    const { front, alice } = await open();
    await changeShares(front.services, session(front), BOB);
    await changeShares(front.services, session(front), undefined);
    await alice.result('ping');
    expect(alice.events('s1')).toEqual([]);
    expect(session(front).attachments).toHaveLength(1);
  });
});

describe('a reload', () => {
  it('that takes a rule away ends what rested on it', async () => {
    const { front, bob } = await open();
    front.services.sharing = new Sharing([{ pattern: /^s/, users: ['bob'], roles: [], as: 'reader' }]);
    await bob.result('session.resume', S1);
    front.services.sharing = new Sharing();
    reviewAll(front.services);
    await bob.untilEvent('s1', 'session.idle');
    expect((await bob.call('session.getMessages', S1)).error?.message).toMatch(/Session not found/);
  });
});

describe('a question of the server', () => {
  it('that comes to a reader is refused in his place', async () => {
    const { front, bob } = await open();
    await changeShares(front.services, session(front), { users: { bob: 'reader' }, roles: {} });
    await bob.result('session.resume', S1);
    const [, his] = front.fake.attachedTo('s1');
    front.fake.askOn(his!, 'userInput.request', { ...S1, question: 'who?' });
    await until(() => front.fake.answers.some(({ connection, text }) => connection === his && text.includes('SKYPORT_READ_ONLY')));
    await bob.result('ping');
    expect(bob.requests()).toEqual([]);
  });
});
