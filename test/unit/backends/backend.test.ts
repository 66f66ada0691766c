import { describe, expect, it } from 'vitest';
import type { Link } from '../../../proxy/backends/link.js';
import { PLAIN } from '../../../proxy/backends/profile.js';
import { channels, type BackendVersion } from '../../../proxy/channels.js';
import { FakeServer } from '../../support/fake-server.js';
import { scopeOfEachTest } from '../../support/scope.js';
import { sessionOf } from '../sessions/cast.js';
import { until } from '../wire/sockets.js';
import { nameOf } from './peer.js';
import { attachTo, linkOf, newBackend, profile, serve, SETTINGS, strictDoor } from './service.js';

const scope = scopeOfEachTest();

/** Versions that backends have announced since the call. */
function versions(): BackendVersion[] {
  const seen: BackendVersion[] = [];
  const subscriber = (version: BackendVersion): void => void seen.push(version);
  channels.backendVersion.subscribe(subscriber);
  scope.after(() => channels.backendVersion.unsubscribe(subscriber));
  return seen;
}

const QUICK = { ...SETTINGS.health, timeout: 30 };

describe('a backend', () => {
  it('is up once its server has answered, and tells so', async () => {
    const { backend, news } = await serve(scope, {}, { token: 'secret', version: '1.2.3' });
    expect([backend.version, backend.protocolVersion, backend.eligible, news.ups]).toEqual(['1.2.3', 3, true, 1]);
  });

  it('is not up for a server that refuses its token', async () => {
    const fake = scope.own(await FakeServer.start({ token: 'secret' }));
    const { backend, news } = newBackend();
    scope.after(() => backend.close('test over'));
    backend.setAddress({ host: '127.0.0.1', port: fake.port, token: 'wrong' }, 'configured');
    await until(() => news.downs.length > 0);
    expect([backend.up, backend.lastError]).toEqual([false, 'connect: AUTHENTICATION_FAILED']);
    expect(nameOf(await backend.links.borrow(PLAIN))).toBe('SKYPORT_BACKEND_UNAVAILABLE');
  });

  it('that drains or was removed is up, and gets nothing new', async () => {
    const { backend } = await serve(scope);
    backend.draining = true;
    expect([backend.up, backend.eligible]).toEqual([true, false]);
    backend.draining = false;
    backend.removed = true;
    expect([backend.up, backend.eligible]).toEqual([true, false]);
  });

  it('passes on what the server tells everybody, once a link, and tells the control link apart', async () => {
    const { backend, news, fake } = await serve(scope);
    linkOf(await backend.links.borrow(PLAIN));
    fake.broadcast('session.lifecycle', { sessionId: 's1' });
    await until(() => news.broadcasts.length === 2);
    expect(news.broadcasts.map(({ control }) => control).sort()).toEqual([false, true]);
  });

  it('counts the bytes of links that are closed, too', async () => {
    const { backend } = await serve(scope);
    const link = linkOf(await backend.links.borrow(PLAIN));
    const before = backend.traffic();
    link.close('idle');
    await until(() => backend.links.count === 0);
    expect(backend.traffic()).toEqual(before);
    expect(before.framesOut).toBeGreaterThan(0);
  });
});

