/**
 * Strings that come again and again on the wire (methods, event types, session ids, keys), read
 * without making a new string each time. That costs about as much as making one, and is earned back
 * by the look-ups that follow: a known string has its hash and compares by reference (peek and two
 * look-ups of a 320-byte event: 260 against 310 ns, and no garbage).
 *
 * A direct-mapped cache: a string is looked for in the one slot that its length and last bytes
 * choose, and replaces whatever was there. Every hit is compared byte by byte, so whoever fills the
 * cache with rubbish costs others a miss, never a wrong string.
 */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Longer strings are not kept, which bounds the cache at about 1 MB. */
const MAX_LENGTH = 64;
const SLOTS = 8192;

const slots: (string | undefined)[] = new Array<string | undefined>(SLOTS).fill(undefined);

/** Where the string that `atomAt` read last ends: the offset of its closing quote. */
export let atomEnd = 0;

/**
 * Reads a string of printable ASCII without escapes.
 * @param from offset of the first character after the opening quote
 * @returns the string, or undefined if it has an escape, another character, or no end before `end`
 */
export function atomAt(buffer: Buffer, from: number, end: number): string | undefined {
  let at = from;
  for (; at < end; at++) {
    const byte = buffer[at]!;
    if (byte === QUOTE) break;
    if (byte === BACKSLASH || byte < 0x20 || byte > 0x7e) return undefined;
  }
  if (at >= end) return undefined;
  atomEnd = at;
  const length = at - from;
  if (length > MAX_LENGTH) return buffer.toString('latin1', from, at);
  let hash = length;
  for (let i = length > 8 ? at - 8 : from; i < at; i++) hash = Math.imul(hash, 31) + buffer[i]!;
  hash ^= hash >>> 15;
  const slot = hash & (SLOTS - 1);
  const known = slots[slot];
  if (known !== undefined && known.length === length) {
    let i = 0;
    while (i < length && known.charCodeAt(i) === buffer[from + i]) i++;
    if (i === length) return known;
  }
  return (slots[slot] = buffer.toString('latin1', from, at));
}
