/** One client of the load: a connection that knows its frames by where their digits are. */
import net from 'node:net';
import { digits, EVENT_PLACE_AT, EVENT_SESSION_AT, frameOf, HEAD, ID_AT, METHOD, NUMBER_AT, PLACE_DIGITS, RequestFrame, SESSION_DIGITS } from './frames.js';
import { Calls, type Ledger } from './ledger.js';
import { ROOM, Splitter } from './splitter.js';

export interface ClientHost {
  readonly ledger: Ledger;
  /** Of the body of an event; 0: any. */
  readonly eventBytes: number;
  /** An event came: the session's number and the event's place in it. */
  onEvent(session: number, place: number): void;
  /** @param since when it was to be asked */
  onAnswer(client: Client, since: number): void;
  /** All that one read gave has been seen. */
  onRead(client: Client): void;
  onClosed(client: Client): void;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly sessionId?: string; readonly event?: { readonly type?: string } };
  readonly result?: unknown;
  readonly error?: { readonly message?: string };
}

/** What all sockets of the process read into, one after the other. */
const memory = Buffer.allocUnsafeSlow(ROOM + 64 * 1024);
const readTo = memory.subarray(ROOM);

const ID_OF_ANSWER = 0x69;
/** `}` */
const CLOSED = 0x7d;
const KIND_AT = '{"jsonrpc":"2.0",'.length + 1;
const EVENT_AT = '{"jsonrpc":"2.0","method":"session.'.length;
const RESULT_SESSION = ',"result":{"sessionId":"'.length + NUMBER_AT;
const MOST_WAITING = 4096;

export class Client {
  readonly calls = new Calls(MOST_WAITING);
  /** Requests about `session`, or pings. */
  requests: RequestFrame | undefined;
  /** That its answers are to be about; -1 for pings. */
  session = -1;
  /** Of the last error. */
  refusal: string | undefined;
  closed = false;
  readonly socket: net.Socket;
  private readonly splitter = new Splitter((buffer, start, end, length) => this.receive(buffer, start, end, length));
  private readonly slow = new Map<number, (message: Message) => void>();
  private lastSlow = 0;
  private idles = new Map<string, () => void>();

  constructor(readonly number: number, private readonly host: ClientHost, address: { readonly host: string; readonly port: number }) {
    this.socket = net.connect({
      ...address, noDelay: true,
      onread: {
        buffer: readTo,
        callback: (bytes) => {
          try {
            this.splitter.read(memory, ROOM, ROOM + bytes);
          } catch {
            host.ledger.mistakes.strange++;
            this.socket.destroy();
          }
          host.onRead(this);
          return true;
        },
      },
    });
    this.socket.on('error', () => undefined);
    this.socket.once('close', () => {
      this.closed = true;
      for (const answered of this.slow.values()) answered({ error: { message: 'closed' } });
      this.slow.clear();
      host.onClosed(this);
    });
  }

  connected(): Promise<boolean> {
    return new Promise((resolve) => this.socket.once('connect', () => resolve(true)).once('close', () => resolve(false)));
  }

  /** A call that is not part of what is measured. @throws what it was refused with */
  async call<Result>(method: string, params: object): Promise<Result> {
    const id = ++this.lastSlow;
    if (this.closed) throw new Error(`${method}: closed`);
    this.socket.write(frameOf(JSON.stringify({ jsonrpc: '2.0', id, method, params })));
    const message = await new Promise<Message>((resolve) => this.slow.set(id, resolve));
    if (message.error) throw new Error(`${method}: ${message.error.message ?? ''}`);
    return message.result as Result;
  }

  /** Waits for the end of a turn. */
  untilIdle(sessionId: string): Promise<void> {
    return new Promise((resolve) => this.idles.set(sessionId, resolve));
  }

  /** What the measured requests will be. @param sessionId left out: pings */
  prepare(sessionId: string | undefined, session: number): void {
    this.session = session;
    this.requests = sessionId === undefined ? new RequestFrame('ping', '{}') : new RequestFrame(METHOD, `{"sessionId":"${sessionId}"}`);
  }

