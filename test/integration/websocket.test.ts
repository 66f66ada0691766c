/** JSON-RPC over WebSocket, on /rpc of an `http` listener. */
import { beforeAll, describe, expect, it } from 'vitest';
import { scopeOfSuite } from '../support/scope.js';
import { freePorts } from '../support/ports.js';
import { Site } from '../support/site.js';
import { WireClient } from '../support/wire-client.js';
import type { ClientOptions } from 'ws';

const PAGE = 'https://app.example.com';

const scope = scopeOfSuite();
let site: Site;
let url: string;
/** Of a listener that lets a page in. */
let urlForPages: string;

beforeAll(async () => {
  const [port] = await freePorts(1);
  site = await Site.start(scope, {
    servers: 2,
    config: (place) => ({
      listen: [
        { tcp: place.address }, { http: `127.0.0.1:${place.httpPort}` }, { http: `127.0.0.1:${port}`, origins: [PAGE] },
      ],
      limits: { max_frame: '128KiB' },
    }),
  });
  url = `${site.skyport.http.replace('http', 'ws')}/rpc`;
  urlForPages = `ws://127.0.0.1:${port}/rpc`;
});

async function open(options: ClientOptions = {}, where = url): Promise<WireClient> {
  return scope.own(await WireClient.webSocket(where, options));
}

async function loggedIn(user: string): Promise<WireClient> {
  const client = await open();
  await client.login(`token-of-${user}`);
  return client;
}

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
const nameOf = (error: { data?: unknown } | undefined) => (error?.data as { name?: string } | undefined)?.name;

describe('a WebSocket client', () => {
  it('logs in with the token in `connect`', async () => {
    const client = await open();
    expect((await client.login('token-of-alice')).result).toMatchObject({ ok: true, protocolVersion: 3 });
    expect((await client.call('session.list')).error).toBeUndefined();
  });

  it('logs in with the token in the Authorization header, with and without `connect`', async () => {
    const [silent, polite] = await Promise.all([open(bearer('token-of-alice')), open(bearer('token-of-alice'))]);
    expect((await silent.call('session.list')).error).toBeUndefined();
    expect((await polite.login()).result).toMatchObject({ ok: true });
    expect((await polite.call('session.list')).error).toBeUndefined();
  });

  it('is turned away with a wrong token', async () => {
    await expect(open(bearer('token-of-nobody'))).rejects.toThrow('401');
    const client = await open();
    expect((await client.login('token-of-nobody')).error?.code).toBe(-32002);
  });

  it('gets no answer but -32001 without a token', async () => {
    const client = await open();
    expect((await client.call('session.list')).error?.code).toBe(-32001);
  });

  it('cannot become another user by `connect`', async () => {
    const client = await open(bearer('token-of-alice'));
    expect(nameOf((await client.login('token-of-bob')).error)).toBe('SKYPORT_ALREADY_CONNECTED');
  });

  it('has a whole conversation: a tool, a question, a stream, a resume', async () => {
    const client = await loggedIn('alice');
    const tool = { name: 'add', description: 'adds', parameters: { type: 'object', properties: {} }, skipPermission: true };
    const sessionId = 'over-web-socket';
    await client.result('session.create', site.params({ sessionId, tools: [tool], requestUserInput: true, streaming: true }));
    const talk = async (prompt: string): Promise<void> => {
      const idles = () => client.events(sessionId).filter((event) => event.type === 'session.idle').length;
      const before = idles();
      await client.result('session.send', { sessionId, prompt });
      await client.until(() => idles() > before);
    };
    const lastText = () => client.events(sessionId).findLast((event) => event.type === 'assistant.message')?.data.content;

    void client.untilEvent(sessionId, 'external_tool.requested').then(({ data }) => client.call('session.tools.handlePendingToolCall', {
      sessionId, requestId: data.requestId, result: 'four é 日本',
    }));
    await talk('[[tool:add {"a":2}]]');
    expect(lastText()).toBe('tools said: four é 日本');

    void client.until((message) => message.method === 'userInput.request').then((request) => client.answer(request, { answer: 'blue', wasFreeform: true }));
    await talk('[[tool:ask_user {"question":"Which colour?"}]]');
    expect(lastText()).toContain('blue');

    await talk('[[stream:20]]');
    const deltas = client.events(sessionId).filter((event) => event.type === 'assistant.message_delta').map((event) => event.data.deltaContent);
    expect(deltas.slice(-20)).toEqual(Array.from({ length: 20 }, (_, n) => `d${n} `));

    await client.stop();
    const back = await loggedIn('alice');
    await back.result('session.resume', site.params({ sessionId }));
    const history = JSON.stringify(await back.result('session.getMessages', { sessionId }));
    expect(history).toContain('tools said: four é 日本');
  });

  it('shares its sessions with the same user over TCP, and with nobody else', async () => {
    const client = await loggedIn('alice');
    await client.result('session.create', site.params({ sessionId: 'two-ways-in' }));
    const [tcp, bob] = await Promise.all([site.wire('alice'), loggedIn('bob')]);
    await tcp.result('session.resume', site.params({ sessionId: 'two-ways-in' }));
    await tcp.result('session.send', { sessionId: 'two-ways-in', prompt: 'hello both' });
    await Promise.all([client, tcp].map((one) => one.untilEvent('two-ways-in', 'session.idle')));
    expect((await bob.call('session.resume', site.params({ sessionId: 'two-ways-in' }))).error?.message).toBe('Session not found for sessionId: two-ways-in');
    expect(bob.notifications()).toEqual([]);
  });
});

