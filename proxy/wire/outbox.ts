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

/** Small pieces are copied together into blocks of this many bytes. */
const BLOCK = 16 * 1024;

/**
 * What has been accepted for sending and not been given to the socket yet: a queue of whole frames,
 * by reference. If it has to wait for longer than this turn, `own` copies those frames that would
 * keep a much larger read buffer alive, so that the bytes counted are the memory held (within a
 * factor of two, and one block).
 */
export class Outbox {
  /** Bytes waiting. */
  bytes = 0;
  private pieces: Piece[] = [];
  /** Pieces before this one hold no more memory than they should. */
  private owned = 0;
  private block: Buffer | undefined;
  private filled = 0;

  /** @param joins true on a byte stream: neighbours in one buffer become one piece */
  constructor(private readonly joins: boolean) {}

  add(header: Buffer | undefined, buffer: Buffer, from: number, to: number): void {
    this.bytes += to - from + (header === undefined ? 0 : header.length);
    if (!this.join(header, buffer, from, to)) this.pieces.push({ header, buffer, from, to });
  }

  /** Takes whole pieces off the front until they make `max` bytes or more. */
  take(max: number): Piece[] {
    const { pieces } = this;
    let count = 0;
    let taken = 0;
    while (count < pieces.length && taken < max) taken += sizeOf(pieces[count++]!);
    if (count === pieces.length) {
      this.clear();
      return pieces;
    }
    this.bytes -= taken;
    this.owned = Math.max(0, this.owned - count);
    return pieces.splice(0, count);
  }

  clear(): void {
    this.bytes = 0;
    this.pieces = [];
    this.owned = 0;
    this.block = undefined;
    this.filled = 0;
  }

  /** Call when the queue has to wait. */
  own(): void {
    for (const piece of this.pieces.splice(this.owned)) {
      const size = sizeOf(piece);
      const copied = size * 2 < piece.buffer.buffer.byteLength ? this.copy(piece, size) : piece;
      if (!this.join(copied.header, copied.buffer, copied.from, copied.to)) this.pieces.push(copied);
    }
    this.owned = this.pieces.length;
  }

  private join(header: Buffer | undefined, buffer: Buffer, from: number, to: number): boolean {
    const last = this.pieces[this.pieces.length - 1];
    if (!this.joins || header !== undefined || last === undefined || last.buffer !== buffer || last.to !== from) return false;
    last.to = to;
    return true;
  }

  private copy(piece: Piece, size: number): Piece {
    if (this.block === undefined || this.block.length - this.filled < size) {
      if (size > BLOCK / 2) {
        const alone = Buffer.allocUnsafeSlow(size);
        fillFrom(piece, alone, 0);
        return { header: undefined, buffer: alone, from: 0, to: size };
      }
      this.block = Buffer.allocUnsafeSlow(BLOCK);
      this.filled = 0;
    }
    const from = this.filled;
    fillFrom(piece, this.block, from);
    this.filled += size;
    return { header: undefined, buffer: this.block, from, to: this.filled };
  }
}

/** Copies a piece with its header to `target`. */
function fillFrom(piece: Piece, target: Buffer, at: number): void {
  if (piece.header !== undefined) at += piece.header.copy(target, at);
  piece.buffer.copy(target, at, piece.from, piece.to);
}
