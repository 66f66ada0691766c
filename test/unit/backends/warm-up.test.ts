import { describe, expect, it } from 'vitest';
import type { Served, SessionFileSystem } from '../../../proxy/backends/provider.js';
import { UsualProfile } from '../../../proxy/backends/usual-profile.js';
import { WarmUpModel } from '../../../proxy/backends/warm-up-model.js';
import { WarmUp } from '../../../proxy/backends/warm-up.js';
import type { ServerShell } from '../../../proxy/backends/shell.js';
import { scopeOfEachTest } from '../../support/scope.js';
import { linkPair } from './peer.js';
import { profile, serve } from './service.js';

const scope = scopeOfEachTest();
const FROM: Served = { name: 'managed-u1', backend: 1, incarnation: 1 };
const NO_SHELL = undefined as unknown as ServerShell;

class Files implements SessionFileSystem {
  readonly statePath = '/state';
  readonly asked: string[] = [];

  answer(_from: Served, method: string): Promise<object> {
    this.asked.push(method);
    return Promise.resolve({ result: { of: 'the store' } });
  }
}

const STEPS = ['session.create', 'session.tools.initializeAndValidate', 'session.metadata.recomputeContextTokens', 'session.detach'];

describe('the warm-up of a server', () => {
  it('counts the tokens of a session of nobody\'s, which it lets go of', async () => {
    const { backend, fake } = await serve(scope, {}, {}, new Files());
    for (const method of STEPS) fake.answer(method, () => ({ result: { success: true } }));
    const begun = fake.requests.length;
    expect(await backend.warmUp()).toBeUndefined();
    const made = fake.requests.slice(begun).filter(({ method }) => method !== 'ping');
    expect(made.map(({ method }) => method)).toEqual(STEPS);
    const ids = new Set(made.map(({ params }) => params['sessionId']));
    expect([...ids]).toEqual([expect.stringMatching(/^skyport-warm-up-[0-9a-f-]{36}$/)]);
    expect(made[0]!.params).toMatchObject({ provider: { baseUrl: 'http://127.0.0.1:1/v1' } });
    expect(await backend.warmUp()).toBeUndefined();
    expect(fake.requests.filter(({ method }) => method === 'session.create')).toHaveLength(1);
  });

  it('says why it has failed, lets go of the session all the same, and leaves the server in service', async () => {
    const { backend, fake } = await serve(scope, {}, {}, new Files());
    fake.answer('session.create', () => ({ error: { code: -32603, message: 'no more' } }));
    fake.answer('session.detach', () => ({ result: { success: false } }));
    const begun = fake.requests.length;
    expect(await backend.warmUp()).toBe('session.create: no more');
    expect(fake.requests.slice(begun).map(({ method }) => method).filter((method) => method !== 'ping')).toEqual(['session.create', 'session.detach']);
    expect(backend.eligible).toBe(true);
  });

  it('does not take place on a server that keeps the files of its sessions itself', async () => {
    const { backend, fake } = await serve(scope);
    const begun = fake.requests.length;
    expect(await backend.warmUp()).toBe('Skyport is not the file system of its sessions');
    expect(fake.requests.slice(begun).filter(({ method }) => method.startsWith('session.'))).toEqual([]);
  });

  it('stores nothing of its session, and is not in the way of others', async () => {
    const files = new Files();
    const warmUp = new WarmUp(files);
    const { sessionId } = warmUp;
    expect(await warmUp.answer(FROM, 'sessionFs.writeFile', { sessionId, path: '/state/workspace.yaml', content: 'x' }, NO_SHELL)).toEqual({ result: null });
    expect(await warmUp.answer(FROM, 'sessionFs.readFile', { sessionId, path: '/state/workspace.yaml' }, NO_SHELL))
      .toEqual({ result: { content: '', error: { code: 'ENOENT', message: 'no such file or directory' } } });
    expect(await warmUp.answer(FROM, 'sessionFs.sqliteQuery', { sessionId }, NO_SHELL)).toMatchObject({ error: { code: -32601 } });
    expect(files.asked).toEqual([]);
    for (const params of [{ sessionId: 's1', path: '/state/x' }, {}, null, undefined]) {
      expect(await warmUp.answer(FROM, 'sessionFs.readFile', params, NO_SHELL)).toEqual({ result: { of: 'the store' } });
    }
    expect(files.asked).toHaveLength(4);
  });

  it('with a model ends when the end of its turn is stored', async () => {
    const { link, peer } = await linkPair();
    scope.after(() => link.close('test over'));
    const model = await WarmUpModel.start();
    scope.after(() => model.close());
    const warmUp = new WarmUp(new Files());
    const { sessionId } = warmUp;
    const outcome = warmUp.run(link, model);
    for (let n = 1; n <= 4; n++) peer.send({ id: (await peer.message(n)).id!, result: {} });
    expect(peer.messages.map(({ method }) => method)).toEqual([...STEPS.slice(0, 3), 'session.send']);
    expect(peer.messages[0]!.params).toMatchObject({ provider: { baseUrl: model.url, apiKey: model.key } });
    const append = (content: string): object => warmUp.answer(FROM, 'sessionFs.appendFile', { sessionId, path: '/state/events.jsonl', content }, NO_SHELL);
    append('{"type":"assistant.turn_start"}\n');
    append('{"type":"assistant.message"}\n{"type":"assistant.turn_end"}\n');
    const detach = await peer.message(5);
    expect(detach.method).toBe('session.detach');
    peer.send({ id: detach.id!, result: { success: true } });
    expect(await outcome).toBeUndefined();
  });
});

