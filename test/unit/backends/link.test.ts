import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseAnswer, type Link } from '../../../proxy/backends/link.js';
import { refuse } from '../../../proxy/protocol/errors.js';
import { frameOf } from '../../../proxy/wire/frame.js';
import { peek } from '../../../proxy/wire/peek.js';
import { attach, FakeClient, sessionOf, startTurn } from '../sessions/cast.js';
import { until } from '../wire/sockets.js';
import { forward, linkPair, nameOf, Waiting, type LinkUnderTest, type Peer, type SeenTransport, type Told } from './peer.js';

const ANSWER = { ok: true, result: { done: true } };
const NOTICE = { code: -32000, message: 'SERVER_SHUTTING_DOWN' };

let link: Link;
let peer: Peer;
let told: Told;
let transport: SeenTransport;

async function open(nudged = false): Promise<LinkUnderTest> {
  const pair = await linkPair(nudged);
  ({ link, peer, told, transport } = pair);
  return pair;
}

beforeEach(() => open());

/** Waits until everything that the server has sent so far has been read. */
async function read(): Promise<void> {
  const before = told.broadcasts.length;
  peer.send({ method: 'marker', params: {} });
  await until(() => told.broadcasts.length > before);
}

describe('a client\'s call', () => {
  it('is passed on with an id of ten digits, all else to the byte', async () => {
    forward(link, '{"jsonrpc":"2.0","id":7,"method":"session.send","params":{"sessionId":"s1","prompt":"id\\u0022:7"}}');
    await peer.message(1);
    const body = '{"jsonrpc":"2.0","id":1000000000,"method":"session.send","params":{"sessionId":"s1","prompt":"id\\u0022:7"}}';
    expect(peer.bytes.toString()).toBe(`Content-Length: ${body.length}\r\n\r\n${body}`);
  });

  it('is answered with what the server said, however many wait and in whatever order', async () => {
    const calls = ['a', 'b', 'c'].map((id) => forward(link, `{"jsonrpc":"2.0","id":"${id}","method":"ping"}`));
    await peer.message(3);
    const ids = peer.messages.map(({ id }) => id);
    expect(ids).toEqual([1_000_000_000, 1_000_000_001, 1_000_000_002]);
    peer.send({ id: ids[2], result: 2 }, { id: ids[0], result: 0 }, { id: ids[1], error: { code: 1, message: 'm' } });
    await until(() => link.waiting === 0);
    expect(calls.map(({ outcomes }) => outcomes)).toEqual([
      ['{"jsonrpc":"2.0","id":1000000000,"result":0}', '1000000000'],
      ['{"jsonrpc":"2.0","id":1000000001,"error":{"code":1,"message":"m"}}', '1000000001'],
      ['{"jsonrpc":"2.0","id":1000000002,"result":2}', '1000000002'],
    ]);
  });

  it('is answered once', async () => {
    const call = forward(link, '{"jsonrpc":"2.0","id":1,"method":"ping"}');
    peer.send({ id: 1_000_000_000, result: 1 }, { id: 1_000_000_000, result: 2 });
    await read();
    expect(call.outcomes).toHaveLength(2);
  });

  it.each(['1000000001', '1', '"1000000000"', '"abcdefghij"', '10000000000', '-100000000', 'null'])(
    'is not answered by an answer to %s, which disturbs nobody', async (id) => {
      const call = forward(link, '{"jsonrpc":"2.0","id":1,"method":"ping"}');
      peer.sendText(`{"jsonrpc":"2.0","id":${id},"result":{}}`);
      await read();
      expect([call.outcomes, link.waiting, link.open]).toEqual([[], 1, true]);
    },
  );

  it('that waits when the link breaks is told so', async () => {
    const call = forward(link, '{"jsonrpc":"2.0","id":1,"method":"ping"}');
    peer.socket.destroy();
    await until(() => !link.open);
    expect([call.outcomes, link.waiting]).toEqual([['SKYPORT_BACKEND_LOST'], 0]);
  });

  it('on a link that has broken is told so at once', async () => {
    peer.socket.destroy();
    await until(() => !link.open);
    expect(forward(link, '{"jsonrpc":"2.0","id":1,"method":"ping"}').outcomes).toEqual(['SKYPORT_BACKEND_LOST']);
    expect(link.waiting).toBe(0);
  });
});