describe('the links of a backend', () => {
  it('grow to the base, so that sessions of different clients are spread', async () => {
    const { backend } = await serve(scope, { links: { base: 3, max: 8 } });
    const links = new Set<unknown>();
    for (let n = 1; n <= 7; n++) links.add(await attachTo(backend, sessionOf(`s${n}`).session));
    expect([links.size, backend.links.count, backend.links.attached]).toEqual([3, 3, 7]);
    expect([...links].map((link) => (link as Link).attached).sort()).toEqual([2, 2, 3]);
  });

  it('grow to the base, not beyond, when many come at once', async () => {
    const { backend, fake } = await serve(scope, { links: { base: 3, max: 8 } });
    await Promise.all(Array.from({ length: 20 }, (_, n) => attachTo(backend, sessionOf(`s${n}`).session)));
    expect([backend.links.count, backend.links.attached, fake.open]).toEqual([3, 20, 4]);
  });

  it('are each one attachment\'s of a session, also beyond the base', async () => {
    const { backend } = await serve(scope, { links: { base: 1, max: 4 } });
    const { session } = sessionOf();
    const links = [];
    for (let n = 0; n < 4; n++) links.push(await attachTo(backend, session));
    expect([new Set(links).size, backend.links.count]).toEqual([4, 4]);
  });

  it('are each one attachment\'s of a session when several look for one at the same moment', async () => {
    const { backend } = await serve(scope, { links: { base: 2, max: 8 } });
    const { session } = sessionOf();
    linkOf(await backend.links.borrow(PLAIN));
    const links = await Promise.all([1, 2, 3, 4, 5].map(() => attachTo(backend, session)));
    expect(new Set(links).size).toBe(5);
    expect(links.map((link) => linkOf(link).attached)).toEqual([1, 1, 1, 1, 1]);
  });

  it('never exceed the maximum: who finds none is told so', async () => {
    const { backend, fake } = await serve(scope, { links: { base: 1, max: 3 } });
    const { session } = sessionOf();
    for (let n = 0; n < 3; n++) await attachTo(backend, session);
    expect(await attachTo(backend, session)).toBe('SKYPORT_SESSION_BUSY');
    expect([backend.links.count, fake.open]).toEqual([3, 4]);
  });

  it('never exceed the maximum when many come at once', async () => {
    const { backend, fake } = await serve(scope, { links: { base: 1, max: 3 } });
    const { session } = sessionOf();
    const found = await Promise.all(Array.from({ length: 6 }, () => attachTo(backend, session)));
    expect(found.filter((one) => one === 'SKYPORT_SESSION_BUSY')).toHaveLength(3);
    expect([backend.links.count, fake.open]).toEqual([3, 4]);
  });

  it('that are alone are preferred for a session that is shared: closing one is the clean way to leave', async () => {
    const { backend } = await serve(scope, { links: { base: 1, max: 4 } });
    const { session } = sessionOf();
    await attachTo(backend, session);
    await attachTo(backend, sessionOf('s2').session);
    expect(linkOf(await attachTo(backend, session)).attached).toBe(1);
  });

  it('are borrowed for calls without an attachment, but not the one the session is attached on', async () => {
    const { backend } = await serve(scope, { links: { base: 1, max: 4 } });
    const link = linkOf(await attachTo(backend, sessionOf('s1').session));
    expect(await backend.links.borrow(PLAIN)).toBe(link);
    expect(await backend.links.borrow(PLAIN, 's1')).not.toBe(link);
  });

  it('on which somebody left something are taken at the very last only', async () => {
    const { backend } = await serve(scope, { links: { base: 1, max: 3 } });
    const { session } = sessionOf();
    const left = linkOf(await attachTo(backend, session));
    expect(await attachTo(backend, sessionOf('neighbour').session)).toBe(left);
    await attachTo(backend, session);
    session.attachments[0]!.ended();
    expect([left.free('s1'), left.vacant('s1')]).toEqual([false, true]);
    expect(await attachTo(backend, session)).not.toBe(left);
    expect(await attachTo(backend, session)).toBe(left);
    expect(await attachTo(backend, session)).toBe('SKYPORT_SESSION_BUSY');
  });

  it('on which somebody left something, and nobody else lives, make room for a clean one', async () => {
    const { backend } = await serve(scope, { links: { base: 1, max: 2 } });
    const { session } = sessionOf();
    const left = linkOf(await attachTo(backend, session));
    await attachTo(backend, session);
    session.attachments[0]!.ended();
    expect(linkOf(await attachTo(backend, session)).usable).toBe(true);
    expect(left.usable).toBe(false);
  });

  it('that nobody uses are closed after a while, and not before', async () => {
    const { backend } = await serve(scope);
    const used = linkOf(await attachTo(backend, sessionOf('s1').session));
    const unused = linkOf(await backend.links.acquire(PLAIN, 's2', false, () => undefined));
    expect(unused).not.toBe(used);
    backend.links.closeIdle(unused.idleSince + 999, 1_000);
    expect(unused.usable).toBe(true);
    backend.links.closeIdle(unused.idleSince + 1_001, 1_000);
    expect([used.usable, unused.usable]).toEqual([true, false]);
    await until(() => backend.links.count === 1);
  });

  it('that were closed a moment ago are not handed out', async () => {
    const { backend } = await serve(scope);
    const link = linkOf(await backend.links.borrow(PLAIN));
    link.close('idle');
    const next = linkOf(await backend.links.borrow(PLAIN));
    expect(next).not.toBe(link);
    expect(await next.call('ping', {}, 20_000)).toMatchObject({ ok: true });
  });

  it('cannot be had while the server takes no more connections; one that is there is shared instead', async () => {
    const { backend } = await serve(scope, { links: { base: 4, max: 8 } }, { maxConnections: 2 });
    const first = await attachTo(backend, sessionOf('s1').session);
    expect(await attachTo(backend, sessionOf('s2').session)).toBe(first);
  });
});

