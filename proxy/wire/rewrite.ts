import { headerOf, type Frame } from './frame.js';
import type { Scan } from './scan.js';

/**
 * Changes to a message that is passed on. Nothing here parses: positions come from `peek` or `scan`
 * of the same frame and are void once the frame has been rewritten.
 *
 * Who owns the bytes: `withId` may write into `frame.buffer`, so the frame must not have been sent
 * anywhere yet, and must be sent to one place only afterwards. Everything else leaves the given
 * frame as it is and returns a new one in a buffer of its own.
 */

interface Edit {
  /** Replaces [from, to). */
  from: number;
  to: number;
  text: string | Buffer;
}

/**
 * Puts another id in the place of [idStart, idEnd).
 *
 *   "id":1234,   ──►   "id":7   ,      same length, same header, no copy
 *
 * @param token the id as JSON text
 * @returns the same frame, changed in place, if the token is not longer than the id that it
 * replaces; else a new frame with a canonical header
 */
export function withId(frame: Frame, idStart: number, idEnd: number, token: Buffer | string): Frame {
  const size = typeof token === 'string' ? Buffer.byteLength(token) : token.length;
  if (size > idEnd - idStart) return withEdits(frame, [{ from: idStart, to: idEnd, text: token }]);
  if (typeof token === 'string') frame.buffer.write(token, idStart, 'utf8');
  else token.copy(frame.buffer, idStart);
  frame.buffer.fill(0x20, idStart + size, idEnd);
  return frame;
}

/** Frames that are sent at once are written one behind the other into blocks of this many bytes. */
const BLOCK = 16 * 1024;
/** Room for a header and an id. */
const ROOM = 64;

let block = Buffer.allocUnsafeSlow(BLOCK);
let filled = 0;
const written: Frame = { buffer: block, start: 0, body: 0, end: 0 };

/**
 * As `withId`, for a frame that is sent at once, as most are: no text is made of the id, and small frames that
 * need another place get one next to each other, so that those for one peer leave as one piece.
 * @param id a whole number of up to 15 digits
 * @returns the same frame, changed in place, or one that is valid until the next call
 */
export function withNumber(frame: Frame, idStart: number, idEnd: number, id: number): Frame {
  const { buffer, body, end } = frame;
  const digits = digitsOf(id);
  if (digits <= idEnd - idStart) {
    writeDigits(buffer, idStart, digits, id);
    for (let at = idStart + digits; at < idEnd; at++) buffer[at] = 0x20;
    return frame;
  }
  const length = end - body + digits - (idEnd - idStart);
  if (length + ROOM > BLOCK / 4) return withId(frame, idStart, idEnd, String(id));
  if (length + ROOM > BLOCK - filled) {
    block = Buffer.allocUnsafeSlow(BLOCK);
    filled = 0;
  }
  written.buffer = block;
  written.start = filled;
  let at = filled;
  for (let i = 0; i < CONTENT_LENGTH.length; i++) block[at++] = CONTENT_LENGTH[i]!;
  const lengthDigits = digitsOf(length);
  writeDigits(block, at, lengthDigits, length);
  at += lengthDigits;
  for (let i = 0; i < 2; i++) {
    block[at++] = 0x0d;
    block[at++] = 0x0a;
  }
  written.body = at;
  at = copyTo(at, buffer, body, idStart);
  writeDigits(block, at, digits, id);
  written.end = filled = copyTo(at + digits, buffer, idEnd, end);
  return written;
}

const CONTENT_LENGTH = Buffer.from('Content-Length: ', 'latin1');

/** Below this many bytes a loop is faster than a call of `copy`. */
const LOOP = 48;

/** Copies to the block. @returns where to go on */
function copyTo(at: number, source: Buffer, from: number, to: number): number {
  if (to - from > LOOP) return at + source.copy(block, at, from, to);
  while (from < to) block[at++] = source[from++]!;
  return at;
}

function digitsOf(value: number): number {
  let digits = 1;
  for (let bound = 10; value >= bound; bound *= 10) digits++;
  return digits;
}

function writeDigits(buffer: Buffer, at: number, digits: number, value: number): void {
  let i = at + digits - 1;
  // Beyond 32 bits there is no division of whole numbers.
  for (; value > LARGEST_INT; i--) {
    const rest = Math.floor(value / 10);
    buffer[i] = ZERO + value - rest * 10;
    value = rest;
  }
  for (let left = value | 0; i >= at; i--) {
    const rest = (left / 10) | 0;
    buffer[i] = ZERO + left - rest * 10;
    left = rest;
  }
}

const ZERO = 0x30;
const LARGEST_INT = 2 ** 31 - 1;

/**
 * Puts another method or other params in the place of a request's.
 * @param patch `method`: the name; `params`: JSON text, added if the message has none
 * @returns a new frame
 */
export function withParams(frame: Frame, scan: Scan, patch: { method?: string; params?: string }): Frame {
  const edits: Edit[] = [];
  if (patch.method !== undefined) {
    edits.push({ from: scan.methodStart, to: scan.methodEnd, text: JSON.stringify(patch.method) });
  }
  if (patch.params !== undefined) edits.push(paramsEdit(scan, patch.params));
  return withEdits(frame, edits);
}

/**
 * Gives a request a `params.sessionId`, or another one than it has. `null`, `[]` and missing params
 * become an object.
 * @returns a new frame
 */
export function withSessionId(frame: Frame, scan: Scan, sessionId: string): Frame {
  const value = JSON.stringify(sessionId);
  if (scan.sessionIdStart >= 0) {
    return withEdits(frame, [{ from: scan.sessionIdStart, to: scan.sessionIdEnd, text: value }]);
  }
  if (scan.paramKeys.length === 0) return withEdits(frame, [paramsEdit(scan, `{"sessionId":${value}}`)]);
  const first = scan.paramsStart + 1;
  return withEdits(frame, [{ from: first, to: first, text: `"sessionId":${value},` }]);
}

function paramsEdit(scan: Scan, params: string): Edit {
  if (scan.paramsStart >= 0) return { from: scan.paramsStart, to: scan.paramsEnd, text: params };
  return { from: scan.methodEnd, to: scan.methodEnd, text: `,"params":${params}` };
}

/** A new frame with the edits, which must not overlap: one allocation, one copy. */
function withEdits(frame: Frame, edits: Edit[]): Frame {
  edits.sort((a, b) => a.from - b.from || a.to - b.to);
  let length = frame.end - frame.body;
  for (const { from, to, text } of edits) length += Buffer.byteLength(text) - (to - from);
  const header = headerOf(length);
  const body = header.length;
  const buffer = Buffer.allocUnsafe(body + length);
  buffer.write(header, 0, 'latin1');
  let at = body;
  let taken = frame.body;
  for (const { from, to, text } of edits) {
    at += frame.buffer.copy(buffer, at, taken, from);
    at += typeof text === 'string' ? buffer.write(text, at, 'utf8') : text.copy(buffer, at);
    taken = to;
  }
  frame.buffer.copy(buffer, at, taken, frame.end);
  return { buffer, start: 0, body, end: body + length };
}
