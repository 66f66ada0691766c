/**
 * A link: one of Skyport's connections to a backend, shared by many clients.
 *
 *   calls     every request gets an id of the link's own (ten digits, so that most answers can be
 *             rewritten in place); the answer finds the call that waits for it
 *   sessions  at most one attachment of a session; its events and the server's requests go there
 *   state     on the control link, the server asks for sessions' files; the backend has that answered
 *   nudge     while an answer or a turn is awaited, each received chunk is answered with one header
 *             line of the next frame, which carries the ACK that Nagle waits for (PROTOCOL: Framing)
 */
import { performance } from 'node:perf_hooks';
import { arena } from '../wire/arena.js';
import { sessionIdAt, typeInArena } from '../wire/event-head.js';
import { readAt } from '../wire/clock.js';
import type { Frame, WireFault } from '../wire/frame.js';
import { IdTable } from '../wire/id-table.js';
import { Known, knownEnd } from '../wire/known.js';
import { peek, type Peek } from '../wire/peek.js';
import { withId, withNumber } from '../wire/rewrite.js';
import type { CloseCause } from '../wire/transport.js';
import type { TcpTransport } from '../wire/tcp.js';
import { errorReply, isRefusal, refuse, type Refusal } from '../protocol/errors.js';
import { lookupServerRequest } from '../protocol/catalogue.js';
import type { Answer, Attachment, SessionLink } from '../sessions/attachment.js';
import type { Session } from '../sessions/session.js';
import type { ConnectResult } from './dial.js';

/** Somebody who waits for an answer. Exactly one of the two is called, once. */
export interface Call {
  /** `frame` is the link's; its bytes may be rewritten in place. */
  onAnswer(frame: Frame, peeked: Peek): void;
  onLost(refusal: Refusal): void;
}

export interface LinkEvents {
  /** A notification for other than one attachment: lifecycle, telemetry. */
  onBroadcast(link: Link, frame: Frame, peeked: Peek): void;
  /**
   * The server asks for something of a session's files. Whoever takes the request answers it by `reply`.
   * @param frame not kept after the call
   * @returns false when it is not taken: the link refuses it
   */
  onStateRequest(link: Link, frame: Frame, peeked: Peek): boolean;
  /** The server says that it is shutting down. */
  onShutdownNotice(link: Link): void;
  onClosed(link: Link, reason: string): void;
  /** How a call of Skyport's own went, by the server's doing. */
  onOutcome(ok: boolean, reason: string): void;
}

/** Ten digits, the widest id that every JSON parser keeps exact and the runtime takes (i64). */
const FIRST_ID = 1_000_000_000;
const LAST_ID = 9_999_999_999;

export class Link implements SessionLink {
  open = true;
  /** Closes as soon as no call waits; takes nothing new. */
  retiring = false;
  /** What the server answered to this link's `connect`; set before anybody else sees the link. */
  connected: ConnectResult | undefined;
  /** When the link last lost its last attachment or call, for the janitor. */
  idleSince = performance.now();
  private readonly calls = new IdTable<Call>();
  private readonly attachments = new Map<string, Attachment>();
  /** The same, for events that lie in the arena. */
  private readonly known = new Known<Attachment>();
  /** Sessions that were detached here while others stayed: the server keeps what they registered. */
  private readonly residues = new Set<string>();
  private readonly openTurns = new Set<Session>();
  private readonly blocked = new Set<() => void>();
  /** Ids of the sessions that lived here when it was closed. */
  lost: readonly string[] = [];
  /** When bytes came last, monotonic milliseconds. */
  heardAt = -Infinity;
  /**
   * The server asks here for sessions' files, at any time: its request waits for the ACK of whatever it
   * has sent before, be it news that nobody answers.
   */
  serving = false;
  private nextId = FIRST_ID;

  constructor(
    readonly transport: TcpTransport,
    readonly profile: string,
    private readonly events: LinkEvents,
    /** The server is known to take the nudge. */
    public nudged: boolean,
  ) {
    transport.listen({
      onFrame: (frame) => this.onFrame(frame),
      onChunk: () => this.onChunk(),
      onNudgeFull: () => this.ping(),
      onDrain: () => this.drained(),
      onFault: (fault) => this.onFault(fault),
      onClose: (cause) => this.onClose(cause),
    });
  }

  get waiting(): number {
    return this.calls.size;
  }

  get attached(): number {
    return this.attachments.size;
  }

  /** Takes what is new. A link that was just closed does not, though its end is yet to be seen. */
  get usable(): boolean {
    return this.open && !this.retiring && !this.transport.closed;
  }

  /** Whether a (further) attachment of the session may live here. */
  free(sessionId: string): boolean {
    return this.vacant(sessionId) && !this.residues.has(sessionId);
  }

