import { describe, expect, it } from 'vitest';
import { scopeOfEachTest } from '../../support/scope.js';
import type { WireClient } from '../../support/wire-client.js';
import { until } from '../wire/sockets.js';
import { Front, tokensOf } from './front.js';

const scope = scopeOfEachTest();

const TOKENS = { logins: { tokens: tokensOf('alice', 'bob') } };

/** Who a front takes its only client for. */
function userOf(front: Front): string | undefined {
  return [...front.services.roster.all()][0]!.user;
}

/** Params of the `connect`s that the server got on links for clients: the first is the control link's. */
function connects(front: Front): object[] {
  return front.fake.requests.filter(({ method }) => method === 'connect').slice(1).map(({ params }) => params);
}

async function codeOf(client: WireClient, method: string, params: object = {}): Promise<number | undefined> {
  return (await client.call(method, params)).error?.code;
}

describe('a client that connects', () => {
  it('with a good token is its user, and hears what a CLI server says', async () => {
    const front = await Front.open(scope, TOKENS);
    const client = await front.stranger();
    const { result } = await client.call('connect', { token: 'token-of-bob' });
    expect(result).toEqual({ ok: true, protocolVersion: 3, version: '1.0.85', taskKinds: ['agent', 'shell'] });
    expect(userOf(front)).toBe('bob');
  });

  it('has what it tells about itself passed on, with Skyport\'s token in the place of its own', async () => {
    const front = await Front.open(scope, TOKENS);
    const client = await front.stranger();
    await client.call('connect', { token: 'token-of-bob', supportedTaskKinds: ['agent'], clientInfo: { name: 'sdk' }, unknown: 1 });
    expect(connects(front)).toEqual([{ supportedTaskKinds: ['agent'], clientInfo: { name: 'sdk' }, token: 'token-of-the-server' }]);
  });

  it('without anything to tell costs no link', async () => {
    const front = await Front.open(scope, TOKENS);
    await front.client('token-of-alice');
    await front.client('token-of-bob');
    expect([connects(front), front.fake.open]).toEqual([[], 1]);
  });

  it('with a wrong token is refused like the runtime does, and cut after a few', async () => {
    const front = await Front.open(scope, TOKENS);
    const client = await front.stranger();
    for (let n = 0; n < 3; n++) expect((await client.login('wrong')).error).toMatchObject({ code: -32002, message: 'AUTHENTICATION_FAILED' });
    expect(await client.closed).toBe('closed');
    await until(() => front.services.roster.size === 0);
  });

  it('with a good token after a wrong one is let in', async () => {
    const front = await Front.open(scope, TOKENS);
    const client = await front.stranger();
    await client.login('wrong');
    expect((await client.login('token-of-alice')).error).toBeUndefined();
    expect(userOf(front)).toBe('alice');
  });

  it('with a token that is no text is told so', async () => {
    const client = await (await Front.open(scope, TOKENS)).stranger();
    expect(await codeOf(client, 'connect', { token: 7 })).toBe(-32602);
  });

  it('with something else than a server takes is told so, and may try again', async () => {
    const front = await Front.open(scope);
    const client = await front.stranger();
    expect(await codeOf(client, 'connect', { supportedTaskKinds: 'agent' })).toBe(-32602);
    expect((await client.login()).error).toBeUndefined();
  });

  it('hears the refusal of the server', async () => {
    const front = await Front.open(scope);
    front.fake.answer('connect', () => ({ error: { code: -32602, message: 'no such kind' } }));
    const client = await front.stranger();
    expect((await client.call('connect', { supportedTaskKinds: ['x'] })).error).toMatchObject({ code: -32602, message: 'no such kind' });
    expect(userOf(front)).toBeUndefined();
  });

  it('before any server is up waits for the first', async () => {
    const front = await Front.open(scope, { later: true });
    const client = await front.stranger();
    const login = client.login();
    await front.serve();
    expect((await login).result).toMatchObject({ ok: true });
  });

  it('twice is answered twice, if it is the same user', async () => {
    const front = await Front.open(scope, TOKENS);
    const client = await front.client('token-of-alice');
    expect((await client.login('token-of-alice')).result).toMatchObject({ ok: true });
    expect(await codeOf(client, 'connect', { token: 'token-of-bob' })).toBe(-32051);
    expect(userOf(front)).toBe('alice');
  });
});

