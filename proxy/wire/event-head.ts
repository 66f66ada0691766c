/**
 * How the runtime begins every event (measured on 1.0.85), compared as a whole, four bytes at a time:
 *
 *   {"jsonrpc":"2.0","method":"session.event","params":{"sessionId":"…","event":{"type":"…", …
 *
 * Whatever follows the type changes nothing in what the event is and whose (peek.ts).
 */
import { arena, arenaWords } from './arena.js';
import { atomAt, atomEnd } from './atoms.js';
import { Known } from './known.js';

/** A text by its words; the last one overlaps the one before. */
interface Expected {
  readonly length: number;
  readonly words: Int32Array;
}

const HEAD = expected('{"jsonrpc":"2.0","method":"session.event","params":{"sessionId":"');
const TYPE = expected('","event":{"type":"');

/** Types of events that are remembered by their bytes: more than the schema has. */
const MOST_TYPES = 1024;
const types = new Known<string>();

/** Where an event's session id begins, or -1 if the message does not begin like one. */
export function sessionIdAt(buffer: Buffer, start: number, end: number): number {
  return stands(buffer, start, end, HEAD) ? start + HEAD.length : -1;
}

/** Where the type begins. @param at the closing quote of the session id */
export function typeAt(buffer: Buffer, at: number, end: number): number {
  return stands(buffer, at, end, TYPE) ? at + TYPE.length : -1;
}

/** The type of an event in the arena; undefined if it is written in another way. @param at the closing quote of the session id */
export function typeInArena(at: number, end: number): string | undefined {
  const from = typeAt(arena, at, end);
  if (from < 0) return undefined;
  const known = types.find(from, end);
  if (known !== undefined) return known;
  const type = atomAt(arena, from, end);
  if (type !== undefined && atomEnd < end && types.size < MOST_TYPES) types.set(type, type);
  return type;
}

function expected(text: string): Expected {
  const bytes = Buffer.from(text, 'latin1');
  const words = new Int32Array(Math.ceil(bytes.length / 4));
  for (let i = 0; i < words.length; i++) words[i] = bytes.readInt32LE(Math.min(i * 4, bytes.length - 4));
  return { length: bytes.length, words };
}

function stands(b: Buffer, at: number, end: number, { length, words }: Expected): boolean {
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
