/** The server's end of one link: it reads what the link sends and says what a test tells it to. */
import type { Socket } from 'node:net';
import { Link, type Call, type LinkEvents } from '../../../proxy/backends/link.js';
import { isRefusal, type Refusal } from '../../../proxy/protocol/errors.js';
import { frameOf, type Frame } from '../../../proxy/wire/frame.js';
import { peek, type Peek } from '../../../proxy/wire/peek.js';
import { TcpTransport, type TcpEvents } from '../../../proxy/wire/tcp.js';
import { frame, FrameReader } from '../../support/framing.js';
import { socketPair, until } from '../wire/sockets.js';

export interface Message {
  readonly id?: number | string;
  readonly method?: string;
  readonly params?: { readonly [name: string]: unknown };
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string };
}

export class Peer {
  /** Everything that came, as it came. */
  bytes = Buffer.alloc(0);
  readonly messages: Message[] = [];
  private readonly reader = new FrameReader();

  constructor(readonly socket: Socket) {
    socket.on('data', (chunk) => {
      this.bytes = Buffer.concat([this.bytes, chunk]);
      for (const text of this.reader.push(chunk)) this.messages.push(JSON.parse(text) as Message);
    });
  }

  /** Waits until so many messages have come. @returns the last of them */
  async message(count: number): Promise<Message> {
    await until(() => this.messages.length >= count);
    return this.messages[count - 1]!;
  }

  send(...messages: object[]): void {
    for (const message of messages) this.socket.write(frame(JSON.stringify({ jsonrpc: '2.0', ...message })));
  }

  sendText(text: string): void {
    this.socket.write(frame(text));
  }
}

/** A transport whose owner's callbacks can be called by a test. */
export class SeenTransport extends TcpTransport {
  seen: TcpEvents | undefined;

  override listen(events: TcpEvents): void {
    this.seen = events;
    super.listen(events);
  }
}

/** What a link tells its backend. */
export class Told implements LinkEvents {
  readonly broadcasts: string[] = [];
  readonly outcomes: string[] = [];
  readonly closed: string[] = [];
  /** Requests for sessions' files that the backend took: their ids as they came, and their methods. */
  readonly stateRequests: { readonly idToken: string; readonly method: string }[] = [];
  takesStateRequests = false;
  notices = 0;

  onBroadcast: LinkEvents['onBroadcast'] = (_link, _frame, { method }) => void this.broadcasts.push(method);
  onStateRequest: LinkEvents['onStateRequest'] = (_link, { buffer }, { method, idStart, idEnd }) => {
    if (this.takesStateRequests) this.stateRequests.push({ idToken: buffer.toString('utf8', idStart, idEnd), method });
    return this.takesStateRequests;
  };

  onShutdownNotice = (): void => void this.notices++;
  onClosed: LinkEvents['onClosed'] = (_link, reason) => void this.closed.push(reason);
  onOutcome: LinkEvents['onOutcome'] = (ok, reason) => void this.outcomes.push(`${ok ? 'ok' : 'bad'}: ${reason}`);
}

export interface LinkUnderTest {
  readonly link: Link;
  readonly peer: Peer;
  readonly told: Told;
  readonly transport: SeenTransport;
}

export async function linkPair(nudged = false): Promise<LinkUnderTest> {
  const [near, far] = await socketPair();
  const told = new Told();
  const transport = new SeenTransport(near, { maxFrame: 1 << 24 });
  return { link: new Link(transport, '', told, nudged), peer: new Peer(far), told, transport };
}

/** A client's call that waits on a link; `outcomes` are the answers' texts and the names of refusals. */
export class Waiting implements Call {
  readonly outcomes: string[] = [];

  onAnswer(answer: Frame, { idStart, idEnd }: Peek): void {
    const { buffer, body, end } = answer;
    this.outcomes.push(buffer.toString('utf8', body, end), buffer.toString('utf8', idStart, idEnd));
  }

  onLost({ name }: Refusal): void {
    this.outcomes.push(name);
  }
}

/** Forwards a message of a client, as the path does. */
export function forward(link: Link, json: string): Waiting {
  const waiting = new Waiting();
  const message = frameOf(json);
  const { idStart, idEnd } = peek(message.buffer, message.body, message.end);
  link.forward(message, idStart, idEnd, waiting);
  return waiting;
}

/** The name of a refusal, or what else it is. */
export function nameOf(value: object): string {
  return isRefusal(value as Refusal) ? (value as Refusal).name : JSON.stringify(value);
}
