import type { Frame, WireFault } from './frame.js';
import { HeaderReader } from './header.js';
import { LARGE, slabs } from './slab.js';

/** First allocation for a frame that is split over chunks, in bytes. */
const FIRST_CARRY = 512;
/** Largest frame of a trusted peer that is allocated before its bytes are there, in bytes. */
const AT_ONCE = 64 * 1024 * 1024;
/** Of a large frame, bytes that are read in place at one time. */
const MOST_IN_PLACE = 256 * 1024;
/** Fewer are not worth a read of their own. */
const LEAST_IN_PLACE = 16 * 1024;

export interface DecoderOptions {
  /** Largest body, in bytes. */
  maxFrame: number;
  /** Largest header with its blank line, in bytes. The runtime's own limit is 64 KiB. */
  maxHeader?: number;
  /** True if the peer may be believed how long its frames are. */
  trusted?: boolean;
  onFrame(frame: Frame): void;
}

/** What frames are handed out in: one object for all decoders, as it is valid during the call only. */
const given: Frame = { buffer: Buffer.alloc(0), start: -1, body: 0, end: 0 };

/** Reads the headers that lie in one chunk, for all decoders: one is over before the next begins. */
let free = new HeaderReader(0);

/**
 * Bytes of a stream become frames (PROTOCOL.md, "Framing").
 *
 * A frame that lies inside one chunk is handed out where it lies: if the chunk is what a link has read into the
 * arena, it is valid during the call only. One that does not is gathered in a buffer of its own. For a trusted
 * peer that has the frame's length from the start; otherwise it grows with the bytes that have arrived
 * (doubling, so a frame costs linear time however it is cut), and a promised length costs nothing. A large frame of a trusted peer lies in a slab (slab.ts), and most of it
 * can be read straight to its place (`place`).
 *
 *   chunk ──► no carry: header ► body complete? ──yes──► onFrame(chunk bytes)
 *                        │             └──no──► carry
 *                        └─ incomplete ───────► carry ──► header ► body ──► onFrame(carry bytes)
 *
 * What is decoded is the same, byte by byte, however the input is split.
 */
export class FrameDecoder {
  /** Largest body, in bytes; may be set at any time and counts from the next header on. */
  maxFrame: number;
  private readonly maxHeader: number;
  private readonly atOnce: number;
  /** Made when a frame is split for the first time, as most clients' never are. */
  private header: HeaderReader | undefined;
  private fault: WireFault | undefined;
  private stopped = false;

  /** The frame that is not complete yet: its header from byte 0, then the body so far. */
  private carry: Buffer | undefined;
  private carried = 0;
  /** Where the carried frame ends; 0 while its header is incomplete. */
  private need = 0;
  private body = 0;

  /** @param sink told of frames; left out: the options' own function is */
  constructor(options: Omit<DecoderOptions, 'onFrame'>, sink: Pick<DecoderOptions, 'onFrame'>);
  constructor(options: DecoderOptions);
  constructor(options: Omit<DecoderOptions, 'onFrame'>, private readonly sink: Pick<DecoderOptions, 'onFrame'> = options as DecoderOptions) {
    this.maxFrame = options.maxFrame;
    this.maxHeader = options.maxHeader ?? 8192;
    this.atOnce = options.trusted === true ? AT_ONCE : 0;
  }

  /** Bytes of the incomplete frame that is held. The memory held is at most twice as much, unless the peer is trusted. */
  get buffered(): number {
    return this.carried;
  }

  /** Decodes nothing more and lets go of what is held; may be called from `onFrame`. */
  stop(): void {
    this.stopped = true;
    this.carry = undefined;
    this.carried = 0;
  }

  /**
   * Takes the next bytes and calls `onFrame` for each frame they complete.
   * @param chunk those from `at` to `end`; the frames handed out lie in it, what is carried is a copy
   * @returns a fault if the stream cannot be decoded any further; the decoder is dead then
   */
  push(chunk: Buffer, at = 0, end = chunk.length): WireFault | undefined {
    while (at < end) {
      if (this.stopped) return this.fault;
      at = this.carry === undefined ? this.inChunk(chunk, at, end) : this.inCarry(chunk, at, end);
    }
    return this.fault;
  }