describe('a page in a browser', () => {
  it('is refused where no origin is configured', async () => {
    await expect(open({ origin: PAGE, ...bearer('token-of-alice') })).rejects.toThrow('403');
    await expect(open({ origin: 'http://127.0.0.1', ...bearer('token-of-alice') })).rejects.toThrow('403');
  });

  it('is let in from a configured origin, and from no other', async () => {
    const page = await open({ origin: PAGE }, urlForPages);
    expect((await page.login('token-of-alice')).error).toBeUndefined();
    for (const origin of ['https://app.example.com.evil.test', 'http://app.example.com', 'https://app.example.com:444', 'null']) {
      await expect(open({ origin }, urlForPages)).rejects.toThrow('403');
    }
    expect((await (await open({}, urlForPages)).login('token-of-alice')).error).toBeUndefined();
  });

  it('finds nothing on another path', async () => {
    await expect(open({}, url.replace('/rpc', '/other'))).rejects.toThrow('404');
  });
});

describe('what is no message', () => {
  it('closes with 1009 when it is larger than limits.max_frame', async () => {
    const client = await loggedIn('alice');
    expect((await client.call('ping', { message: 'x'.repeat(100_000) })).error).toBeUndefined();
    client.sendText(JSON.stringify({ jsonrpc: '2.0', id: 9, method: 'ping', params: { message: 'x'.repeat(200_000) } }));
    expect(await client.closed).toMatch(/^1009\b/);
    await site.skyport.logged((line) => line.event === 'client_closed' && line.reason === 'SKYPORT_FRAME_TOO_LARGE');
  });

  it('closes with 1009 when it is larger than a handshake may be', async () => {
    const client = await open();
    client.sendText(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'connect', params: { token: 'x'.repeat(100_000) } }));
    expect(await client.closed).toMatch(/^1009\b/);
  });

  it('closes when it is binary', async () => {
    const client = await loggedIn('alice');
    client.sendBytes(JSON.stringify({ jsonrpc: '2.0', id: 9, method: 'ping', params: {} }));
    expect(await client.closed).toMatch(/^1008\b/);
    expect(client.messages.find((message) => message.id === 9)).toBeUndefined();
  });

  it('is answered with an error when it is not JSON, and the connection goes on', async () => {
    const client = await loggedIn('alice');
    client.sendText('{"jsonrpc": nonsense');
    expect((await client.until((message) => message.id === null)).error?.code).toBe(-32700);
    expect((await client.call('ping')).error).toBeUndefined();
  });
});
