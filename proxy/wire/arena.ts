/**
 * One piece of memory for all that small frames of servers pass through: the place where links read, and
 * blocks in which frames are written one behind the other until they leave. Within one piece of memory
 * bytes are moved by `copyWithin`, which makes no object for what it reads from.
 *
 *   | what was read last | block | block | block | …
 *       └── a frame ── copied when it is sent ──▲
 *
 * What lies in the first part is overwritten by the next read, of whichever link: a frame there is valid
 * during the call that hands it out, and who keeps any of it copies it (frame.ts). A block has one
 * owner from `lease` to `giveBack`. Its pages take no memory until they are used for the first time, and the block that was
 * given back last is used first.
 */

/** Bytes of one read of a link. */
export const READ = 64 * 1024;

/** Bytes of a block. */
export const BLOCK = 16 * 1024;

/** More than so many peers that have something to be sent at one time get theirs in memory of their own. */
const BLOCKS = 1024;

export const arena = Buffer.allocUnsafeSlow(READ + BLOCKS * BLOCK);

/** The same bytes, four at a time. */
export const arenaWords = new DataView(arena.buffer, arena.byteOffset, arena.length);

/** Where links read into. */
export const reading = arena.subarray(0, READ);

const free = Array.from({ length: BLOCKS }, (_, i) => READ + (BLOCKS - 1 - i) * BLOCK);

/** Blocks that are not leased. */
export function freeBlocks(): number {
  return free.length;
}

/** @returns where a block begins that is the caller's now, or -1 if there is none left */
export function lease(): number {
  return free.pop() ?? -1;
}

/** @param at anywhere in the block, which nobody reads or writes any more */
export function giveBack(at: number): void {
  free.push(at - ((at - READ) % BLOCK));
}
