/**
 * One request of a client on its way: from the frame that brought it to the one answer it gets.
 */
import { performance } from 'node:perf_hooks';
import { channels } from '../channels.js';
import type { Call, Link } from '../backends/link.js';
import { errorReply, refuse, type ErrorName, type Refusal } from '../protocol/errors.js';
import type { MethodSpec } from '../protocol/catalogue.js';
import type { Session } from '../sessions/session.js';
import type { Ticket } from '../sessions/order.js';
import { readAt } from '../wire/clock.js';
import type { Frame } from '../wire/frame.js';
import type { Peek } from '../wire/peek.js';
import type { Scan } from '../wire/scan.js';
import { withId, withNumber } from '../wire/rewrite.js';
import type { Client } from './client.js';
import { paramsOf } from './params.js';
import { pinOf, type Pin } from './pin.js';

/** Looks at an answer before the client gets it. `false`: it takes care of the answer itself. */
export type AnswerHook = (frame: Frame, peeked: Peek) => boolean | void;

/** Servers that may be lost under one call before it is refused. */
const MOST_TRIES = 5;

/** The id that a client gave: a whole number of up to 15 digits as a number, any other one as its JSON text. */
export type AskId = number | string;

const LARGEST_ID = 1e15;

/** The id at start..end, where `scan` has found it: there are no leading zeros. */
export function readAskId(buffer: Buffer, start: number, end: number): AskId {
  let id = 0;
  for (let at = start; at < end; at++) {
    const digit = buffer[at]! - 0x30;
    if (digit < 0 || digit > 9 || end - start > 15) return buffer.toString('utf8', start, end);
    id = id * 10 + digit;
  }
  return id;
}

/** Of an id that was parsed. */
export function askIdOf(id: unknown): AskId {
  return typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < LARGEST_ID ? id : JSON.stringify(id);
}

/** In the place of a message that was not kept. */
const NOTHING = Buffer.alloc(0);

/** It is the frame of its message itself: that one lives as long as the call. */
export class Ask implements Call, Frame {
  done = false;
  /** Passed on to a CLI server, or past the point of taking it back: cancelling it has no effect. */
  sent = false;
  backend: string | undefined;
  /** Runs on every answer of the server and, with nothing, when there will be none. */
  hook: AnswerHook | undefined;
  onEnd: ((ok: boolean) => void) | undefined;
  /** It has waited once for what was not there: its session, which another Skyport may have made, or a backend. */
  looked = false;
  /** Makes the call once more when its server is lost. A call that has it is kept until it is answered. */
  again: ((ask: Ask) => void) | undefined;
  /** Counts this call among those under way on it, until it ends. */
  counted: Session | undefined;
  private tries = 0;
  private link: Link | undefined;
  private session: Session | undefined;
  private ticket: Ticket | undefined;
  /** Set when the message is kept. */
  private pin: Pin | undefined;
  /** It counts among what its client has waiting. */
  private held = false;
  buffer: Buffer;
  start: number;
  body: number;
  end: number;
  private readonly startedAt = readAt;

  constructor(
    readonly client: Client,
    readonly id: AskId,
    readonly spec: MethodSpec,
    frame: Frame,
    /** Offsets into the frame's buffer. */
    public scan: Scan,
  ) {
    this.buffer = frame.buffer;
    this.start = frame.start;
    this.body = frame.body;
    this.end = frame.end;
  }

  /** The client's id as JSON text. */
  get idToken(): string {
    return String(this.id);
  }

  /**
   * Keeps the message beyond the call that brought it, because it has to wait or may have to be sent again: by
   * reference, where that keeps little else, for most are answered before anybody needs it.
   */
  keep(): void {
    if (this.held || this.done) return;
    this.pin ??= pinOf(this.buffer, this.end - this.first);
    if (this.pin === undefined) {
      this.copy();
      this.pin = { bytes: this.buffer.length, users: 0 };
    }
    this.held = true;
    if (this.pin.users++ === 0) this.client.hold(this.pin.bytes);
  }

  /** Gives the message a buffer of its own. */
  private copy(): void {
    const { first } = this;
    this.buffer = Buffer.from(this.buffer.subarray(first, this.end));
    this.start = this.start >= 0 ? 0 : -1;
    this.body -= first;
    this.end -= first;
    this.scan = shifted(this.scan, -first);
  }

  /** The first byte of the message that is known to be its own. */
  private get first(): number {
    return this.start >= 0 ? this.start : this.body;
  }

  /** The call that brought the message is over: it is let go, unless it was kept. */
  settle(): void {
    if (this.pin === undefined) this.buffer = NOTHING;
  }

  /** Takes the place of the message that came, for a call that is passed on changed. */
  replace({ buffer, start, body, end }: Frame, scan: Scan): void {
    this.buffer = buffer;
    this.start = start;
    this.body = body;
    this.end = end;
    this.scan = scan;
  }

