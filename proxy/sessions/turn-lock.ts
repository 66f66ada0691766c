/**
 * The turn lock of one session: while a turn runs that one client has begun, another client's sends
 * wait here, in order of arrival (`sessions.writers`). The holder itself sends as on a CLI server.
 *
 *   send ──lock free, or the sender's──▶ goes on at once
 *     └────somebody else's───▶ waits ──▶ goes on when the turn is over
 *
 * The lock is the holder's until its sends are answered and the turn is over, or until the holder is
 * gone: its client left, and the turn is not held for it. Time alone never frees it. A turn that
 * nobody's send began (a slash command's, a schedule's), or whose holder is gone, is nobody's: the
 * next to send takes it.
 */
import { frameOf, type Frame } from '../wire/frame.js';
import type { Attachment, SessionClient } from './attachment.js';
import type { Session } from './session.js';
import { LocalTurnQueue, type TurnQueue, type TurnTicket } from './turn-queue.js';
import { WithheldIdles } from './withheld-idles.js';

/** A client, as the lock needs it. */
export interface Writer extends SessionClient {
  /** Whom others are told of. */
  userOn(sessionId: string): string | undefined;
  readonly closed: boolean;
}

/** Why a send does not get the lock. `in_use`: at once, or no place in line; `waited`: for too long. */
export type NoTurn = 'in_use' | 'waited' | 'store';

/** One send of a client. Exactly one of `go` and `refused` is called, once, unless `ended` comes first. */
export interface TurnSend {
  /** May be called before `acquire` returns. */
  go(): void;
  refused(reason: NoTurn, heldBy: string): void;
  /** The client waits; told once for all its sends. @param place 1 is next */
  moved(place: number, heldBy: string): void;
}

export interface AcquireOptions {
  /** Refuse instead of waiting. */
  readonly reject: boolean;
  /** Milliseconds on the clock that `tick` is given. */
  readonly now: number;
}

/** Sends that wait on one session; a further one is refused. */
export const MOST_WAITING = 100;

export class TurnLock {
  private holder: Ticket | undefined;
  /** Those that wait, or whose place is being asked for; in order of arrival. */
  private readonly waiting = new Set<Ticket>();
  private readonly sends = new Map<TurnSend, Ticket>();
  private readonly idles = new WithheldIdles();

  constructor(
    private readonly session: Session,
    private readonly queue: TurnQueue = new LocalTurnQueue(),
  ) {}

  get sessionId(): string {
    return this.session.id;
  }

  /** Nobody has it and nobody waits. */
  get free(): boolean {
    return !this.holder && this.waiting.size === 0;
  }

  /** Number of sends that wait. */
  get length(): number {
    let length = 0;
    for (const ticket of this.waiting) length += ticket.sends.size;
    return length;
  }

  /** A send goes on or waits. `ended` must follow, however the send ends. */
  acquire(writer: Writer, send: TurnSend, { reject, now }: AcquireOptions): void {
    const { holder } = this;
    const mine = holder !== undefined && this.isHolder(holder, writer);
    if (mine && !this.hasSeenTheEnd(holder)) {
      this.pass(holder, send, now);
      return;
    }
    const own = this.waitingFor(writer);
    if ((own || holder) && ((reject && !mine) || this.length >= MOST_WAITING)) {
      send.refused('in_use', holder?.user ?? writer.userOn(this.session.id) ?? '');
      return;
    }
    const ticket = own ?? new Ticket(writer, reject && !mine, this);
    ticket.sends.set(send, now);
    this.sends.set(send, ticket);
    if (own) return;
    this.waiting.add(ticket);
    this.settled(ticket, () => this.queue.enter(ticket));
  }

