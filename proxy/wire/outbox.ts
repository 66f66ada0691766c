import { arena, BLOCK, giveBack, lease } from './arena.js';

/** A whole frame, or several that lie next to each other, waiting to leave. */
export interface Piece {
  /** Sent before the bytes, for a frame that does not lie behind a canonical header. */
  header: Buffer | undefined;
  buffer: Buffer;
  from: number;
  to: number;
}

export function sizeOf(piece: Piece): number {
  return piece.to - piece.from + (piece.header === undefined ? 0 : piece.header.length);
}

/** Small pieces that wait are copied together into blocks of this many bytes. */
const OWN_BLOCK = 16 * 1024;
/** Frames up to this size join a block that is there anyway. */
const SMALL = 4 * 1024;
/** Frames of the arena that find no room in it are copied together, those of all peers, in blocks of this many bytes. */
const COMMON_BLOCK = 64 * 1024;

let common = Buffer.alloc(0);
let used = 0;

/**
 * What has been accepted for sending and not been given to the socket yet: a queue of whole frames,
 * by reference. Frames that lie in the arena are copied at once, on a byte stream one behind the other into blocks of
 * the arena, which belong to the outbox until they are taken or dropped. If the queue has to wait for longer than this turn,
 * `own` copies those frames that would keep a block or a much larger read buffer, so that the bytes counted are the
 * memory held (within a factor of two, and one block).
 */
export class Outbox {
  /** Bytes waiting. */
  bytes = 0;
  private pieces: Piece[] = [];
  /** Pieces before this one hold no more memory than they should. */
  private owned = 0;
  /** Filled further as long as the socket has some of it, and then let go of (`rest`). */
  private block: Buffer | undefined;
  private filled = 0;
  /** The last piece, if it has a block of the arena; and where that ends. */
  private tail: Piece | undefined;
  private tailEnd = 0;

  /** @param joins true on a byte stream: neighbours in one buffer become one piece */
  constructor(private readonly joins: boolean) {}

  add(header: Buffer | undefined, buffer: Buffer, from: number, to: number): void {
    const size = to - from + (header === undefined ? 0 : header.length);
    this.bytes += size;
    const { tail } = this;
    if (tail !== undefined && size <= this.tailEnd - tail.to && (buffer === arena || size <= SMALL)) append(tail, header, buffer, from, to);
    else if (buffer === arena) this.place(header, from, to, size);
    else if (!this.join(header, buffer, from, to)) {
      this.tail = undefined;
      this.pieces.push({ header, buffer, from, to });
    }
  }

  /** Takes whole pieces off the front until they make `max` bytes or more. Blocks of the arena among them are the caller's. */
  take(max: number): Piece[] {
    const { pieces } = this;
    let count = 0;
    let taken = 0;
    while (count < pieces.length && taken < max) taken += sizeOf(pieces[count++]!);
    if (count === pieces.length) {
      this.reset();
      return pieces;
    }
    this.bytes -= taken;
    this.owned = Math.max(0, this.owned - count);
    return pieces.splice(0, count);
  }

  /** Drops what waits. */
  clear(): void {
    for (const { buffer, from } of this.pieces) if (buffer === arena) giveBack(from);
    this.reset();
    this.rest();
  }

  /** Nothing that was taken waits anywhere: the memory for what has to wait is let go of, unless some does. */
  rest(): void {
    if (this.bytes > 0) return;
    this.block = undefined;
    this.filled = 0;
  }

  /** Call when the queue has to wait. */
  own(): void {
    this.tail = undefined;
    for (const piece of this.pieces.splice(this.owned)) {
      const size = sizeOf(piece);
      const copied = size * 2 < piece.buffer.buffer.byteLength ? this.copy(piece, size) : piece;
      if (piece.buffer === arena) giveBack(piece.from);
      if (!this.join(copied.header, copied.buffer, copied.from, copied.to)) this.pieces.push(copied);
    }
    this.owned = this.pieces.length;
  }

  private reset(): void {
    this.bytes = 0;
    this.pieces = [];
    this.owned = 0;
    this.tail = undefined;
  }

  /** A frame in the arena is copied to a block of it; or, if it is larger, none is left, or frames do not join, to other memory. */
  private place(header: Buffer | undefined, from: number, to: number, size: number): void {
    const at = this.joins && size <= BLOCK ? lease() : -1;
    this.tail = at < 0 ? undefined : { header: undefined, buffer: arena, from: at, to: at };
    this.tailEnd = at + BLOCK;
    if (this.tail === undefined) this.pieces.push(outside({ header, buffer: arena, from, to }, size));
    else {
      append(this.tail, header, arena, from, to);
      this.pieces.push(this.tail);
    }
  }

  private join(header: Buffer | undefined, buffer: Buffer, from: number, to: number): boolean {
    const last = this.pieces[this.pieces.length - 1];
    if (!this.joins || header !== undefined || last === undefined || last.buffer !== buffer || last.to !== from) return false;
    last.to = to;
    return true;
  }

  private copy(piece: Piece, size: number): Piece {
    if (this.block === undefined || this.block.length - this.filled < size) {
      if (size > OWN_BLOCK / 2) return alone(piece, size);
      this.block = Buffer.allocUnsafeSlow(OWN_BLOCK);
      this.filled = 0;
    }
    const from = this.filled;
    fillFrom(piece, this.block, from);
    this.filled += size;
    return { header: undefined, buffer: this.block, from, to: this.filled };
  }
}

/** Writes a frame behind a piece in a block of the arena that has room for it. */
function append(tail: Piece, header: Buffer | undefined, buffer: Buffer, from: number, to: number): void {
  if (header !== undefined) tail.to += header.copy(arena, tail.to);
  if (buffer === arena) arena.copyWithin(tail.to, from, to);
  else buffer.copy(arena, tail.to, from, to);
  tail.to += to - from;
}

function alone(piece: Piece, size: number): Piece {
  const buffer = Buffer.allocUnsafeSlow(size);
  fillFrom(piece, buffer, 0);
  return { header: undefined, buffer, from: 0, to: size };
}

/** A copy in memory that the garbage collector frees when nothing of it is waiting any more. */
function outside(piece: Piece, size: number): Piece {
  if (size > COMMON_BLOCK / 8) return alone(piece, size);
  if (common.length - used < size) {
    common = Buffer.allocUnsafeSlow(COMMON_BLOCK);
    used = 0;
  }
  const from = used;
  fillFrom(piece, common, from);
  used += size;
  return { header: undefined, buffer: common, from, to: used };
}

/** Copies a piece with its header to `target`. */
function fillFrom(piece: Piece, target: Buffer, at: number): void {
  if (piece.header !== undefined) at += piece.header.copy(target, at);
  piece.buffer.copy(target, at, piece.from, piece.to);
}