describe('a client that is in already', () => {
  it('is cut when it shows wrong tokens', async () => {
    const front = await Front.open(scope, TOKENS);
    const client = await front.client('token-of-alice');
    for (let n = 0; n < 3; n++) expect((await client.login('wrong')).error).toMatchObject({ code: -32002 });
    expect(await client.closed).toBe('closed');
  });

  it('has its wrong tokens counted from before it was let in', async () => {
    const front = await Front.open(scope, TOKENS);
    const client = await front.stranger();
    await client.login('wrong');
    await client.login('token-of-alice');
    for (let n = 0; n < 2; n++) expect((await client.login('wrong')).error).toMatchObject({ code: -32002 });
    expect(await client.closed).toBe('closed');
  });
});

describe('a client that does not connect first', () => {
  it('is the anonymous user, where there is one', async () => {
    const front = await Front.open(scope);
    const client = await front.stranger();
    expect((await client.call('ping', { message: 'hi' })).result).toMatchObject({ message: 'pong: hi', protocolVersion: 3 });
    expect(userOf(front)).toBe('alice');
  });

  it('is the user that its listener stands for', async () => {
    const front = await Front.open(scope, { ...TOKENS, as: 'carol' });
    const client = await front.stranger();
    await client.result('ping');
    expect(userOf(front)).toBe('carol');
  });

  it('is refused where a token is due', async () => {
    const front = await Front.open(scope, TOKENS);
    const client = await front.stranger();
    expect((await client.call('session.list')).error).toMatchObject({ code: -32001, message: 'AUTHENTICATION_REQUIRED' });
    expect(front.fake.requests.some(({ method }) => method === 'session.list')).toBe(false);
  });

  it('may go on to work at once', async () => {
    const front = await Front.open(scope);
    const client = await front.stranger();
    expect((await client.call('session.create', { sessionId: 's1' })).result).toMatchObject({ sessionId: 's1' });
  });
});

describe('what comes behind a connect', () => {
  it('waits for it, and is handled in order', async () => {
    const front = await Front.open(scope, { logins: { tokens: tokensOf('alice') } });
    const client = await front.stranger();
    const gate = front.fake.gate('connect');
    const login = client.call('connect', { token: 'token-of-alice', clientInfo: { name: 'sdk' } }, 'login');
    const calls = [client.call('ping', { message: 'a' }, 'a'), client.call('ping', { message: 'b' }, 'b')];
    await gate.until(1);
    expect(client.messages).toEqual([]);
    gate.openUp();
    await Promise.all([login, ...calls]);
    expect(client.messages.map(({ id }) => id)).toEqual(['login', 'a', 'b']);
  });

  it('is refused with it when the login fails', async () => {
    const front = await Front.open(scope, TOKENS);
    const client = await front.stranger();
    const answers = await Promise.all([client.login('wrong'), client.call('session.list')]);
    expect(answers.map(({ error }) => error?.code)).toEqual([-32002, -32001]);
  });

  it('must not be more than a handful', async () => {
    const front = await Front.open(scope, TOKENS);
    front.fake.gate('connect');
    const client = await front.stranger();
    client.sendText('{"jsonrpc":"2.0","id":0,"method":"connect","params":{"token":"token-of-bob","clientInfo":{}}}');
    for (let id = 1; id <= 65; id++) client.sendText(`{"jsonrpc":"2.0","id":${id},"method":"ping"}`);
    const { error } = await client.until(({ id }) => id === null);
    expect(error).toMatchObject({ code: -32062 });
    await client.closed;
  });

  it('is not lost when the client has gone meanwhile', async () => {
    const front = await Front.open(scope, TOKENS);
    const gate = front.fake.gate('connect');
    const client = await front.stranger();
    client.sendText('{"jsonrpc":"2.0","id":0,"method":"connect","params":{"token":"token-of-bob","clientInfo":{}}}');
    await gate.until(1);
    await client.stop();
    await until(() => front.services.roster.size === 0);
    gate.openUp();
    const next = await front.client('token-of-bob');
    expect((await next.call('ping')).error).toBeUndefined();
    expect([front.services.roster.size, front.services.roster.authenticatedCount]).toEqual([1, 1]);
  });
});