  /**
   * The send was answered, refused, cancelled, or its client is gone. Calling it twice does nothing.
   * @param over the answer means that the turn is over: it was asked for with `wait`
   */
  ended(send: TurnSend, ok: boolean, over = false): void {
    const ticket = this.sends.get(send);
    if (!ticket) return;
    this.sends.delete(send);
    ticket.sends.delete(send);
    ticket.wrote ||= ok;
    if (ok && !over && !this.session.turn.open) ticket.doubt = { turns: this.session.turns, ticks: 0 };
    if (ticket === this.holder) this.check();
    else if (ticket.sends.size === 0) this.leave(ticket);
  }

  /**
   * The turn may be over, or somebody has left the session. Whoever sees that is in the middle of it,
   * and a server may go on at once by itself: the lock is given on a moment later.
   */
  look(): void {
    if (this.holder) queueMicrotask(() => this.check());
  }

  /**
   * Janitor: ends waits that took too long, and renews the lock of a turn that runs.
   * @param patience milliseconds that a send may wait
   */
  tick(now: number, patience: number): void {
    for (const ticket of [...this.waiting]) {
      for (const [send, since] of [...ticket.sends]) {
        if (now - since >= patience) send.refused('waited', ticket.heldBy);
      }
      this.join(ticket);
    }
    if (this.holder?.doubt) this.holder.doubt.ticks++;
    this.check();
    this.renew();
  }

  /** True when the client is not to see this copy of a `session.idle`: it waits for a turn of its own. */
  withholds(client: SessionClient | undefined, frame: Frame): boolean {
    if (this.waiting.size === 0 && !this.holder?.others) return false;
    const waits = this.waitingFor(client);
    const others = this.holder?.writer === client ? this.holder?.others : undefined;
    const withheld = this.idles.withholds(frame, waits !== undefined, others);
    if (withheld && waits) waits.missed = Buffer.from(frame.buffer.subarray(frame.body, frame.end));
    return withheld;
  }

  /** From the queue: the ticket's turn has come. */
  granted(ticket: Ticket): void {
    if (!this.waiting.delete(ticket)) {
      // Everybody it was for has left while the grant was on its way: the next one's turn.
      this.settled(ticket, () => this.queue.leave(ticket));
      return;
    }
    this.holder = ticket;
    this.attachmentOf(ticket);
    ticket.others = this.idles.take(this.waiting.size > 0);
    for (const send of [...ticket.sends.keys()]) if (ticket.sends.has(send)) send.go();
    this.check();
  }

  /** From the queue: the ticket waits. */
  moved(ticket: Ticket, place: number, heldBy: string): void {
    if (!this.waiting.has(ticket)) return;
    const before = ticket.place;
    ticket.place = place;
    ticket.heldBy = heldBy;
    const [first] = ticket.sends.keys();
    if (ticket.reject) this.refuse(ticket, 'in_use');
    else if (place !== before && !this.isHolders(ticket)) first?.moved(place, heldBy);
  }

  /** Gives the lock on when the holder's turn is over, or the holder gone. */
  private check(): void {
    const { holder } = this;
    if (!holder) return;
    const over = holder.sends.size === 0 && !this.session.turn.open && !this.isInDoubt(holder);
    if (over || this.isGone(holder)) this.leave(holder);
  }

  private pass(holder: Ticket, send: TurnSend, now: number): void {
    holder.sends.set(send, now);
    this.sends.set(send, holder);
    send.go();
  }

  /** What waits and is the holder's own after all goes on: its client has taken a held turn over, or the turn went on. */
  private join(ticket: Ticket): void {
    const { holder } = this;
    if (!holder || !this.isHolders(ticket) || this.hasSeenTheEnd(holder)) return;
    this.waiting.delete(ticket);
    this.settled(ticket, () => this.queue.leave(ticket));
    for (const [send, since] of [...ticket.sends]) if (ticket.sends.has(send)) this.pass(holder, send, since);
  }

  private leave(ticket: Ticket): void {
    this.waiting.delete(ticket);
    if (this.holder === ticket) this.holder = undefined;
    // It has not begun a turn of its own, so no idle of its own will come; this one was not for nothing.
    if (ticket.missed && !ticket.wrote && !this.session.turn.open) ticket.writer.deliverEvent(frameOf(ticket.missed));
    this.settled(ticket, () => this.queue.leave(ticket));
  }

