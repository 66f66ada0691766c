/**
 * What came after the id in requests that have been read before. Clients ask the same again and again: whether
 * a session works, what is new in it. A tail that is the same to the last byte means the same, so it need not be read
 * another time; nothing less than all of its bytes is compared, eight at a time.
 *
 * A direct-mapped cache: whoever fills it with tails of his own costs others a miss, never a wrong answer.
 */
const SLOTS = 1024;
/** Bytes of a tail: about as many as a call with nothing but a session has. */
const SHORTEST = 24;
export const LONGEST = 192;
const STRIDE = LONGEST / 8 + 1;
/** Of `,"method":"session.`, which most tails have in common. */
const COMMON = 19;

/** Printable ASCII as numbers: none of them is zero or no number, so that equal numbers are equal bytes. */
const words = new Float64Array(SLOTS * STRIDE);
const lengths = new Uint8Array(SLOTS);

let viewed: Buffer | undefined;
let view: DataView = new DataView(new ArrayBuffer(0));

/** The bytes of a read as words. It is kept of the one asked for last, as several requests lie in one. */
export function viewOf(buffer: Buffer): DataView {
  if (viewed === buffer) return view;
  viewed = buffer;
  return (view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length));
}

/** The slot of this tail, known or not; -1 for one that is not kept. */
export function slotOf(bytes: DataView, from: number, end: number): number {
  const length = end - from;
  if (length < SHORTEST || length > LONGEST) return -1;
  let hash = Math.imul(bytes.getInt32(end - 7, true), 0x9e3779b1) ^ bytes.getInt32(end - 11, true);
  hash = Math.imul(hash, 0x85ebca6b) ^ bytes.getInt32(from + COMMON, true) ^ length;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 15)) & (SLOTS - 1);
}

/** True when the tail is the one that the slot has. */
export function isKnown(slot: number, bytes: DataView, from: number, end: number): boolean {
  if (lengths[slot] !== end - from) return false;
  let word = slot * STRIDE;
  for (let at = from; at <= end - 8; at += 8) if (bytes.getFloat64(at, true) !== words[word++]) return false;
  // The last bytes, some of them once more.
  return bytes.getFloat64(end - 8, true) === words[word];
}

/** Puts a tail in the place of what the slot had. @param bytes printable ASCII from `from` to `end` */
export function know(slot: number, bytes: DataView, from: number, end: number): void {
  let word = slot * STRIDE;
  for (let at = from; at <= end - 8; at += 8) words[word++] = bytes.getFloat64(at, true);
  words[word] = bytes.getFloat64(end - 8, true);
  lengths[slot] = end - from;
}

/** For tables of one entry a slot. */
export const TAILS = SLOTS;
