import { describe, expect, it } from 'vitest';
import { PLAIN } from '../../../proxy/backends/profile.js';
import type { Served, SessionFileSystem } from '../../../proxy/backends/provider.js';
import { channels, type BackendUnusable } from '../../../proxy/channels.js';
import { FakeServer, type FakeAnswer } from '../../support/fake-server.js';
import { scopeOfEachTest } from '../../support/scope.js';
import { until } from '../wire/sockets.js';
import { attachTo, linkOf, newBackend, serve, SETTINGS } from './service.js';
import { sessionOf } from '../sessions/cast.js';
import { linkPair } from './peer.js';

const scope = scopeOfEachTest();

interface Asked {
  readonly from: Served;
  readonly method: string;
  readonly params: unknown;
}

/** Answers every request with its own number, when it is told to. */
class Files implements SessionFileSystem {
  readonly statePath = '/state';
  readonly asked: Asked[] = [];
  readonly answers: (() => void)[] = [];

  answer(from: Served, method: string, params: unknown): Promise<object> {
    const number = this.asked.push({ from, method, params });
    return new Promise((resolve) => this.answers.push(() => resolve({ result: { number } })));
  }
}

/** How a real server answers the question where it works (runtime 1.0.85). */
function worksIn(directory: string): (request: { params: { readonly [name: string]: unknown } }) => FakeAnswer {
  return ({ params }) => ({
    error: { code: -32603, message: `Request plugins.install failed with message: Local plugin path does not exist: ${directory}/${String(params.source).slice(2)}` },
  });
}

const TAKEN = 'Request sessionFs.setProvider failed with message: Another client is already the session filesystem provider.';
const ACTIVE = 'Request sessionFs.setProvider failed with message: Cannot set session filesystem provider while sessions are active. Call sessionFs.setProvider before creating any sessions.';

function refusing(message: string, code = -32603): () => FakeAnswer {
  return () => ({ error: { code, message } });
}

/** A backend that cannot come up. */
async function refused(answer: () => FakeAnswer) {
  const fake = scope.own(await FakeServer.start());
  fake.answer('sessionFs.setProvider', answer);
  const { backend, news } = newBackend(QUICK, new Files());
  scope.after(() => backend.close('test over'));
  backend.setAddress({ host: '127.0.0.1', port: fake.port }, 'configured');
  await until(() => news.downs.length > 0);
  return { backend, news, fake };
}

const QUICK = { health: { ...SETTINGS.health, interval: 1 } };