  /** As `free`, but somebody who detached may have left something: whoever attaches here takes it over. */
  vacant(sessionId: string): boolean {
    return this.usable && !this.attachments.has(sessionId);
  }

  /**
   * Passes a client's request on under an id of the link's own.
   * @param frame not kept after the call
   */
  forward(frame: Frame, idStart: number, idEnd: number, call: Call): void {
    if (!this.open) {
      call.onLost(refuse('SKYPORT_BACKEND_LOST'));
      return;
    }
    const id = this.register(call);
    this.transport.sendFrame(withNumber(frame, idStart, idEnd, id));
  }

  /** A request of Skyport's own. */
  call(method: string, params: object, deadlineMs: number): Promise<Answer | Refusal> {
    return new Promise((resolve) => {
      if (!this.open) {
        resolve(refuse('SKYPORT_BACKEND_LOST'));
        return;
      }
      const call: Call = {
        onAnswer: (frame, peeked) => {
          clearTimeout(deadline);
          this.events.onOutcome(true, method);
          resolve(parseAnswer(frame, peeked));
        },
        onLost: (refusal) => {
          clearTimeout(deadline);
          resolve(refusal);
        },
      };
      const id = this.register(call);
      const deadline = setTimeout(() => {
        this.ended(id);
        this.events.onOutcome(false, `${method} was not answered in time`);
        resolve(refuse('SKYPORT_BACKEND_LOST', `The CLI server did not answer ${method} in time`));
      }, deadlineMs);
      this.transport.sendText(`{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${JSON.stringify(params)}}`);
    });
  }

  /** Nobody waits for the answer of this call any more. @returns false when it had been answered */
  abandon(call: Call): boolean {
    const id = this.calls.idOf(call);
    if (id !== undefined) this.ended(id as number);
    return id !== undefined;
  }

  /** Passes a client's answer back to the server, under the server's id. */
  answer(frame: Frame, idStart: number, idEnd: number, idToken: string): void {
    if (this.open) this.transport.sendFrame(withId(frame, idStart, idEnd, idToken));
  }

  refuseRequest(idToken: string, refusal: Refusal): void {
    if (this.open) this.transport.sendText(errorReply(idToken, refusal));
  }

  /** Answers a request that was taken by `onStateRequest`. @param reply with a `result` or an `error` */
  reply(idToken: string, reply: object): void {
    if (this.open) this.transport.sendText(`{"jsonrpc":"2.0","id":${idToken},${JSON.stringify(reply).slice(1)}`);
  }

  attach(sessionId: string, attachment: Attachment): void {
    this.attachments.set(sessionId, attachment);
    this.known.set(sessionId, attachment);
    if (this.residues.delete(sessionId)) attachment.session.residues.delete(this);
  }

  forget(sessionId: string, attachment: Attachment): void {
    if (this.attachments.get(sessionId) !== attachment) return;
    this.attachments.delete(sessionId);
    this.known.delete(sessionId);
    if (this.attachments.size === 0) this.idleSince = performance.now();
  }

  leaveResidue(session: Session): void {
    this.residues.add(session.id);
    session.residues.add(this);
  }

  /** The session is not loaded any more: the server has dropped what was registered for it. */
  clearResidue(session: Session): void {
    this.residues.delete(session.id);
  }

  /** Calls `resume` when the server has taken what waits for it, or the link is gone. */
  whenDrained(resume: () => void): void {
    this.blocked.add(resume);
  }

  watch(session: Session): void {
    this.openTurns.add(session);
  }

  unwatch(session: Session): void {
    this.openTurns.delete(session);
  }

  /** Takes nothing new and closes once no call waits. The server sees what a leaving client shows it. */
  retire(): void {
    this.retiring = true;
    if (this.calls.size === 0) this.close('retired');
  }

  close(reason: string): void {
    this.transport.destroy(reason);
  }

  private register(call: Call): number {
    const id = this.nextId;
    this.nextId = id === LAST_ID ? FIRST_ID : id + 1;
    this.calls.add(id, call);
    return id;
  }

  private onChunk(): void {
    this.heardAt = readAt;
    if (this.nudged && (this.calls.size > 0 || this.openTurns.size > 0 || this.serving)) this.transport.nudge(this.heardAt);
  }

  /** The open header is nearly full: a real frame closes it. */
  private ping(): void {
    void this.call('ping', {}, 10_000);
  }

  private onFrame(frame: Frame): void {
    if (frame.buffer === arena && this.onUsualEvent(frame)) return;
    const peeked = peek(frame.buffer, frame.body, frame.end);
    switch (peeked.kind) {
      case 'notification':
        this.onNotification(frame, peeked);
        break;
      case 'response':
        this.onResponse(frame, peeked);
        break;
      case 'request':
        this.onRequest(frame, peeked);
        break;
      default:
        this.onFault({ reason: 'invalid_request', message: 'not a JSON-RPC message' });
    }
  }

