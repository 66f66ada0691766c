import type { Socket } from 'node:net';
import { arena, giveBack } from './arena.js';
import { stampRead } from './clock.js';
import { Connection, remoteOf } from './connection.js';
import { FrameDecoder } from './decoder.js';
import { later, type Deferred } from './flusher.js';
import { headerOf, type Frame, type WireFault } from './frame.js';
import { writeBatch } from './gather.js';
import type { Intake } from './intake.js';
import type { Piece } from './outbox.js';
import { LARGE, slabs } from './slab.js';
import type { TransportEvents } from './transport.js';

/** Idle time after which the kernel asks whether the peer is still there, in ms. */
const KEEPALIVE = 30_000;
/** Part of the next frame's header. The runtime takes any header line before Content-Length. */
export const NUDGE = Buffer.from('A:1\r\n', 'latin1');
/** Half of the header that the runtime accepts (64 KiB). */
export const MAX_OPEN_HEADER = 32 * 1024;

/** Nudges of one connection that may follow each other at once; any more leave one a millisecond. */
const NUDGES_AT_ONCE = 8;

export interface TcpOptions {
  /** Largest body that is accepted, in bytes. */
  maxFrame: number;
  /** Largest header that is accepted, in bytes. */
  maxHeader?: number;
  /** True if the peer may be believed how long its frames are. */
  trusted?: boolean;
  /** What the socket was opened with, if it was; the socket is paused. */
  intake?: Intake;
}

export interface TcpEvents extends TransportEvents {
  /** No more nudges until a real frame (a `ping`) goes out. */
  onNudgeFull?(): void;
}

/** Whose a socket is: what listens on sockets is the same for all, instead of functions of each one's own. */
const OWNER = Symbol('transport');
type Owned = Socket & { [OWNER]: TcpTransport };

/** JSON-RPC over a TCP connection, framed as PROTOCOL.md says. Takes over a connected socket. */
export class TcpTransport extends Connection implements Deferred {
  override readonly kind = 'tcp';
  protected declare events: TcpEvents | undefined;
  private readonly decoder: FrameDecoder;
  /** Header bytes of a frame that has not been sent yet. */
  private openHeader = 0;
  private nudging = false;
  /** When the nudges so far would be through at one a millisecond, on the clock of `nudge`. */
  private nudgedUntil = -Infinity;
  private deferred = false;
  private readonly intake: Intake | undefined;
  /** The socket may have bytes that the kernel has not. */
  private holds = false;
  /** Blocks of the arena that the socket may still read from. */
  private leased: number[] | undefined;

  constructor(
    private readonly socket: Socket,
    options: TcpOptions,
  ) {
    super(remoteOf(socket), true);
    this.intake = options.intake;
    this.decoder = new FrameDecoder(options, this);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEPALIVE);
    (socket as Owned)[OWNER] = this;
    socket.on('end', TcpTransport.ended);
    socket.on('error', TcpTransport.broken);
    socket.on('close', TcpTransport.over);
  }

  private static ended(this: Socket): void {
    (this as Owned)[OWNER].peerEnded();
  }

  private static broken(this: Socket, error: Error): void {
    (this as Owned)[OWNER].failed('reset', error);
  }

  private static over(this: Socket): void {
    (this as Owned)[OWNER].gone();
  }

  private static read(this: Socket, chunk: Buffer): void {
    (this as Owned)[OWNER].take(chunk, 0, chunk.length);
  }

  /** Called by the decoder. */
  onFrame(frame: Frame): void {
    this.framesIn++;
    this.events!.onFrame(frame);
  }

  get maxFrame(): number {
    return this.decoder.maxFrame;
  }

  set maxFrame(bytes: number) {
    this.decoder.maxFrame = bytes;
  }

  override listen(events: TcpEvents): void {
    super.listen(events);
  }

  /**
   * Sends one header line of the next frame, if no frame leaves anyway: its segment
   * carries the acknowledgement that the runtime's Nagle algorithm is waiting for (PROTOCOL.md,
   * "Framing"). Only for runtimes that have been probed. A peer that sends without a pause is nudged once a
   * millisecond: each nudge is a write, and acknowledges all that has come until then.
   * @param now milliseconds on a clock that never goes back
   */
  nudge(now = performance.now()): void {
    if (this.nudging || this.closed || this.openHeader + NUDGE.length > MAX_OPEN_HEADER) return;
    this.nudging = true;
    this.nudgedUntil = Math.max(this.nudgedUntil, now);
    if (this.nudgedUntil - now < NUDGES_AT_ONCE) this.list();
    else if (!this.deferred) {
      this.deferred = true;
      later(this);
    }
  }

  /** A nudge that had to wait: unless a frame has left meanwhile, it is sent now. */
  due(): void {
    this.deferred = false;
    if (this.nudging) this.list();
  }

  override flush(): void {
    const alone = this.nudging && this.outbox.bytes === 0 && this.socketBytes() === 0;
    this.nudging = false;
    super.flush();
    if (!alone || this.closed) return;
    this.nudgedUntil++;
    this.openHeader += NUDGE.length;
    this.bytesOut += NUDGE.length;
    this.socket.write(NUDGE);
    this.holds = this.socket.writableLength > 0;
    if (this.openHeader + NUDGE.length > MAX_OPEN_HEADER) this.events?.onNudgeFull?.();
  }

  protected override queue(frame: Frame): void {
    if (frame.end - frame.body > LARGE / 2) slabs.leaseOf(frame.buffer)?.take();
    if (frame.start >= 0) this.outbox.add(undefined, frame.buffer, frame.start, frame.end);
    else this.outbox.add(Buffer.from(headerOf(frame.end - frame.body), 'latin1'), frame.buffer, frame.body, frame.end);
  }

  protected override write(batch: Piece[]): void {
    this.openHeader = 0;
    this.bytesOut += writeBatch(this.socket, batch, this.written);
    this.holds = this.socket.writableLength > 0;
    for (const { buffer, from } of batch) {
      if (buffer !== arena) continue;
      if (this.holds) (this.leased ??= []).push(from);
      else giveBack(from);
    }
  }

  protected override emptied(): void {
    const { leased } = this;
    this.leased = undefined;
    for (const at of leased ?? []) giveBack(at);
  }

  /** Nobody else writes to the socket: what it held no longer, it does not hold. */
  protected override socketBytes(): number {
    if (!this.holds) return 0;
    const bytes = this.socket.writableLength;
    this.holds = bytes > 0;
    return bytes;
  }

  protected override sayGoodbye(): void {
    this.socket.end();
  }

  protected override cut(): void {
    this.socket.destroy();
  }

  protected override attach(): void {
    const { intake } = this;
    if (intake === undefined) {
      this.socket.on('data', TcpTransport.read);
      return;
    }
    intake.sink = (bytes, from, to) => this.take(bytes, from, to);
    intake.place = () => this.decoder.place;
    intake.placed = (count) => {
      if (this.closed) return;
      stampRead();
      this.came(count, this.decoder.placed(count));
    };
  }

  private take(bytes: Buffer, from: number, to: number): void {
    if (this.closed) return;
    stampRead();
    this.came(to - from, this.decoder.push(bytes, from, to));
  }

  /** So many bytes were read, and have been decoded. */
  private came(count: number, fault: WireFault | undefined): void {
    this.bytesIn += count;
    if (fault !== undefined) this.faulted(fault);
    else this.events?.onChunk?.();
  }

  protected override setReading(on: boolean): void {
    if (on) this.socket.resume();
    else this.socket.pause();
  }

  protected override discardInput(): void {
    this.decoder.stop();
  }
}
