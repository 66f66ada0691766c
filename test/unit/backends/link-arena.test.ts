/** Links read into memory that the next read overwrites: whoever keeps anything of what a server has sent has a copy. */
import { beforeEach, expect, it } from 'vitest';
import { Link } from '../../../proxy/backends/link.js';
import { Journal } from '../../../proxy/sessions/journal.js';
import type { Frame } from '../../../proxy/wire/frame.js';
import { TcpTransport } from '../../../proxy/wire/tcp.js';
import { attach, FakeClient, sessionOf, startTurn } from '../sessions/cast.js';
import { arenaPair, until } from '../wire/sockets.js';
import { Peer, Told } from './peer.js';

class Reader extends FakeClient {
  readonly seen: string[] = [];

  override deliverEvent({ buffer, body, end }: Frame): void {
    this.seen.push(buffer.toString('utf8', body, end));
  }
}

let link: Link;
let peer: Peer;
let told: Told;

beforeEach(async () => {
  const { near, far, intake } = await arenaPair();
  told = new Told();
  link = new Link(new TcpTransport(near, { maxFrame: 1 << 24, trusted: true, intake }), '', told, false);
  peer = new Peer(far);
});

/** An event's message, as the runtime writes it. */
function event(sessionId: string, type: string, id: string, data: object = {}): string {
  return `{"jsonrpc":"2.0","method":"session.event","params":{"sessionId":"${sessionId}","event":${inner(type, id, data)}}}`;
}

function inner(type: string, id: string, data: object = {}): string {
  return `{"type":"${type}","data":${JSON.stringify(data)},"id":"${id}","timestamp":"t","parentId":null}`;
}

async function sent(...messages: string[]): Promise<void> {
  const before = told.broadcasts.length;
  for (const message of messages) peer.sendText(message);
  peer.send({ method: 'marker', params: {} });
  await until(() => told.broadcasts.length > before);
}

it('each event goes to the attachment of its session, and to none that has left', async () => {
  const ids = ['4f1c09ab-0000-4000-8000-000000000017', '4f1c09ab-0000-4000-8000-000000000018', 's1', 'user-alice-1234'];
  const clients = ids.map(() => new Reader());
  const attachments = ids.map((id, n) => attach(sessionOf(id).session, link, clients[n]!));
  const types = ['assistant.message_delta', 'assistant.message', 'x'];
  const stream = [0, 1, 2, 3].flatMap((round) => ids.flatMap((id) => types.map((type) => event(id, type, `${id} ${round}`, { round }))));
  await sent(...stream, event('4f1c09ab-0000-4000-8000-000000000019', 'assistant.message_delta', 'nobody'));
  ids.forEach((id, n) => expect(clients[n]!.seen).toEqual(stream.filter((text) => text.includes(`"${id}"`))));
  attachments[0]!.gone();
  const other = new Reader();
  await sent(event(ids[0]!, 'assistant.message_delta', 'lost'));
  attach(sessionOf(ids[0]).session, link, other);
  await sent(event(ids[0]!, 'assistant.message_delta', 'found'));
  expect([clients[0]!.seen.length, other.seen]).toEqual([12, [event(ids[0]!, 'assistant.message_delta', 'found')]]);
});

it('the journal, the prompts, requests and what a held client misses stay as they came', async () => {
  const { session } = sessionOf('session-of-alice');
  session.journal = new Journal();
  const client = new Reader();
  const attachment = attach(session, link, client);
  attach(sessionOf('session-of-bob').session, link, new Reader());
  startTurn(session);
  const noise = Array.from({ length: 50 }, (_, n) => event('session-of-bob', 'assistant.message', `b${n}`, { text: 'bob'.repeat(40) }));
  const lasting = [event(session.id, 'assistant.message', 'm1', { text: 'alice' }), event(session.id, 'permission.requested', 'm2', { requestId: 'r1' })];
  await sent(...lasting, ...noise);
  await sent(`{"jsonrpc":"2.0","id":5,"method":"userInput.request","params":{"sessionId":"${session.id}","question":"which?"}}`, ...noise);
  attachment.vanished(0, 30_000, []);
  const missed = [event(session.id, 'assistant.message_delta', 'd1', { text: 'missed' }), event(session.id, 'assistant.message', 'm3')];
  await sent(...missed, ...noise);
  const back = new Reader();
  attachment.adopt(back);
  attachment.attached();
  attachment.deliverUnanswered();
  expect(session.journal.missing(new Set(), new Set())).toEqual([inner('assistant.message', 'm1', { text: 'alice' }), inner('permission.requested', 'm2', { requestId: 'r1' }), inner('assistant.message', 'm3')]);
  expect(session.prompts.message('r1')!.toString()).toBe(lasting[1]);
  expect(client.asked.map(({ body, idToken }) => [JSON.parse(body.toString()), idToken])).toEqual([[expect.objectContaining({ params: { sessionId: session.id, question: 'which?' } }), '5']]);
  expect([client.seen, back.seen]).toEqual([lasting, [lasting[1], ...missed]]);
});

it('a turn in which only deltas come is not still', async () => {
  const { session } = sessionOf('session-of-alice');
  attach(session, link, new Reader());
  startTurn(session);
  session.stall!.look(1000, false);
  expect(session.stall!.look(2000, false)).toBe(1000);
  await sent(event(session.id, 'assistant.message_delta', 'd1'));
  expect(session.stall!.look(3000, false)).toBe(0);
});