  /** An event as nearly all are: in the arena, spelt as the runtime does, of a session that is attached here. */
  private onUsualEvent(frame: Frame): boolean {
    const id = sessionIdAt(arena, frame.body, frame.end);
    const attachment = id < 0 ? undefined : this.known.find(id, frame.end);
    const type = attachment && typeInArena(knownEnd, frame.end);
    if (type === undefined) return false;
    attachment!.onEvent(frame, type);
    return true;
  }

  private onNotification(frame: Frame, peeked: Peek): void {
    if (peeked.method === 'session.event') {
      if (peeked.sessionId !== undefined) this.attachments.get(peeked.sessionId)?.onEvent(frame, peeked.eventType);
      return;
    }
    this.events.onBroadcast(this, frame, peeked);
  }

  private onResponse(frame: Frame, peeked: Peek): void {
    const id = readId(frame.buffer, peeked.idStart, peeked.idEnd);
    const call = this.calls.get(id);
    // An unknown id: the call was given up on by its deadline. `null`: nothing to find it by.
    if (!call) return;
    if (peeked.isError && isShutdownNotice(frame, peeked)) this.events.onShutdownNotice(this);
    this.calls.take(id);
    call.onAnswer(frame, peeked);
    this.rested();
  }

  private ended(id: number): void {
    this.calls.take(id);
    this.rested();
  }

  private rested(): void {
    if (this.calls.size > 0) return;
    this.idleSince = performance.now();
    if (this.retiring) this.close('retired');
  }

  private onRequest(frame: Frame, peeked: Peek): void {
    const spec = lookupServerRequest(peeked.method);
    const attachment = peeked.sessionId === undefined ? undefined : this.attachments.get(peeked.sessionId);
    if (spec?.deliver === 'attachment' && attachment) {
      attachment.onRequest(frame, peeked);
      return;
    }
    if (spec?.deliver === 'provider' && peeked.method.startsWith('sessionFs.') && this.events.onStateRequest(this, frame, peeked)) return;
    const idToken = frame.buffer.toString('utf8', peeked.idStart, peeked.idEnd);
    const refusal =
      spec?.deliver === 'attachment'
        ? refuse('SKYPORT_CLIENT_GONE')
        : refuse('SKYPORT_METHOD_UNKNOWN', `Unhandled method ${peeked.method}`);
    this.refuseRequest(idToken, refusal);
  }

  private drained(): void {
    const blocked = [...this.blocked];
    this.blocked.clear();
    for (const resume of blocked) resume();
  }

  private onFault(fault: WireFault): void {
    this.events.onOutcome(false, `protocol error: ${fault.message}`);
    this.close(`protocol error: ${fault.message}`);
  }

  private onClose(cause: CloseCause): void {
    this.open = false;
    const lost = refuse('SKYPORT_BACKEND_LOST');
    const calls = this.calls.all();
    this.calls.clear();
    const attachments = [...this.attachments.values()];
    this.lost = [...this.attachments.keys()];
    for (const call of calls) call.onLost(lost);
    for (const attachment of attachments) attachment.onLinkLost();
    this.attachments.clear();
    this.known.clear();
    this.openTurns.clear();
    this.residues.clear();
    this.drained();
    this.events.onClosed(this, cause.error ? `${cause.reason}: ${cause.error.message}` : cause.reason);
  }
}

/** The number at start..end, or -1 when it is not one of ours. */
function readId(buffer: Buffer, start: number, end: number): number {
  if (end - start !== 10) return -1;
  let id = 0;
  for (let i = start; i < end; i++) {
    const digit = buffer[i]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    id = id * 10 + digit;
  }
  return id;
}

/**
 * After `runtime.shutdown` requests are answered so (measured, runtime 1.0.85). Looked at closely:
 * other errors repeat what a client has sent, and nobody may talk a backend out of service.
 */
function isShutdownNotice(frame: Frame, peeked: Peek): boolean {
  if (frame.end - frame.body > 512) return false;
  if (!frame.buffer.toString('latin1', frame.body, frame.end).includes('SERVER_SHUTTING_DOWN')) return false;
  const answer = parseAnswer(frame, peeked);
  return !isRefusal(answer) && !answer.ok && answer.error.code === -32000 && answer.error.message === 'SERVER_SHUTTING_DOWN';
}

/** Reads an answer whole, for Skyport's own calls. */
export function parseAnswer(frame: Frame, _peeked: Peek): Answer | Refusal {
  try {
    const message = JSON.parse(frame.buffer.toString('utf8', frame.body, frame.end)) as {
      result?: unknown;
      error?: { code: number; message: string };
    };
    if (message.error) return { ok: false, error: { code: message.error.code, message: message.error.message } };
    return { ok: true, result: message.result };
  } catch {
    return refuse('SKYPORT_BACKEND_PROTOCOL');
  }
}

