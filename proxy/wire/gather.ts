import type { Socket } from 'node:net';
import { arena } from './arena.js';
import { sizeOf, type Piece } from './outbox.js';
import { slabs } from './slab.js';

/** Pieces up to this size are copied together. */
const SMALL = 4 * 1024;
/** So many bytes at most in one buffer; the least that a batch fits into, large pieces aside. */
const BLOCK = 64 * 1024;

let block = Buffer.allocUnsafeSlow(BLOCK);
/** Bytes of the block that sockets may still hold. */
let filled = 0;

type Written = (error?: Error | null) => void;

/**
 * Gives a batch to a socket in one write: small pieces are copied next to each other, large ones go by reference.
 * One buffer costs Node and the kernel less than a vector of many. The copies lie in a block that is used again
 * if the kernel has taken all of them at once, as it nearly always does; if not, the block's rest is used, and then
 * another block. Pieces in the arena have been copied together before (outbox.ts).
 * @param written callback of the last byte
 * @returns bytes given to the socket
 */
export function writeBatch(socket: Socket, batch: readonly Piece[], written: Written): number {
  const [only] = batch;
  if (batch.length === 1 && only!.header === undefined) {
    const bytes = only!.buffer.subarray(only!.from, only!.to);
    socket.write(bytes, releases(socket, bytes, written));
    return bytes.length;
  }
  const before = block;
  const start = filled;
  let bytes = 0;
  let waiting: Buffer | undefined;
  const give = (buffer: Buffer): void => {
    // Nothing is corked for one buffer alone.
    if (waiting !== undefined) {
      if (bytes === 0) socket.cork();
      bytes += waiting.length;
      socket.write(waiting, releases(socket, waiting));
    }
    waiting = buffer;
  };
  let from = filled;
  for (let i = 0; i < batch.length; i++) {
    const piece = batch[i]!;
    const size = sizeOf(piece);
    const alone = from === filled && (i === batch.length - 1 || sizeOf(batch[i + 1]!) > SMALL);
    if (size > SMALL || piece.buffer === arena || (alone && piece.header === undefined)) {
      if (from < filled) give(block.subarray(from, filled));
      from = filled;
      if (piece.header !== undefined) give(piece.header);
      give(piece.buffer.subarray(piece.from, piece.to));
      continue;
    }
    if (size > BLOCK - filled) {
      if (from < filled) give(block.subarray(from, filled));
      block = Buffer.allocUnsafeSlow(BLOCK);
      from = filled = 0;
    }
    if (piece.header !== undefined) filled += piece.header.copy(block, filled);
    filled += piece.buffer.copy(block, filled, piece.from, piece.to);
  }
  if (from < filled) give(block.subarray(from, filled));
  if (waiting !== undefined) {
    const corked = bytes > 0;
    bytes += waiting.length;
    socket.write(waiting, releases(socket, waiting, written));
    if (corked) socket.uncork();
  }
  // What a socket counts as waiting is what it may still read from.
  if (socket.writableLength === 0) filled = block === before ? start : 0;
  return bytes;
}

/** The callback of a write, which gives the slab back that the bytes lie in, if it is one. */
function releases(socket: Socket, bytes: Buffer, written?: Written): Written | undefined {
  const lease = slabs.leaseOf(bytes);
  if (lease === undefined) return written;
  return (error) => {
    // Of a socket that was destroyed in between, Node says this without an error.
    if (!error && !socket.destroyed) lease.left();
    written?.(error);
  };
}