  /** As it is now. */
  get message(): Frame {
    const { buffer, start, body, end } = this;
    return { buffer, start, body, end };
  }

  /** The params, parsed whole; `{}` when there are none. */
  params(): Record<string, unknown> {
    return paramsOf(this, this.scan);
  }

  /** Waits for its place among the session's writes, then calls `start`. */
  line(session: Session, kind: 'write' | 'long' | 'interrupt', start: () => void): void {
    this.session = session;
    this.ticket = session.order.enter(kind, () => {
      if (!this.done) start();
    });
    if (this.ticket.state === 'waiting') this.keep();
    // Answered at once, before there was a ticket to give back.
    else if (this.done) this.leaveLine();
  }

  forward(link: Link, backend: string): void {
    if (this.done) return;
    // What was given to another link may still lie in its queue: no other id is written into that.
    if (this.backend !== undefined) this.copy();
    this.sent = true;
    this.backend = backend;
    this.link = link;
    if (this.again) this.keep();
    link.forward(this, this.scan.idStart, this.scan.idEnd, this);
    if (!this.again) this.release();
    this.client.pausedBy(link);
  }

  onAnswer(frame: Frame, peeked: Peek): void {
    if (this.hook?.(frame, peeked) === false) return;
    this.pass(frame, peeked, readAt);
  }

  /** Gives the server's answer to the client, under the client's id. */
  pass(frame: Frame, peeked: Peek, now = performance.now()): void {
    if (this.done) return;
    const ok = !peeked.isError;
    const { id } = this;
    const { idStart, idEnd } = peeked;
    this.client.deliver(typeof id === 'number' ? withNumber(frame, idStart, idEnd, id) : withId(frame, idStart, idEnd, id));
    this.finish(ok ? 'ok' : 'error', ok, now);
  }

  onLost(refusal: Refusal): void {
    const { again } = this;
    if (!again || this.tries >= MOST_TRIES || this.done) {
      this.refuse(refusal);
      return;
    }
    this.tries++;
    // Not before everybody has heard that the link is lost.
    setImmediate(again, this);
  }

  /** Whoever it was passed on to has no say in it any more: an answer that still comes is nobody's. @param holder another Skyport has */
  displaced(holder: boolean): void {
    const { link } = this;
    this.link = undefined;
    if (this.done || !link?.abandon(this)) return;
    // Another Skyport makes its call anew where its session is now.
    if (holder && this.client.isPeer) this.giveUp();
    else this.onLost(refuse('SKYPORT_BACKEND_LOST'));
  }

  /** Answers with a result of Skyport's own. */
  result(value: unknown): void {
    if (this.done) return;
    this.client.deliverText(`{"jsonrpc":"2.0","id":${this.idToken},"result":${JSON.stringify(value)}}`);
    this.finish('ok', true);
  }

  refuse(refusal: Refusal): void {
    if (this.done) return;
    this.client.deliverText(errorReply(this.idToken, refusal));
    channels.refusal.publish({ name: refusal.name, method: this.spec.name, user: this.client.user, rule: refusal.rule });
    this.finish(refusal.name, false);
  }

  /** The client is gone. What has been passed on holds its place in the line until it is answered. */
  abandon(): void {
    if (!this.sent) this.giveUp();
  }

  /** Ends it without an answer: there is nobody to read one. */
  giveUp(): void {
    this.finish('SKYPORT_CLIENT_GONE', false);
  }

  private finish(outcome: 'ok' | 'error' | ErrorName, ok: boolean, now = performance.now()): void {
    if (this.done) return;
    this.done = true;
    this.release();
    this.client.answered(this);
    if (this.counted) this.counted.calls--;
    this.onEnd?.(ok);
    this.leaveLine();
    channels.requestDone.publish({
      method: this.spec.name,
      outcome,
      durationMs: now - this.startedAt,
      backend: this.backend,
    });
  }

  private leaveLine(): void {
    if (this.ticket) this.session?.order.leave(this.ticket);
  }

  private release(): void {
    if (!this.held) return;
    this.held = false;
    if (--this.pin!.users === 0) this.client.hold(-this.pin!.bytes);
  }
}

/** Another object: a call that is made anew may go back to the message and the scan that it had. */
function shifted(scan: Scan, by: number): Scan {
  const moved = { ...scan };
  for (const [start, end] of PLACES) {
    if (moved[start] < 0) continue;
    moved[start] += by;
    moved[end] += by;
  }
  return moved;
}

const PLACES = [
  ['idStart', 'idEnd'], ['methodStart', 'methodEnd'], ['paramsStart', 'paramsEnd'], ['sessionIdStart', 'sessionIdEnd'],
] as const;