describe('a call of Skyport\'s own', () => {
  afterEach(() => void vi.useRealTimers());

  it('gives the result, and tells that the server is well', async () => {
    const answer = link.call('session.detach', { sessionId: 's1' }, 10_000);
    const { id, ...rest } = await peer.message(1);
    expect(rest).toEqual({ jsonrpc: '2.0', method: 'session.detach', params: { sessionId: 's1' } });
    peer.send({ id, result: { done: true } });
    expect(await answer).toEqual(ANSWER);
    expect(told.outcomes).toEqual(['ok: session.detach']);
  });

  it('gives the error of the server, which is well all the same', async () => {
    const answer = link.call('session.detach', {}, 10_000);
    peer.send({ id: 1_000_000_000, error: { code: -32603, message: 'no', data: {} } });
    expect(await answer).toEqual({ ok: false, error: { code: -32603, message: 'no' } });
    expect(told.outcomes).toEqual(['ok: session.detach']);
  });

  it('is given up after its deadline, and a late answer is nobody\'s', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const answer = link.call('ping', {}, 2_000);
    vi.advanceTimersByTime(2_000);
    expect(nameOf(await answer)).toBe('SKYPORT_BACKEND_LOST');
    expect([link.waiting, told.outcomes]).toEqual([0, ['bad: ping was not answered in time']]);
    peer.send({ id: 1_000_000_000, result: {} });
    await read();
    expect(told.outcomes).toHaveLength(1);
  });

  it('has no deadline any more when it was answered or lost', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const [first, second] = [link.call('ping', {}, 2_000), link.call('ping', {}, 2_000)];
    peer.send({ id: 1_000_000_000, result: {} });
    await first;
    peer.socket.destroy();
    expect(nameOf(await second)).toBe('SKYPORT_BACKEND_LOST');
    expect(vi.getTimerCount()).toBe(0);
    expect(told.outcomes).toEqual(['ok: ping']);
  });

  it('on a broken link is refused at once', async () => {
    peer.socket.destroy();
    await until(() => !link.open);
    expect(nameOf(await link.call('ping', {}, 2_000))).toBe('SKYPORT_BACKEND_LOST');
  });

  it('that is answered with something else than JSON breaks the protocol', () => {
    const broken = frameOf('{"jsonrpc":"2.0","id":1000000000,"result":{x}}');
    expect(nameOf(parseAnswer(broken, peek(broken.buffer, broken.body, broken.end)))).toBe('SKYPORT_BACKEND_PROTOCOL');
  });
});

describe('what the server sends on its own account', () => {
  it('reaches the attachment of its session, and no other', async () => {
    const [client, other] = [new FakeClient(), new FakeClient(2)];
    attach(sessionOf('s1').session, link, client);
    attach(sessionOf('s2').session, link, other);
    peer.send({ method: 'session.event', params: { sessionId: 's1', event: { type: 'assistant.message' } } });
    peer.send({ method: 'session.event', params: { sessionId: 's3', event: { type: 'session.idle' } } });
    await read();
    expect([client.events, other.events, told.broadcasts]).toEqual([['assistant.message'], [], ['marker']]);
  });

  it('reaches the backend when it is for more than one attachment', async () => {
    peer.send({ method: 'session.lifecycle', params: { sessionId: 's1' } });
    await read();
    expect(told.broadcasts).toEqual(['session.lifecycle', 'marker']);
  });

  it('reaches the client of the attachment when it is a request, and its answer goes back under the server\'s id', async () => {
    const client = new FakeClient();
    attach(sessionOf('s1').session, link, client);
    peer.send({ id: 5, method: 'userInput.request', params: { sessionId: 's1' } });
    await read();
    expect(client.asked).toMatchObject([{ idToken: '5', link }]);
    const answer = frameOf('{"jsonrpc":"2.0","id":1,"result":{"answer":"yes"}}');
    const { idStart, idEnd } = peek(answer.buffer, answer.body, answer.end);
    link.answer(answer, idStart, idEnd, client.asked[0]!.idToken);
    expect(await peer.message(1)).toEqual({ jsonrpc: '2.0', id: 5, result: { answer: 'yes' } });
  });

  it('is refused when nobody is attached who could answer', async () => {
    peer.send({ id: 'x', method: 'hooks.invoke', params: { sessionId: 's1' } });
    expect(await peer.message(1)).toMatchObject({ id: 'x', error: { code: -32074 } });
  });

  it('is refused when clients have no part in it', async () => {
    attach(sessionOf('s1').session, link, new FakeClient());
    peer.send({ id: 1, method: 'sessionFs.readFile', params: { sessionId: 's1' } });
    expect(await peer.message(1)).toMatchObject({ id: 1, error: { code: -32601, message: 'Unhandled method sessionFs.readFile' } });
  });

  it('that is no message of the protocol ends the link', async () => {
    const client = new FakeClient();
    attach(sessionOf('s1').session, link, client);
    peer.sendText('{"jsonrpc":"2.0"}');
    await until(() => !link.open);
    expect(told.outcomes).toEqual(['bad: protocol error: not a JSON-RPC message']);
    expect(told.closed).toEqual(['protocol error: not a JSON-RPC message']);
  });

  it('that is no frame ends the link', async () => {
    peer.socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
    await until(() => !link.open);
    expect(told.outcomes[0]).toMatch(/^bad: protocol error: /);
  });
});