describe('clients that tell a server different things', () => {
  const AGENT = profile({ supportedTaskKinds: ['agent'] });
  const named = (name: string) => profile({ clientInfo: { name } });

  it('have links of their own, whose connect says what they told', async () => {
    const { backend, fake } = await serve(scope);
    const links = [await backend.links.borrow(PLAIN), await backend.links.borrow(AGENT), await backend.links.borrow(AGENT)];
    expect([links[1] === links[2], links[0] === links[1]]).toEqual([true, false]);
    expect(fake.requests.filter(({ method }) => method === 'connect').at(-1)!.params).toEqual({ supportedTaskKinds: ['agent'] });
  });

  it('push an unused link of another out, when there is room for no more', async () => {
    const { backend } = await serve(scope, { links: { base: 1, max: 2 } });
    const first = linkOf(await backend.links.borrow(named('a')));
    const used = linkOf(await attachTo(backend, sessionOf().session, named('b')));
    const third = linkOf(await backend.links.borrow(named('c')));
    expect([first.usable, used.usable, third.usable]).toEqual([false, true, true]);
    await until(() => backend.links.count === 2);
  });

  it('push an unused link of another out for an attachment, too', async () => {
    const { backend } = await serve(scope, { links: { base: 1, max: 2 } });
    const first = linkOf(await backend.links.borrow(AGENT));
    linkOf(await attachTo(backend, sessionOf().session, named('b')));
    expect(linkOf(await attachTo(backend, sessionOf('s2').session, named('c'))).profile).toBe(named('c').key);
    expect(first.usable).toBe(false);
  });

  it('share links at last, if they can decode the same tasks', async () => {
    const { backend } = await serve(scope, { links: { base: 1, max: 2 } });
    const first = linkOf(await attachTo(backend, sessionOf('s1').session, named('a')));
    await attachTo(backend, sessionOf('s2').session, AGENT);
    expect(await attachTo(backend, sessionOf('s3').session, named('c'))).toBe(first);
    expect(await backend.links.borrow(named('d'))).toBe(first);
    expect(await backend.handshake(named('e'))).toMatchObject({ ok: true });
    expect(await attachTo(backend, sessionOf('s4').session, profile({ supportedTaskKinds: ['other'] }))).toBe('SKYPORT_SESSION_BUSY');
  });

  it('hear what the server answered to a connect like theirs, from memory when it is known', async () => {
    const { backend, fake } = await serve(scope);
    const asked = fake.requests.length;
    expect(await backend.handshake(PLAIN)).toMatchObject({ ok: true, version: '1.0.85', taskKinds: ['agent', 'shell'] });
    expect([fake.requests.length, backend.links.count]).toEqual([asked, 0]);
    await backend.handshake(AGENT);
    await backend.handshake(AGENT);
    expect(backend.links.count).toBe(1);
  });

  it('hear it however many others there were', async () => {
    const { backend } = await serve(scope, { links: { base: 1, max: 2 } });
    for (let n = 0; n < 300; n++) expect(await backend.handshake(named(`client ${n}`))).toMatchObject({ ok: true });
    expect(await backend.handshake(named('client 0'))).toMatchObject({ ok: true });
    expect(await backend.handshake(named('client 299'))).toMatchObject({ ok: true });
  });

  it('hear the refusal of the server', async () => {
    const { backend, fake } = await serve(scope);
    fake.answer('connect', () => ({ error: { code: -32602, message: 'no such kind' } }));
    expect(await backend.handshake(AGENT)).toEqual({ kind: 'answer', code: -32602, message: 'no such kind' });
    expect(backend.links.count).toBe(0);
  });
});