  /**
   * Where the next bytes of the stream belong, if that is known: whoever reads them there calls `placed`
   * instead of pushing them. Void after the next call of anything else.
   */
  get place(): Buffer | undefined {
    const { carry, carried, need } = this;
    if (carry === undefined || need < LARGE || need > carry.length || need - carried < LEAST_IN_PLACE) return undefined;
    return carry.subarray(carried, Math.min(need, carried + MOST_IN_PLACE));
  }

  /** So many bytes have been read to `place`. */
  placed(count: number): WireFault | undefined {
    if (this.carry !== undefined) this.fill(count);
    return this.fault;
  }

  /** One frame at `at`, nothing carried. Returns where to go on. */
  private inChunk(chunk: Buffer, at: number, end: number): number {
    const header = this.header ?? free;
    header.maxHeader = this.maxHeader;
    const body = header.begin(chunk, at, end);
    const last = body + header.length;
    // What it knows is needed beyond this chunk, or it is of no more use.
    if ((body < 0 || last > end) && this.header === undefined) {
      this.header = header;
      free = new HeaderReader(0);
    }
    if (header.fault !== undefined) this.fail(header.fault);
    else if (body < 0) {
      this.need = 0;
      this.keep(chunk, at, end);
    } else if (header.length > this.maxFrame) this.tooLarge(header);
    else if (last > end) {
      this.need = last - at;
      this.body = body - at;
      this.keep(chunk, at, end);
    } else {
      this.emit(chunk, header.canonical < 0 ? -1 : at + header.canonical, body, last);
      return last;
    }
    return end;
  }

  /** Goes on with the carried frame. Returns where to go on. */
  private inCarry(chunk: Buffer, at: number, end: number): number {
    if (this.need === 0) {
      at = this.headerInCarry(chunk, at, end);
      if (this.stopped || this.need === 0) return at;
    }
    const some = Math.min(end, at + this.need - this.carried);
    this.keep(chunk, at, some);
    this.fill(0);
    return some;
  }

  /** The carried frame has `count` more bytes; gives it out if that is all of it. */
  private fill(count: number): void {
    this.carried += count;
    if (this.carried !== this.need) return;
    const carry = this.carry!;
    this.carry = undefined;
    this.carried = 0;
    this.emit(carry, this.header!.canonical, this.body, this.need);
  }

  /** Goes on with the header of the carried frame; sets `need` when it is complete. */
  private headerInCarry(chunk: Buffer, at: number, end: number): number {
    const header = this.header!;
    const before = this.carried;
    const some = Math.min(end, at + this.maxHeader - before);
    this.keep(chunk, at, some);
    const body = header.resume(this.carry!, 0, this.carried);
    if (header.fault !== undefined) this.fail(header.fault);
    else if (body >= 0 && header.length > this.maxFrame) this.tooLarge(header);
    else if (body >= 0) {
      // What was copied beyond the header is body and perhaps more frames: the caller takes it again.
      this.carried = body;
      this.body = body;
      this.need = body + header.length;
      return at + body - before;
    }
    return some;
  }

  private emit(buffer: Buffer, start: number, body: number, end: number): void {
    given.buffer = buffer;
    given.start = start;
    given.body = body;
    given.end = end;
    this.sink.onFrame(given);
  }

  /** Appends chunk[from..to) to the carry. */
  private keep(chunk: Buffer, from: number, to: number): void {
    const size = this.carried + to - from;
    const room = this.carry === undefined ? 0 : this.carry.length;
    if (size > room) {
      const next = this.more(Math.max(size, room * 2, FIRST_CARRY));
      this.carry?.copy(next, 0, 0, this.carried);
      this.carry = next;
    }
    chunk.copy(this.carry!, this.carried, from, to);
    this.carried = size;
  }

  /** A buffer for the carried frame. @param grown bytes that it needs if nobody knows, or may be believed, how long the frame is */
  private more(grown: number): Buffer {
    const { need } = this;
    if (need === 0) return Buffer.allocUnsafe(grown);
    if (need > this.atOnce) return Buffer.allocUnsafe(Math.min(grown, need));
    return need < LARGE ? Buffer.allocUnsafe(need) : slabs.lease(need);
  }

  private tooLarge({ length }: HeaderReader): void {
    this.fail({ reason: 'frame_too_large', message: `A frame of ${length} bytes is larger than ${this.maxFrame}` });
  }

  private fail(fault: WireFault): void {
    this.fault = fault;
    this.stop();
  }
}
