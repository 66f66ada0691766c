import { expect, it } from 'vitest';
import { forEachTarget, type Target } from '../support/target.js';
import { providerOf } from '../support/sdk.js';
import { frame } from '../support/framing.js';
import type { WireClient } from '../support/wire-client.js';

/** Creates a session as an SDK would, by hand. */
async function session(target: Target, client: WireClient, more: object = {}): Promise<string> {
  const created = await client.result<{ sessionId: string }>('session.create', { provider: providerOf(target.model), model: 'gpt-4.1', requestPermission: true, ...more });
  return created.sessionId;
}

forEachTarget('the wire', (target) => {
  it.each(['a text', '0', '', 'quote " back \\ slash', '日本', 0, -7, 2_147_483_647, 9_007_199_254_740_991])('gives the id %j back as it came', async (id) => {
    const client = await target.wire();
    const answer = await client.call('ping', { message: 'x' }, id);
    expect(answer.id).toStrictEqual(id);
    expect(answer.result).toMatchObject({ message: 'pong: x' });
  });

  it('lets the ids of two connections be the same', async () => {
    const [one, two] = await Promise.all([target.wire(), target.wire()]);
    const [a, b] = await Promise.all([one.call('ping', { message: 'one' }, 7), two.call('ping', { message: 'two' }, 7)]);
    expect([a.result, b.result]).toMatchObject([{ message: 'pong: one' }, { message: 'pong: two' }]);
  });

  it('answers a quick call before a slow one that came earlier', async () => {
    const client = await target.wire();
    const sessionId = await session(target, client, { requestElicitation: true });
    const order: string[] = [];
    const slow = client.call('session.ui.elicitation', { sessionId, message: 'm', requestedSchema: { type: 'object', properties: {} } }).then((answer) => {
      order.push('slow');
      return answer;
    });
    const asked = await client.untilEvent(sessionId, 'elicitation.requested');
    await client.call('session.model.getCurrent', { sessionId });
    order.push('quick');
    await client.result('session.ui.handlePendingElicitation', { sessionId, requestId: asked.data.requestId, result: { action: 'cancel' } });
    expect((await slow).result).toMatchObject({ action: 'cancel' });
    expect(order).toEqual(['quick', 'slow']);
  });

  it('takes many calls at once and answers each', async () => {
    const client = await target.wire();
    const messages = Array.from({ length: 500 }, (_, index) => `m${index}`);
    const answers = await Promise.all(messages.map((message) => client.call('ping', { message })));
    expect(answers.map((answer) => (answer.result as { message: string }).message)).toEqual(messages.map((message) => `pong: ${message}`));
  });

  it('is not disturbed by a cancellation', async () => {
    const client = await target.wire();
    const sessionId = await session(target, client);
    client.notify('$/cancelRequest', { id: 12_345 });
    await client.result('session.send', { sessionId, prompt: 'hello' });
    client.notify('$/cancelRequest', { id: 2 });
    await client.untilEvent(sessionId, 'session.idle');
    expect(client.events(sessionId).filter((event) => event.type === 'assistant.message')).toHaveLength(1);
  });

  it('ignores a notification that nobody knows', async () => {
    const client = await target.wire();
    client.notify('no/such/notification', { sessionId: 'x' });
    expect((await client.call('ping')).error).toBeUndefined();
  });

  it('lists sessions on a connection that has none', async () => {
    const client = await target.wire();
    expect((await client.result<{ sessions: unknown[] }>('session.list')).sessions).toBeInstanceOf(Array);
  });

  it('reads a frame that comes byte by byte', async () => {
    const client = await target.wire();
    const bytes = frame('{"jsonrpc":"2.0","id":"slow","method":"ping","params":{"message":"é"}}');
    for (const byte of bytes) {
      client.sendBytes(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await client.until((message) => message.id === 'slow')).result).toMatchObject({ message: 'pong: é' });
  });

  it('reads many frames that come at once', async () => {
    const client = await target.wire();
    client.sendBytes(Buffer.concat([1, 2, 3].map((n) => frame(`{"jsonrpc":"2.0","id":"f${n}","method":"ping","params":{}}`))));
    for (const n of [1, 2, 3]) expect((await client.until((message) => message.id === `f${n}`)).error).toBeUndefined();
  });

  it('reads other headers over', async () => {
    const client = await target.wire();
    const body = '{"jsonrpc":"2.0","id":"h","method":"ping","params":{}}';
    client.sendBytes(`Content-Type: application/vscode-jsonrpc; charset=utf-8\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    expect((await client.until((message) => message.id === 'h')).error).toBeUndefined();
  });

  it('understands keys in any order and with escapes', async () => {
    const client = await target.wire();
    client.sendText('{"params":{"mess\\u0061ge":"\\u0068i"},"meth\\u006fd":"pin\\u0067","id":"esc","jsonrpc":"2.0"}');
    expect((await client.until((message) => message.id === 'esc')).result).toMatchObject({ message: 'pong: hi' });
  });

  it('answers what is not JSON with a parse error and goes on', async () => {
    const client = await target.wire();
    client.sendText('{"jsonrpc": nonsense');
    expect((await client.until((message) => message.error !== undefined)).error?.code).toBe(-32700);
    expect((await client.call('ping')).error).toBeUndefined();
  });

  it('answers what is no request with an error and goes on', async () => {
    const client = await target.wire();
    client.sendText('[1,2,3]');
    expect((await client.until((message) => message.error !== undefined)).error?.code).toBe(-32600);
    expect((await client.call('ping')).error).toBeUndefined();
  });

  it('answers a server request only once: a stray answer is ignored', async () => {
    const client = await target.wire();
    client.answer({ id: 99 }, { nobody: 'asked' });
    expect((await client.call('ping')).error).toBeUndefined();
  });

  it('asks user input as a request of its own, answered under the id it came with', async () => {
    const client = await target.wire();
    const sessionId = await session(target, client, { requestUserInput: true });
    await client.result('session.send', { sessionId, prompt: '[[tool:ask_user {"question":"Which?"}]]' });
    const request = await client.until((message) => message.method === 'userInput.request');
    expect(request.params).toMatchObject({ sessionId, question: 'Which?' });
    client.answer(request, { answer: 'this one', wasFreeform: true });
    await client.untilEvent(sessionId, 'session.idle');
    const last = client.events(sessionId).findLast((event) => event.type === 'assistant.message');
    expect(last?.data.content).toContain('this one');
  });

  it('delivers each event of a session exactly once to a connection that resumes what it has', async () => {
    const client = await target.wire();
    const sessionId = await session(target, client);
    await client.result('session.resume', { sessionId, provider: providerOf(target.model), model: 'gpt-4.1' });
    await client.result('session.send', { sessionId, prompt: 'once' });
    await client.untilEvent(sessionId, 'session.idle');
    expect(client.events(sessionId).filter((event) => event.type === 'assistant.message')).toHaveLength(1);
  });

  it('sends no event of a session to a connection that has not attached to it', async () => {
    const [one, two] = await Promise.all([target.wire(), target.wire()]);
    const sessionId = await session(target, one);
    await one.result('session.send', { sessionId, prompt: 'private' });
    await one.untilEvent(sessionId, 'session.idle');
    await two.call('ping');
    expect(two.events(sessionId)).toEqual([]);
  });
});