describe('a backend whose links break', () => {
  it('loses the attachments, and is asked at once whether it is still there', async () => {
    const { backend, news, fake } = await serve(scope);
    const { session } = sessionOf();
    await attachTo(backend, session);
    fake.dropConnections();
    await until(() => backend.links.count === 0);
    expect([session.attachments.length, backend.links.attached]).toEqual([0, 0]);
    await fake.until(({ connection, method }) => connection > 3 && method === 'connect');
    expect([backend.up, news.downs]).toEqual([true, []]);
  });

  it('gives new links at once when its server still listens', async () => {
    const { backend, fake } = await serve(scope);
    linkOf(await backend.links.borrow(PLAIN));
    fake.dropConnections();
    await until(() => backend.links.count === 0);
    expect(linkOf(await backend.links.borrow(PLAIN)).usable).toBe(true);
  });

  it('is down at once when its server has gone, and it did not hang', async () => {
    const { backend, news, fake } = await serve(scope);
    linkOf(await backend.links.borrow(PLAIN));
    await fake.stop();
    await until(() => !backend.up);
    expect(news.downs).toEqual([{ reason: 'ECONNREFUSED', hung: false }]);
    expect(nameOf(await backend.links.borrow(PLAIN))).toBe('SKYPORT_BACKEND_UNAVAILABLE');
  });

  it('is up again when a probe finds the server back', async () => {
    const { backend, news, fake } = await serve(scope);
    const { port } = fake;
    await fake.stop();
    await until(() => !backend.up);
    scope.own(await FakeServer.start({ port }));
    backend.tick(backend.health.nextProbeAt(performance.now()));
    await until(() => backend.up);
    expect(news.ups).toBe(2);
    expect(linkOf(await backend.links.borrow(PLAIN)).usable).toBe(true);
  });

  it('is down with its links closed when the server answers no more, and hangs', async () => {
    const { backend, news, fake } = await serve(scope);
    const link = linkOf(await backend.links.borrow(PLAIN));
    fake.hang();
    backend.update({ ...SETTINGS, health: QUICK });
    backend.tick(backend.health.nextProbeAt(performance.now()));
    await until(() => !backend.up);
    expect(news.downs).toMatchObject([{ hung: true }]);
    expect(link.usable).toBe(false);
  });

  it('stays up while the server is too busy to answer a probe but talks on its other links', async () => {
    const { backend, fake } = await serve(scope);
    linkOf(await backend.links.borrow(PLAIN));
    const talk = setInterval(() => fake.broadcast('session.lifecycle', { type: 'session.updated', sessionId: 's1' }), 5);
    scope.after(() => clearInterval(talk));
    fake.delay('ping', 3_600_000);
    backend.update({ ...SETTINGS, health: { ...SETTINGS.health, timeout: 1_000 } });
    const probe = (): void => backend.tick(backend.health.nextProbeAt(performance.now()));
    probe();
    await until(() => backend.lastError?.startsWith('ping') === true);
    expect(backend.up).toBe(true);
    clearInterval(talk);
    probe();
    await until(() => !backend.up);
  });

  it('is down when the server says that it shuts down', async () => {
    const { backend, news, fake } = await serve(scope);
    fake.answer('session.list', () => ({ error: { code: -32000, message: 'SERVER_SHUTTING_DOWN' } }));
    expect(await linkOf(await backend.links.borrow(PLAIN)).call('session.list', {}, 20_000)).toMatchObject({ ok: false });
    expect([backend.up, news.downs[0]?.reason]).toEqual([false, 'shutting down']);
  });

  it('stays in service whatever names the clients give their things', async () => {
    const { backend, fake } = await serve(scope);
    fake.answer('session.agent.select', ({ params }) => ({ error: { code: -32603, message: `Custom agent '${String(params['name'])}' not found` } }));
    await linkOf(await backend.links.borrow(PLAIN)).call('session.agent.select', { name: 'SERVER_SHUTTING_DOWN' }, 20_000);
    expect(backend.up).toBe(true);
  });
});