  private waitingFor(client: SessionClient | undefined): Ticket | undefined {
    for (const ticket of this.waiting) if (ticket.writer === client) return ticket;
    return undefined;
  }

  /** The holder's client, or the one that has taken its held turn over. */
  private isHolder(ticket: Ticket, writer: Writer): boolean {
    const attachment = this.attachmentOf(ticket);
    if (ticket.writer === writer) return true;
    if (attachment?.client !== writer) return false;
    ticket.writer = writer;
    return true;
  }

  private isHolders(ticket: Ticket): boolean {
    return this.holder !== undefined && this.isHolder(this.holder, ticket.writer);
  }

  /**
   * The end of the turn has come on the holder's link and not yet on the primary's: what it sends now
   * is not for the turn that is over, and comes after those who wait.
   */
  private hasSeenTheEnd(holder: Ticket): boolean {
    const attachment = this.attachmentOf(holder);
    return attachment !== undefined && attachment !== this.session.primary && attachment.sawIdle;
  }

  /**
   * An idle that came before the answer to the last send may have been an earlier turn's (turn.ts). The
   * turn of this send is then seen to open within milliseconds; one whole tick without it is the proof.
   */
  private isInDoubt({ doubt }: Ticket): boolean {
    return doubt !== undefined && doubt.turns === this.session.turns && doubt.ticks < 2;
  }

  /** It may have sent without being attached, and attach later, or attach anew; one that vanishes leaves a held one. */
  private attachmentOf(ticket: Ticket): Attachment | undefined {
    const { attachments } = this.session;
    const own = attachments.find(({ client }) => client === ticket.writer);
    ticket.attachment = own ?? ticket.attachment;
    return own ?? attachments.find((one) => one === ticket.attachment);
  }

  private isGone(ticket: Ticket): boolean {
    const attachment = this.attachmentOf(ticket);
    if (attachment) return attachment.state === 'detaching';
    return ticket.attachment !== undefined || ticket.writer.closed;
  }

  private renew(): void {
    const { holder } = this;
    if (!holder) return;
    const lost = (kept: boolean): void => {
      if (!kept && this.holder === holder) this.holder = undefined;
    };
    const kept = this.queue.renew(holder);
    // A store that does not answer now may do so the next time; a turn that runs is not stopped for it.
    if (typeof kept === 'boolean') lost(kept);
    else kept.then(lost, () => undefined);
  }

  /** Where the store does not answer, those who wait for it are told. */
  private settled(ticket: Ticket, step: () => void | Promise<void>): void {
    step()?.catch(() => {
      if (this.waiting.has(ticket)) this.refuse(ticket, 'store');
    });
  }

  private refuse(ticket: Ticket, reason: NoTurn): void {
    for (const send of [...ticket.sends.keys()]) send.refused(reason, ticket.heldBy);
  }
}

/** One client that holds the lock or waits for it, with its sends and since when each of them waits. */
class Ticket implements TurnTicket {
  readonly sends = new Map<TurnSend, number>();
  attachment: Attachment | undefined;
  place = 0;
  heldBy = '';
  /** One of its sends was taken. */
  wrote = false;
  /** Its last send was taken, and no turn is open: how many had been by then, and how often the janitor came since. */
  doubt: { readonly turns: number; ticks: number } | undefined;
  /** The last idle that it did not see while it waited; a copy. */
  missed: Buffer | undefined;
  /** Once granted: the idles of turns before its own. */
  others: ReadonlySet<unknown> | undefined;

  constructor(public writer: Writer, readonly reject: boolean, private readonly lock: TurnLock) {}

  get user(): string {
    return this.writer.userOn(this.lock.sessionId) ?? '';
  }

  granted(): void {
    this.lock.granted(this);
  }

  moved(place: number, heldBy: string): void {
    this.lock.moved(this, place, heldBy);
  }
}