describe('the warm-up of a server that dies', () => {
  it('ends with it, and does not wait for the end of its turn', async () => {
    const { link, peer } = await linkPair();
    const model = await WarmUpModel.start();
    scope.after(() => model.close());
    const warmUp = new WarmUp(new Files());
    const outcome = warmUp.run(link, model);
    for (let n = 1; n <= 4; n++) peer.send({ id: (await peer.message(n)).id!, result: {} });
    const behind = link.call('ping', {}, 10_000);
    peer.send({ id: (await peer.message(5)).id!, result: {} });
    await behind;
    link.close('the server died');
    warmUp.stop();
    expect(await outcome).toBe('the server is gone');
  });
});

describe('the model of a warm-up', () => {
  async function ask(model: WarmUpModel, key: string, path = '/chat/completions'): Promise<{ status: number; text: string }> {
    const response = await fetch(`${model.url}${path}`, { method: 'POST', headers: { authorization: `Bearer ${key}` }, body: '{"messages":[]}' });
    return { status: response.status, text: await response.text() };
  }

  it('answers one question of one asker', async () => {
    const model = await WarmUpModel.start();
    scope.after(() => model.close());
    const { status, text } = await ask(model, model.key);
    expect([status, text.endsWith('data: [DONE]\n\n')]).toEqual([200, true]);
    expect(text).toContain('"content":"Ready."');
    expect((await ask(model, 'another-key')).status).toBe(401);
    expect((await ask(model, model.key, '/models')).status).toBe(404);
  });

  it('is not there any more when the warm-up is over', async () => {
    const model = await WarmUpModel.start();
    const { url, key } = model;
    model.close();
    await expect(fetch(`${url}/chat/completions`, { method: 'POST', headers: { authorization: `Bearer ${key}` }, body: '{}' })).rejects.toThrow('fetch failed');
  });
});

describe('what clients usually say at connect', () => {
  const [app, other] = [profile({ clientInfo: { name: 'app' } }), profile({ clientInfo: { name: 'of alice' } })];

  it('is what clients of two users have said', () => {
    const usual = new UsualProfile();
    usual.said(app, 'alice');
    usual.said(app, 'alice');
    expect(usual.profile).toBeUndefined();
    usual.said(app, 'bob');
    expect(usual.profile).toBe(app);
    usual.said(other, 'alice');
    expect(usual.profile).toBe(app);
  });

  it('is remembered of a bounded number', () => {
    const usual = new UsualProfile();
    usual.said(app, 'alice');
    for (let n = 0; n < 64; n++) usual.said(profile({ clientInfo: { name: `app ${n}` } }), 'alice');
    usual.said(app, 'bob');
    expect(usual.profile).toBeUndefined();
  });
});