describe('a place on a link', () => {
  it('is one attachment\'s of a session, for as long as it stays', () => {
    const { session } = sessionOf('s1');
    const attachment = attach(session, link, new FakeClient());
    expect([link.free('s1'), link.free('s2'), link.attached]).toEqual([false, true, 1]);
    attachment.gone();
    expect([link.free('s1'), link.attached]).toEqual([true, 0]);
  });

  it('is not given up by somebody who does not have it', () => {
    const first = attach(sessionOf('s1').session, link, new FakeClient());
    const second = attach(sessionOf('s1').session, link, new FakeClient(2));
    link.forget('s1', first);
    expect(link.free('s1')).toBe(false);
    link.forget('s1', second);
    expect(link.free('s1')).toBe(true);
  });

  it('where a client that left has left something is vacant, not free', () => {
    const { session } = sessionOf('s1');
    link.leaveResidue(session);
    expect([link.free('s1'), link.vacant('s1'), session.residues.has(link)]).toEqual([false, true, true]);
    link.clearResidue(session);
    expect(link.free('s1')).toBe(true);
  });

  it('where something was left is clean once somebody has attached there: a server replaces it', () => {
    const { session } = sessionOf('s1');
    link.leaveResidue(session);
    attach(session, link, new FakeClient());
    expect([link.vacant('s1'), session.residues.size]).toEqual([false, 0]);
  });

  it('is lost with the link', async () => {
    const client = new FakeClient();
    const attachment = attach(sessionOf('s1').session, link, client);
    peer.socket.destroy();
    await until(() => !link.open);
    expect([attachment.state, link.attached, link.free('s2')]).toEqual(['lost', 0, false]);
  });
});

describe('the end of a link', () => {
  afterEach(() => void vi.useRealTimers());

  it('is seen by nobody who looks for a link from the moment it is decided', () => {
    link.close('idle');
    expect([link.open, link.usable, link.free('s1'), link.vacant('s1')]).toEqual([true, false, false, false]);
  });

  it('comes at once for one that is retired while nothing waits', async () => {
    link.retire();
    await until(() => told.closed.length > 0);
    expect(told.closed).toEqual(['retired']);
  });

  it('waits for the calls of one that is retired, which takes nothing new meanwhile', async () => {
    const call = forward(link, '{"jsonrpc":"2.0","id":1,"method":"session.send"}');
    link.retire();
    await peer.message(1);
    expect([link.open, link.free('s1')]).toEqual([true, false]);
    peer.send({ id: 1_000_000_000, result: 1 });
    await until(() => !link.open);
    expect([call.outcomes.length, told.closed]).toEqual([2, ['retired']]);
  });

  it('comes for one that is retired also when its last call is given up', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    void link.call('ping', {}, 2_000);
    link.retire();
    vi.advanceTimersByTime(2_000);
    await until(() => !link.open);
    expect(told.closed).toEqual(['retired']);
  });

  it('is told once, after the calls and the attachments have been', async () => {
    const order: string[] = [];
    const client = new FakeClient();
    const { session } = sessionOf('s1');
    attach(session, link, client);
    startTurn(session);
    client.deliverText = () => order.push('turn lost');
    const call = new Waiting();
    call.onLost = () => order.push('call lost');
    const message = frameOf('{"jsonrpc":"2.0","id":1,"method":"session.send"}');
    const { idStart, idEnd } = peek(message.buffer, message.body, message.end);
    link.forward(message, idStart, idEnd, call);
    peer.socket.destroy();
    await until(() => told.closed.length > 0);
    expect(order).toEqual(['call lost', 'turn lost', 'turn lost']);
    expect(told.closed).toHaveLength(1);
  });

  it('lets those go on who wait for the server to take more', async () => {
    let resumed = 0;
    link.whenDrained(() => resumed++);
    peer.socket.destroy();
    await until(() => !link.open);
    expect(resumed).toBe(1);
  });
});

