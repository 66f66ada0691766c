import { arena, arenaWords } from './arena.js';

/** A text that is expected at some place and compared four bytes at a time; the last word overlaps the one before. */
export interface Expected {
  readonly length: number;
  readonly words: Int32Array;
}

/** @param text of at least four characters of Latin-1 */
export function expected(text: string): Expected {
  const bytes = Buffer.from(text, 'latin1');
  const words = new Int32Array(Math.ceil(bytes.length / 4));
  for (let i = 0; i < words.length; i++) words[i] = bytes.readInt32LE(Math.min(i * 4, bytes.length - 4));
  return { length: bytes.length, words };
}

/** True when the text lies at `at`, before `end`. */
export function stands(b: Buffer, at: number, end: number, { length, words }: Expected): boolean {
  if (end - at < length) return false;
  const last = words.length - 1;
  if (b === arena) {
    for (let i = 0; i < last; i++) if (arenaWords.getInt32(at + i * 4, true) !== words[i]) return false;
    return arenaWords.getInt32(at + length - 4, true) === words[last];
  }
  for (let i = 0; i < last; i++) if (wordAt(b, at + i * 4) !== words[i]) return false;
  return wordAt(b, at + length - 4) === words[last];
}

function wordAt(b: Buffer, at: number): number {
  return b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24);
}
