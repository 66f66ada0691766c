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