describe('a server that does not read', () => {
  it('lets those go on who wait when it has taken what waited, once', async () => {
    peer.socket.pause();
    const big = 'x'.repeat(1 << 20);
    for (let n = 0; n < 16; n++) link.refuseRequest('1', refuse('SKYPORT_CLIENT_GONE', big));
    let resumed = 0;
    link.whenDrained(() => resumed++);
    await until(() => transport.bytesOut > 0);
    expect([resumed, transport.bufferedBytes > 1 << 20]).toEqual([0, true]);
    peer.socket.resume();
    await until(() => resumed > 0);
    await peer.message(16);
    expect(resumed).toBe(1);
  });
});

describe('a shutdown notice', () => {
  it('is told to the backend, and the call gets its answer all the same', async () => {
    const call = forward(link, '{"jsonrpc":"2.0","id":1,"method":"ping"}');
    peer.send({ id: 1_000_000_000, error: NOTICE });
    await until(() => link.waiting === 0);
    expect([told.notices, call.outcomes.length]).toEqual([1, 2]);
  });

  it.each([
    { error: { code: -32603, message: 'Custom agent \'SERVER_SHUTTING_DOWN\' not found' } },
    { error: { code: -32603, message: 'SERVER_SHUTTING_DOWN' } },
    { error: { code: -32000, message: 'SERVER_SHUTTING_DOWN is no tool' } },
    { error: { code: -32000, message: 'no', data: 'SERVER_SHUTTING_DOWN' } },
    { result: NOTICE },
  ])('is nothing that a client could have put there: %j', async (answer) => {
    forward(link, '{"jsonrpc":"2.0","id":1,"method":"ping"}');
    peer.send({ id: 1_000_000_000, ...answer });
    await until(() => link.waiting === 0);
    expect(told.notices).toBe(0);
  });
});

describe('the nudge', () => {
  beforeEach(() => open(true));

  it('answers what the server sends while an answer is awaited', async () => {
    forward(link, '{"jsonrpc":"2.0","id":1,"method":"ping"}');
    await peer.message(1);
    const sent = peer.bytes.length;
    await read();
    await until(() => peer.bytes.length > sent);
    expect(peer.bytes.subarray(sent).toString()).toBe('A:1\r\n');
  });

  it('answers what the server sends while a turn is open', async () => {
    const { session } = sessionOf('s1');
    attach(session, link, new FakeClient());
    startTurn(session);
    await read();
    await until(() => peer.bytes.length > 0);
    expect(peer.bytes.toString()).toBe('A:1\r\n');
  });

  it('is silent while nothing is awaited', async () => {
    await read();
    link.refuseRequest('1', refuse('SKYPORT_CLIENT_GONE'));
    await peer.message(1);
    expect(peer.bytes.toString()).toMatch(/^Content-Length: /);
  });

  it('is silent when the turn is over and the call answered', async () => {
    const { session } = sessionOf('s1');
    attach(session, link, new FakeClient());
    startTurn(session);
    forward(link, '{"jsonrpc":"2.0","id":1,"method":"ping"}');
    await peer.message(1);
    peer.send({ method: 'session.event', params: { sessionId: 's1', event: { type: 'session.idle' } } }, { id: 1_000_000_000, result: 1 });
    await until(() => link.waiting === 0);
    await read();
    const sent = peer.bytes.length;
    await read();
    link.refuseRequest('1', refuse('SKYPORT_CLIENT_GONE'));
    await peer.message(2);
    expect(peer.bytes.subarray(sent).toString()).toMatch(/^Content-Length: /);
  });

  it('is never sent to a server that was not probed', async () => {
    await open(false);
    forward(link, '{"jsonrpc":"2.0","id":1,"method":"ping"}');
    await peer.message(1);
    await read();
    forward(link, '{"jsonrpc":"2.0","id":2,"method":"ping"}');
    await peer.message(2);
    expect(peer.bytes.toString()).not.toContain('A:1');
  });

  it('gives way to a ping when the open header is nearly full', async () => {
    transport.seen!.onNudgeFull!();
    expect(await peer.message(1)).toMatchObject({ method: 'ping', id: 1_000_000_000 });
  });
});