  /** @param at when they are sent, or should have been */
  ask(count: number, at: number): void {
    const requests = this.requests!;
    const first = requests.last + 1;
    for (let id = first; id < first + count; id++) this.calls.asked(id, at);
    this.socket.write(requests.take(count));
  }

  private receive(buffer: Buffer, start: number, end: number, length: number): void {
    if (end - start < KIND_AT + 20) return this.read(buffer, start, end);
    if (buffer[start + KIND_AT] === ID_OF_ANSWER) return this.answer(buffer, start, end);
    // session.event
    const session = start + EVENT_SESSION_AT;
    const place = start + EVENT_PLACE_AT;
    if (buffer[start + EVENT_AT] === 0x65 && end - start >= HEAD && buffer[session + SESSION_DIGITS] === 0x22 && buffer[place - 1] === 0x2d) {
      const number = digits(buffer, session, SESSION_DIGITS);
      const inSession = digits(buffer, place, PLACE_DIGITS);
      const entire = this.host.eventBytes === 0 || length === this.host.eventBytes;
      if (number >= 0 && inSession >= 0 && entire && (end - start < length || buffer[end - 1] === CLOSED)) {
        this.host.ledger.event(this.number, number, inSession);
        this.host.onEvent(number, inSession);
        return;
      }
    }
    this.read(buffer, start, end);
  }

  private answer(buffer: Buffer, start: number, end: number): void {
    let at = start + ID_AT;
    let id = 0;
    for (; at < end; at++) {
      const digit = buffer[at]! - 0x30;
      if (digit < 0 || digit > 9) break;
      id = id * 10 + digit;
    }
    if (id < 1_000_000_000) return this.read(buffer, start, end);
    const since = this.calls.answered(id);
    if (since === undefined) this.host.ledger.mistakes.strange++;
    else {
      if (this.session >= 0 && digits(buffer, at + RESULT_SESSION, SESSION_DIGITS) !== this.session) this.misread(buffer, start, end);
      this.host.onAnswer(this, since);
    }
  }

  /** An answer that does not look as usual: to somebody else, or refused, or with its keys in another order. */
  private misread(buffer: Buffer, start: number, end: number): void {
    const { error, result } = JSON.parse(buffer.toString('utf8', start, end)) as Message;
    const { mistakes } = this.host.ledger;
    if (error) {
      mistakes.refused++;
      this.refusal = error.message;
    } else if (Number((result as { sessionId?: string } | undefined)?.sessionId?.slice(-SESSION_DIGITS)) !== this.session) mistakes.misrouted++;
  }

  private read(buffer: Buffer, start: number, end: number): void {
    const text = buffer.toString('utf8', start, end);
    let message: Message;
    try {
      message = JSON.parse(text) as Message;
    } catch {
      this.host.ledger.mistakes.strange++;
      return;
    }
    const { id, method, params } = message;
    if (method === undefined) {
      const answered = this.slow.get(id!);
      this.slow.delete(id!);
      if (answered) answered(message);
      else this.host.ledger.mistakes.strange++;
      return;
    }
    const event = method === 'session.event' ? params?.event : undefined;
    if (event?.type === 'session.idle') {
      const { sessionId = '' } = params!;
      this.idles.get(sessionId)?.();
      this.idles.delete(sessionId);
    } else if (event?.type === 'assistant.message_delta' && params) {
      if (this.host.eventBytes > 0 && end - start !== this.host.eventBytes) this.host.ledger.mistakes.strange++;
      else this.otherOrder(params.sessionId ?? '', message);
    }
  }

  /** An event of the stream whose keys are in another order. */
  private otherOrder(sessionId: string, message: Message): void {
    const data = (message.params as { event?: { data?: { messageId?: string } } }).event?.data;
    const number = Number(sessionId.slice(-SESSION_DIGITS));
    const place = Number((data?.messageId ?? '').slice(-PLACE_DIGITS));
    this.host.ledger.event(this.number, number, place);
    this.host.onEvent(number, place);
  }
}