describe('another address', () => {
  it('ends what was attached at the old one', async () => {
    const { backend } = await serve(scope);
    const link = linkOf(await attachTo(backend, sessionOf().session));
    const next = scope.own(await FakeServer.start({ version: '2.0.0' }));
    backend.setAddress({ host: '127.0.0.1', port: next.port }, 'started');
    expect([backend.up, link.usable]).toEqual([false, false]);
    await until(() => backend.up);
    expect(backend.version).toBe('2.0.0');
    linkOf(await backend.links.borrow(PLAIN));
    expect(next.open).toBe(2);
  });

  it('that is the same one ends nothing', async () => {
    const { backend, fake } = await serve(scope);
    const link = linkOf(await attachTo(backend, sessionOf().session));
    backend.setAddress({ host: '127.0.0.1', port: fake.port, token: undefined }, 'started');
    expect([backend.up, link.usable]).toEqual([true, true]);
  });

  it('that is none takes it out of service; a process that has ended does not hang', async () => {
    const { backend, news } = await serve(scope);
    const link = linkOf(await backend.links.borrow(PLAIN));
    backend.setAddress(undefined, 'exited with 1');
    expect([backend.up, link.usable, backend.lastError]).toEqual([false, false, 'exited with 1']);
    expect(news.downs).toEqual([{ reason: 'exited with 1', hung: false }]);
  });

  it('makes the answer of the old server count for nothing', async () => {
    const fake = scope.own(await FakeServer.start());
    const gate = fake.gate('connect');
    const { backend, news } = newBackend();
    scope.after(() => backend.close('test over'));
    backend.setAddress({ host: '127.0.0.1', port: fake.port }, 'started');
    await gate.until(1);
    backend.setAddress(undefined, 'exited with 1');
    gate.openUp();
    await until(() => fake.open === 0);
    expect([backend.up, backend.version, news.ups]).toEqual([false, undefined, 0]);
  });
});

describe('a backend that is closed', () => {
  it('leaves no connection behind, also not one that was just being opened', async () => {
    const { backend, fake } = await serve(scope);
    linkOf(await backend.links.borrow(PLAIN));
    const gate = fake.gate('connect');
    const late = attachTo(backend, sessionOf().session, profile({ clientInfo: { name: 'late' } }));
    await gate.until(1);
    backend.close('removed');
    gate.openUp();
    expect(await late).toContain('backend is down');
    await until(() => fake.open === 0);
    expect(backend.up).toBe(false);
  });
});

describe('a new version', () => {
  it('is probed before it is nudged', async () => {
    const seen = versions();
    await serve(scope, {}, { version: '1.0.85' });
    expect(seen).toEqual([{ backend: 'b1', version: '1.0.85', protocolVersion: 3, nudge: true }]);
  });

  it('that breaks on more header lines is not nudged, and works', async () => {
    const seen = versions();
    const fake = scope.own(await FakeServer.start());
    const port = await strictDoor(scope, fake.port);
    const { backend } = newBackend();
    scope.after(() => backend.close('test over'));
    backend.setAddress({ host: '127.0.0.1', port }, 'configured');
    await until(() => backend.up);
    expect(seen).toMatchObject([{ nudge: false }]);
    const link = linkOf(await backend.links.borrow(PLAIN));
    for (let n = 0; n < 5; n++) expect(await link.call('ping', {}, 20_000)).toMatchObject({ ok: true });
    expect(link.usable).toBe(true);
  });

  it('is probed once, however often the server starts again', async () => {
    const seen = versions();
    const { backend, fake } = await serve(scope);
    const { port } = fake;
    await fake.stop();
    await until(() => !backend.up);
    scope.own(await FakeServer.start({ port }));
    backend.tick(backend.health.nextProbeAt(performance.now()));
    await until(() => backend.up);
    expect(seen).toHaveLength(1);
  });

  it('behind the same name is noticed, and what the old one answered forgotten', async () => {
    const seen = versions();
    const { backend, fake } = await serve(scope);
    const { port } = fake;
    const telling = profile({ clientInfo: { name: 'a' } });
    await backend.handshake(telling);
    await fake.stop();
    await until(() => !backend.up);
    scope.own(await FakeServer.start({ port, version: '1.1.0' }));
    backend.tick(backend.health.nextProbeAt(performance.now()));
    await until(() => backend.up);
    expect(seen.map(({ version }) => version)).toEqual(['1.0.85', '1.1.0']);
    expect(await backend.handshake(PLAIN)).toMatchObject({ version: '1.1.0' });
    expect(await backend.handshake(telling)).toMatchObject({ version: '1.1.0' });
  });
});
