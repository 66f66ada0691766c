import type { Socket } from 'node:net';
import { flushSoon, type Flushable } from './flusher.js';
import { frameOf, type Frame, type WireFault } from './frame.js';
import { Outbox, type Piece } from './outbox.js';
import { GRACE, LOW_LIMIT, SOFT_LIMIT, type CloseCause, type Transport, type TransportEvents } from './transport.js';

/**
 * What TCP and WebSocket transports have in common: the life of a connection, its counters, and the
 * way of bytes to the socket.
 *
 *   open ──end──► ending ──last byte sent, peer gone, or grace over──► closed ──► onClose
 *     └──────────────destroy, peer gone, error──────────────────────────┘
 *
 *   sendFrame ──► outbox ──end of turn──► socket, while it holds less than SOFT_LIMIT ──► kernel
 *                   └── the rest waits, copied out of read buffers, for the socket to drain
 */
export abstract class Connection implements Transport, Flushable {
  abstract readonly kind: 'tcp' | 'websocket';
  readonly remote: string;
  abstract maxFrame: number;
  bytesIn = 0;
  bytesOut = 0;
  framesIn = 0;
  framesOut = 0;

  protected state: 'open' | 'ending' | 'closed' = 'open';
  protected events: TransportEvents | undefined;
  protected readonly outbox: Outbox;
  protected fault: WireFault | undefined;
  private cause: CloseCause | undefined;
  private paused = false;
  private listed = false;
  /** `bufferedBytes` has been above SOFT_LIMIT, and `onDrain` is due. */
  private full = false;
  private saidGoodbye = false;
  private finished = false;
  private grace: NodeJS.Timeout | undefined;

  protected constructor(remote: string, joins: boolean) {
    this.remote = remote;
    this.outbox = new Outbox(joins);
  }

  /** Bytes that the socket has and the kernel has not. */
  protected abstract socketBytes(): number;
  /** Puts a frame into the outbox. */
  protected abstract queue(frame: Frame): void;
  /** Gives pieces to the socket, so that they leave in one write, with `written` as the last one's callback. */
  protected abstract write(batch: Piece[]): void;
  /** The socket has no bytes any more: the kernel has taken them all, or the connection is no more. */
  protected emptied(): void {}
  /** Everything has been written: closes the sending side. */
  protected abstract sayGoodbye(reason: string): void;
  /** Closes at once. `gone` must be called afterwards, not from within. */
  protected abstract cut(): void;
  /** Begins to decode what comes in. */
  protected abstract attach(): void;
  /** Starts or stops the flow of bytes. */
  protected abstract setReading(on: boolean): void;
  /** From now on what comes in is thrown away, but still read, to see the peer's end. */
  protected abstract discardInput(): void;

  get closed(): boolean {
    return this.state !== 'open';
  }

  get bufferedBytes(): number {
    return this.state === 'closed' ? 0 : this.outbox.bytes + this.socketBytes();
  }

  listen(events: TransportEvents): void {
    const first = this.events === undefined;
    this.events = events;
    if (this.finished) setImmediate(() => this.tellClosed());
    else if (this.state === 'open') {
      if (first) this.attach();
      this.setReading(!this.paused);
    }
  }

  sendFrame(frame: Frame): void {
    if (this.state !== 'open') return;
    this.framesOut++;
    this.queue(frame);
    if (!this.full && this.bufferedBytes > SOFT_LIMIT) this.full = true;
    this.list();
  }

  sendText(json: string): void {
    if (this.state === 'open') this.sendFrame(frameOf(json));
  }

  pause(): void {
    if (this.paused || this.state !== 'open') return;
    this.paused = true;
    if (this.events !== undefined) this.setReading(false);
  }

  resume(): void {
    if (!this.paused || this.state !== 'open') return;
    this.paused = false;
    if (this.events !== undefined) this.setReading(true);
  }

  end(reason: string, lastText?: string, graceMs = GRACE): void {
    if (this.state !== 'open') return;
    if (lastText !== undefined) {
      this.outbox.clear();
      this.sendText(lastText);
    }
    this.state = 'ending';
    this.cause ??= { reason };
    this.discardInput();
    this.setReading(true);
    this.grace = setTimeout(() => this.destroy(reason), graceMs);
    this.grace.unref();
    this.pump();
  }

  destroy(reason: string): void {
    if (this.state === 'closed') return;
    this.cause ??= { reason };
    this.state = 'closed';
    this.outbox.clear();
    this.discardInput();
    this.cut();
  }

  /** Called by the flusher. */
  flush(): void {
    this.listed = false;
    this.pump();
  }

  /** Has `flush` called at the end of this turn. */
  protected list(): void {
    if (this.listed) return;
    this.listed = true;
    flushSoon(this);
  }

  /** The kernel has taken a batch. */
  protected readonly written = (error?: Error | null): void => {
    if (error) return;
    if (this.socketBytes() === 0) {
      this.emptied();
      this.outbox.rest();
    }
    this.pump();
    if (!this.full || this.bufferedBytes > LOW_LIMIT) return;
    this.full = false;
    if (this.state === 'open') this.events?.onDrain?.();
  };

  /** What came in cannot be decoded. */
  protected faulted(fault: WireFault): void {
    if (this.state !== 'open') return;
    this.fault = fault;
    this.events?.onFault?.(fault);
    // Read again: the handler may have ended or destroyed this connection.
    if (!this.closed) this.destroy('fault');
  }

  /** The peer will send no more. What it can still read is sent, for a while. */
  protected peerEnded(): void {
    this.pump();
    // A peer that is gone with a backlog has not been reading.
    if (this.outbox.bytes > 0) this.destroy('peer_closed');
    else this.end('peer_closed');
  }

  /** The connection broke; `gone` follows. */
  protected failed(reason: string, error: Error): void {
    this.cause ??= { reason, error };
  }

  /** The connection is no more. */
  protected gone(): void {
    if (this.finished) return;
    this.finished = true;
    this.state = 'closed';
    clearTimeout(this.grace);
    this.outbox.clear();
    this.emptied();
    this.discardInput();
    this.tellClosed();
  }

  private tellClosed(): void {
    const cause = this.cause ?? { reason: 'peer_closed' };
    this.events?.onClose(this.fault === undefined ? cause : { ...cause, fault: this.fault });
  }

  private pump(): void {
    if (this.state === 'closed') return;
    while (this.outbox.bytes > 0 && this.socketBytes() <= SOFT_LIMIT) {
      // Behind what waits this will wait, too: it must not keep a block for each turn in which the peer gets a little.
      if (this.socketBytes() > 0) this.outbox.own();
      this.write(this.outbox.take(SOFT_LIMIT));
    }
    if (this.outbox.bytes > 0) this.outbox.own();
    else if (this.state === 'ending' && !this.saidGoodbye) {
      this.saidGoodbye = true;
      this.sayGoodbye(this.cause!.reason);
    }
  }
}

/** `address:port` of a connected socket's peer. */
export function remoteOf(socket: Socket): string {
  const address = socket.remoteAddress ?? 'unknown';
  return `${socket.remoteFamily === 'IPv6' ? `[${address}]` : address}:${socket.remotePort ?? 0}`;
}