describe('a backend whose sessions\' state Skyport keeps', () => {
  it('is up only when its server has taken Skyport for its file system, on the control link', async () => {
    const fake = scope.own(await FakeServer.start());
    const gate = fake.gate('sessionFs.setProvider');
    const { backend } = newBackend(QUICK, new Files());
    scope.after(() => backend.close('test over'));
    backend.setAddress({ host: '127.0.0.1', port: fake.port, workingDirectory: '/srv/work' }, 'configured');
    const request = await fake.until(({ method }) => method === 'sessionFs.setProvider');
    for (let n = 0; n < 5; n++) backend.tick(performance.now() + n * 10);
    expect([backend.up, backend.incarnation, fake.open]).toEqual([false, undefined, 1]);
    expect(request.params).toEqual({ initialCwd: '/srv/work', sessionStatePath: '/state', conventions: 'posix' });
    gate.openUp();
    await until(() => backend.up);
    expect([backend.incarnation, fake.requests.filter(({ method }) => method === 'sessionFs.setProvider').length]).toEqual([1, 1]);
  });

  it.each(['/srv/some work', ''])('tells its server to work where it works already: "%s"', async (directory) => {
    const fake = scope.own(await FakeServer.start());
    fake.answer('plugins.install', worksIn(directory));
    const { backend } = newBackend({}, new Files());
    scope.after(() => backend.close('test over'));
    backend.setAddress({ host: '127.0.0.1', port: fake.port }, 'configured');
    await until(() => backend.up);
    const { params } = await fake.until(({ method }) => method === 'sessionFs.setProvider');
    expect(params.initialCwd).toBe(directory === '' ? '/' : directory);
  });

  it('has its server\'s requests answered under their own ids, in whatever order the answers come', async () => {
    const files = new Files();
    const { fake } = await serve(scope, {}, {}, files);
    const first = fake.askOn(1, 'sessionFs.readFile', { sessionId: 's1', path: '/state/a' });
    const second = fake.askOn(1, 'sessionFs.appendFile', { sessionId: 's1', path: '/state/b', content: 'ä\n' });
    await until(() => files.asked.length === 2);
    expect(files.asked).toEqual([
      { from: { name: 'b1', backend: expect.any(Number), incarnation: 1 }, method: 'sessionFs.readFile', params: { sessionId: 's1', path: '/state/a' } },
      { from: { name: 'b1', backend: expect.any(Number), incarnation: 1 }, method: 'sessionFs.appendFile', params: { sessionId: 's1', path: '/state/b', content: 'ä\n' } },
    ]);
    files.answers[1]!();
    await until(() => fake.answers.length === 1);
    files.answers[0]!();
    await until(() => fake.answers.length === 2);
    expect(fake.answers.map(({ connection, text }) => [connection, JSON.parse(text) as object])).toEqual([
      [1, { jsonrpc: '2.0', id: second.id, result: { number: 2 } }], [1, { jsonrpc: '2.0', id: first.id, result: { number: 1 } }],
    ]);
  });

  it('sends the answer that is there at once under the id of its request', async () => {
    const files: SessionFileSystem = { statePath: '/state', answer: (_from, _method, params) => ({ result: { params } }) };
    const { fake } = await serve(scope, {}, {}, files);
    const request = fake.askOn(1, 'sessionFs.readFile', { sessionId: 's1', path: '/state/a' });
    await until(() => fake.answers.length === 1);
    expect(JSON.parse(fake.answers[0]!.text)).toEqual({ jsonrpc: '2.0', id: request.id, result: { params: { sessionId: 's1', path: '/state/a' } } });
  });

  it('has them answered on the control link only', async () => {
    const files = new Files();
    const { backend, fake } = await serve(scope, {}, {}, files);
    linkOf(await backend.links.borrow(PLAIN));
    const other = fake.requests.at(-1)!.connection;
    fake.askOn(other, 'sessionFs.readFile', { sessionId: 's1', path: '/state/a' });
    await until(() => fake.answers.length === 1);
    expect(files.asked).toEqual([]);
    expect(JSON.parse(fake.answers[0]!.text)).toMatchObject({ error: { code: -32601 } });
  });

  it('is lost at once with its control link: no link stays, and its server is spent', async () => {
    const { backend, news, fake } = await serve(scope, {}, {}, new Files());
    await attachTo(backend, sessionOf().session);
    fake.answer('sessionFs.setProvider', refusing(ACTIVE));
    fake.drop(1);
    await until(() => news.downs.length === 1);
    expect([backend.up, backend.incarnation, news.downs[0]!.hung, news.downs[0]!.reason]).toEqual([
      false, undefined, false, expect.stringContaining('its control link, which carries the sessions\' state, is lost'),
    ]);
    await until(() => news.spent.length === 1 && backend.links.count === 0);
    expect(backend.lastError).toContain('restart the CLI server');
  });

  it('is another incarnation after its server was restarted', async () => {
    const { backend, news, fake } = await serve(scope, QUICK, {}, new Files());
    fake.drop(1);
    await until(() => news.downs.length === 1);
    await until(() => {
      backend.tick(performance.now());
      return backend.up;
    });
    expect([backend.incarnation, backend.lastError]).toEqual([2, undefined]);
  });

  it('keeps its control link while it hangs, so that it is of use again when it goes on', async () => {
    const files = new Files();
    const { backend, news, fake } = await serve(scope, { health: { ...SETTINGS.health, interval: 1, timeout: 500 } }, {}, files);
    linkOf(await backend.links.borrow(PLAIN));
    fake.hang();
    await until(() => {
      backend.tick(performance.now());
      return news.downs.length === 1;
    });
    expect(news.downs[0]!.hung).toBe(true);
    await until(() => backend.links.count === 0 && fake.open === 1);
    fake.recover();
    await until(() => {
      backend.tick(performance.now());
      return backend.up;
    });
    expect([backend.incarnation, fake.requests.filter(({ method }) => method === 'sessionFs.setProvider').length]).toEqual([1, 1]);
  });

  it('does not look hung while its server asks for files on the control link', async () => {
    const { backend, news, fake } = await serve(scope, { health: { ...SETTINGS.health, interval: 1, timeout: 600 } }, {}, new Files());
    fake.gate('ping');
    backend.tick(performance.now() + 1);
    await until(() => {
      fake.askOn(1, 'sessionFs.exists', { sessionId: 's1', path: '/state/a' });
      return backend.lastError !== undefined;
    });
    expect([backend.up, news.downs, backend.lastError]).toEqual([true, [], expect.stringContaining('ping: ')]);
  });
});

