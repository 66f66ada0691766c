/**
 * Requests as the SDKs write them, whose bytes need only be compared with what is expected: their JSON-RPC libraries
 * put the members in one order, and name the session before all other parameters. Whatever differs is left to the
 * strict reader of scan.ts, which accepts nothing else and sees nothing else in what is accepted here.
 *
 *   {"jsonrpc":"2.0","id":17,"method":"session.send","params":{"sessionId":"…"  ,"prompt":"hi"}}
 *   └── compared ────────┘  └── known as a whole, or compared and read ──────┘  └── scan.ts ───┘
 */
import { atomAt, atomEnd } from './atoms.js';
import { expected, stands } from './expected.js';
import { isKnown, know, LONGEST, slotOf, TAILS, viewOf } from './known-tails.js';
import type { Scan } from './scan.js';

/** Longest string id, in bytes as written between its quotes. */
export const MAX_ID = 256;
/** Longest method name, in bytes as written between its quotes. */
export const MAX_METHOD = 128;
/** A whole number of up to so many digits is a 64-bit integer. */
export const SURELY_I64 = 18;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ZERO = 0x30;
const NINE = 0x39;
const CLOSE_BRACE = 0x7d;

const HEAD = expected('{"jsonrpc":"2.0","id":');
const METHOD = expected(',"method":"');
const SESSION = expected('","params":{"sessionId":"');
/** The value of `params` begins here in it. */
const PARAMS = '","params":'.length;

/** The keys of most requests; one list for all of them. */
const SESSION_ALONE: readonly string[] = Object.freeze(['sessionId']);

interface Named {
  readonly method: string;
  readonly sessionId: string;
}

/** What the known tails name, by their slots. */
const known = new Array<Named | undefined>(TAILS).fill(undefined);

/** All of the message has been read. */
export const WHOLE = -1;

/** How far `usualRequest` has read: WHOLE, or the offset behind the session id. */
export let readTo = 0;

/**
 * A usual request, as `scan` gives it.
 * @returns a new object, with `paramsEnd` yet to be found when not all has been read; undefined for any other message
 */
export function usualRequest(buffer: Buffer, start: number, end: number): Scan | undefined {
  if (!stands(buffer, start, end, HEAD)) return undefined;
  const idStart = start + HEAD.length;
  const idEnd = idAt(buffer, idStart, end);
  if (idEnd < 0) return undefined;
  if (end - idEnd > LONGEST) return readHead(buffer, idStart, idEnd, end);
  const view = viewOf(buffer);
  const slot = slotOf(view, idEnd, end);
  if (slot >= 0 && isKnown(slot, view, idEnd, end)) {
    readTo = WHOLE;
    return found(known[slot]!, idStart, idEnd);
  }
  const read = readHead(buffer, idStart, idEnd, end);
  if (read === undefined || slot < 0 || readTo !== WHOLE) return read;
  know(slot, view, idEnd, end);
  known[slot] = { method: read.method, sessionId: read.sessionId! };
  return read;
}

/** Compares and reads what comes after the id, up to the session id or the end. */
function readHead(buffer: Buffer, idStart: number, idEnd: number, end: number): Scan | undefined {
  if (!stands(buffer, idEnd, end, METHOD)) return undefined;
  const method = atomAt(buffer, idEnd + METHOD.length, end);
  if (method === undefined || method.length > MAX_METHOD || !stands(buffer, atomEnd, end, SESSION)) return undefined;
  const sessionId = atomAt(buffer, atomEnd + SESSION.length, end);
  if (sessionId === undefined) return undefined;
  const at = atomEnd + 1;
  const isAll = at === end - 2 && buffer[at] === CLOSE_BRACE && buffer[at + 1] === CLOSE_BRACE;
  readTo = isAll ? WHOLE : at;
  return found({ method, sessionId }, idStart, idEnd);
}

/** Both texts are plain, so their places follow from their lengths. */
function found({ method, sessionId }: Named, idStart: number, idEnd: number): Scan {
  const methodStart = idEnd + METHOD.length - 1;
  const methodEnd = methodStart + method.length + 2;
  const sessionIdStart = methodEnd + SESSION.length - 2;
  const sessionIdEnd = sessionIdStart + sessionId.length + 2;
  return {
    kind: 'request', idStart, idEnd, method, methodStart, methodEnd, paramsStart: methodEnd - 1 + PARAMS, paramsEnd: sessionIdEnd + 1,
    sessionId, sessionIdStart, sessionIdEnd, paramKeys: SESSION_ALONE, isError: false,
  };
}

/** Where a usual id ends: digits, or a string of printable ASCII without escapes. -1 for any other one. */
function idAt(buffer: Buffer, start: number, end: number): number {
  let at = start;
  if (at < end && buffer[at] === QUOTE) {
    for (at++; at < end && buffer[at] !== QUOTE; at++) {
      const byte = buffer[at]!;
      if (byte === BACKSLASH || byte < 0x20 || byte > 0x7e) return -1;
    }
    return at < end && at - start - 1 <= MAX_ID ? at + 1 : -1;
  }
  while (at < end && buffer[at]! >= ZERO && buffer[at]! <= NINE) at++;
  if (at === start || at - start > SURELY_I64 || (buffer[start] === ZERO && at > start + 1)) return -1;
  return at;
}
