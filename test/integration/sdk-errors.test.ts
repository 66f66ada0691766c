import { expect, it } from 'vitest';
import { forEachTarget } from '../support/target.js';
import { sdkClient } from '../support/sdk.js';
import { WireClient } from '../support/wire-client.js';

forEachTarget('an error', (target) => {
  it.each([
    'session.send', 'session.abort', 'session.getMessages', 'session.eventLog.read', 'session.model.getCurrent', 'session.metadata.snapshot',
    'session.history.compact', 'session.plan.read', 'session.queue.pendingItems',
  ])('of %s for an unknown session has the code of an internal error and says that there is none', async (method) => {
    const client = await target.wire();
    const { error } = await client.call(method, { sessionId: 'no-such-session', prompt: 'x' });
    expect(error).toMatchObject({ code: -32603, message: expect.stringContaining('Session not found') });
  });

  it('of session.resume for an unknown session is the same', async () => {
    const client = await target.wire();
    const { error } = await client.call('session.resume', { sessionId: 'no-such-session' });
    expect(error).toMatchObject({ code: -32603, message: expect.stringContaining('Session not found') });
  });

  it('of an unknown method is JSON-RPC\'s own', async () => {
    const client = await target.wire();
    const { error } = await client.call('no.such.method');
    expect(error).toMatchObject({ code: -32601, message: expect.stringContaining('Unhandled method') });
  });

  it('of a method without its session id says so', async () => {
    const client = await target.wire();
    const { error } = await client.call('session.send', { prompt: 'x' });
    expect(error?.message).toContain('sessionId');
  });

  it('of a session id with forbidden characters creates nothing', async () => {
    const client = await target.wire();
    const { error } = await client.call('session.create', { sessionId: '../../etc/passwd', ...target.session(), onPermissionRequest: undefined });
    expect(error).toBeDefined();
    expect(JSON.stringify((await client.call('session.list')).result)).not.toContain('passwd');
  });

  it('of one call leaves the connection and its other calls alone', async () => {
    const client = await target.wire();
    const answers = await Promise.all([
      client.call('ping', { message: 'a' }), client.call('no.such.method'), client.call('session.send', { sessionId: 'nobody', prompt: 'x' }),
      client.call('ping', { message: 'b' }),
    ]);
    expect(answers.map((answer) => answer.error?.code)).toEqual([undefined, -32601, -32603, undefined]);
  });

  it('of a session that was destroyed by another client of the user reaches the SDK as an error', async () => {
    const client = target.client();
    const session = await client.createSession(target.session());
    await session.sendAndWait('hello');
    const other = target.client();
    await other.start();
    await other.deleteSession(session.sessionId);
    await expect(session.send('anybody?')).rejects.toThrow(/Session not found/);
  });
});

forEachTarget('a login', (target) => {
  const address = () => target.door().address;

  it('with a wrong token is refused', async () => {
    const client = await WireClient.tcp(address());
    const { error } = await client.login('not-the-token');
    expect(error).toMatchObject({ code: -32002, message: 'AUTHENTICATION_FAILED' });
    client.destroy();
  });

  it('without a token is refused', async () => {
    const client = await WireClient.tcp(address());
    const { error } = await client.login();
    expect(error).toMatchObject({ code: -32002, message: 'AUTHENTICATION_FAILED' });
    client.destroy();
  });

  it.each(['ping', 'session.list', 'session.create', 'status.get'])('must come before %s', async (method) => {
    const client = await WireClient.tcp(address());
    expect((await client.call(method)).error).toMatchObject({ code: -32001, message: 'AUTHENTICATION_REQUIRED' });
    client.destroy();
  });

  it('may be tried again on the same connection', async () => {
    const client = await WireClient.tcp(address());
    expect((await client.login('not-the-token')).error?.code).toBe(-32002);
    expect((await client.login(target.door().token)).result).toMatchObject({ ok: true, protocolVersion: 3 });
    expect((await client.call('ping')).error).toBeUndefined();
    client.destroy();
  });

  it('that fails is told to the SDK program', async () => {
    const client = sdkClient(address(), 'not-the-token');
    await expect(client.start()).rejects.toThrow(/AUTHENTICATION_FAILED/);
    await client.forceStop();
  });

  it('tells the version of the protocol and of the server', async () => {
    const client = await WireClient.tcp(address());
    const { result } = await client.login(target.door().token);
    expect(result).toMatchObject({ ok: true, protocolVersion: 3, version: expect.stringMatching(/^\d+\.\d+\.\d+/), taskKinds: expect.any(Array) });
    client.destroy();
  });
});