describe('a server that takes no file system', () => {
  it.each([
    ['because it has one', TAKEN, -32603, /has a session file system already.*restart the CLI server/, 1],
    ['because sessions are loaded', ACTIVE, -32603, /has sessions loaded.*restart the CLI server/, 1],
    ['because it is too old', 'Unhandled method sessionFs.setProvider', -32601, /too old.*upgrade it/, 0],
  ])('%s is down at once, with a reason that says what to do', async (_why, message, code, reason, spent) => {
    const { backend, news } = await refused(refusing(message, code));
    expect([backend.health.state, news.downs.length, news.spent.length]).toEqual(['down', 1, spent]);
    expect(backend.lastError).toMatch(reason);
    expect(news.downs[0]!.reason).toMatch(reason);
  });

  it('is asked again and again, and told of once', async () => {
    const told: BackendUnusable[] = [];
    const note = (unusable: BackendUnusable): void => void told.push(unusable);
    channels.backendUnusable.subscribe(note);
    scope.after(() => channels.backendUnusable.unsubscribe(note));
    const { backend, news, fake } = await refused(refusing(TAKEN));
    const asked = (): number => fake.requests.filter(({ method }) => method === 'sessionFs.setProvider').length;
    const askedAgain = async (times: number): Promise<void> => {
      const goal = asked() + times;
      await until(() => {
        backend.tick(performance.now());
        return asked() >= goal;
      });
    };
    await askedAgain(4);
    // The first reason came with the change of the state.
    expect(told).toEqual([]);
    fake.answer('sessionFs.setProvider', refusing(ACTIVE));
    await askedAgain(4);
    expect(told).toEqual([{ backend: 'b1', reason: expect.stringContaining('sessions loaded') as string }]);
    fake.answer('sessionFs.setProvider', () => ({ result: { success: true } }));
    await until(() => {
      backend.tick(performance.now());
      return backend.up;
    });
    expect([news.ups, backend.lastError]).toEqual([1, undefined]);
  });

  it('leaves no connection behind', async () => {
    const { backend, fake } = await refused(refusing(TAKEN));
    await until(() => fake.open === 0);
    expect(backend.up).toBe(false);
  });
});

describe('a link', () => {
  it('refuses a request for files that nobody takes', async () => {
    const { peer, told } = await linkPair();
    peer.send({ id: 5, method: 'sessionFs.readFile', params: { sessionId: 's1', path: '/state/a' } });
    expect(await peer.message(1)).toMatchObject({ id: 5, error: { code: -32601 } });
    expect(told.stateRequests).toEqual([]);
  });

  it('answers one that is taken under the id as it came', async () => {
    const { link, peer, told } = await linkPair();
    told.takesStateRequests = true;
    peer.sendText('{"jsonrpc":"2.0","id":"a\\"b","method":"sessionFs.readFile","params":{"sessionId":"s1"}}');
    await until(() => told.stateRequests.length === 1);
    link.reply(told.stateRequests[0]!.idToken, { result: null });
    expect(await peer.message(1)).toEqual({ jsonrpc: '2.0', id: 'a"b', result: null });
  });

  it('never passes one for the model on, whoever would take it', async () => {
    const { peer, told } = await linkPair();
    told.takesStateRequests = true;
    peer.send({ id: 6, method: 'llmInference.httpRequestStart', params: {} });
    expect(await peer.message(1)).toMatchObject({ id: 6, error: { code: -32601 } });
    expect(told.stateRequests).toEqual([]);
  });

  it('that serves files acknowledges whatever comes, also news that nobody answers', async () => {
    const { link, peer } = await linkPair(true);
    link.serving = true;
    peer.send({ method: 'session.lifecycle', params: { sessionId: 's1' } });
    await until(() => peer.bytes.length > 0);
    expect(peer.bytes.toString('latin1')).toBe('A:1\r\n');
  });
});
