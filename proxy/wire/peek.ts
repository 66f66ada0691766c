import { atomAt, atomEnd } from './atoms.js';
import { sessionIdAt, typeAt } from './event-head.js';
import { expected, stands } from './expected.js';
import { nextMember, openObject, skipString, skipValue, space, valueAfterKey } from './skim.js';

/**
 * What the proxy must know of a message that a trusted backend sends.
 *
 * For every JSON-RPC 2.0 message this is what `JSON.parse` sees, whatever the order of keys, white
 * space and escapes. Three things a backend never sends are left open: of two equal keys either may
 * win; keys that come after everything needed has been found are not looked at (so `session.event`
 * and `session.lifecycle`, notifications by protocol, are called notifications even if an `id` were
 * to follow); and text that is not JSON may be taken for a message.
 */
export interface Peek {
  /** `unknown`: neither a method nor an id with a result or a (non-null) error, or not JSON. */
  kind: 'request' | 'notification' | 'response' | 'unknown';
  /** The id's JSON text is [idStart, idEnd) of the buffer; both -1 if there is none. */
  idStart: number;
  idEnd: number;
  /** Empty if there is none. */
  method: string;
  /** `params.sessionId`, if that is a string; left out for a request of a session's files. */
  sessionId: string | undefined;
  /** `params.event.type` of a `session.event`, if that is a string. */
  eventType: string | undefined;
  /** True for a response with an error. */
  isError: boolean;
  /** Bytes that were looked at. */
  scanned: number;
}

const QUOTE = 0x22;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const NULL_N = 0x6e;

/** How the runtime begins every answer that is no error (measured on 1.0.85). */
const RESULT_HEAD = expected('{"jsonrpc":"2.0","id":');
const RESULT = expected(',"result":');
/** Where that differs first from how events begin: `id` or `method`. */
const APART = '{"jsonrpc":"2.0","'.length;
const LOWER_I = 0x69;

/** What a server asks of the file system of its sessions. */
const FILES = 'sessionFs.';

const found: Peek = {
  kind: 'unknown', idStart: -1, idEnd: -1, method: '', sessionId: undefined, eventType: undefined, isError: false, scanned: 0,
};
let hasMethod = false;
let hasOutcome = false;
/** Everything needed is known: the walk ends here. */
let enough = false;

/**
 * Looks at one message from a trusted backend, no further than needed.
 * @returns one object that every call reuses: copy out what is kept. Positions are offsets in `buffer`
 */
export function peek(buffer: Buffer, start: number, end: number): Peek {
  found.idStart = found.idEnd = -1;
  found.isError = false;
  if (start + APART < end && buffer[start + APART] === LOWER_I ? peekResult(buffer, start, end) : peekEvent(buffer, start, end)) return found;
  found.kind = 'unknown';
  found.method = '';
  found.sessionId = found.eventType = undefined;
  hasMethod = hasOutcome = enough = false;
  const at = walk(buffer, start, end);
  if (at < 0) return peekParsed(buffer, start, end);
  found.scanned = at - start;
  if (hasMethod) found.kind = found.idStart >= 0 ? 'request' : 'notification';
  else if (hasOutcome && found.idStart >= 0) found.kind = 'response';
  if (found.method !== 'session.event') found.eventType = undefined;
  if (found.kind !== 'response') found.isError = false;
  return found;
}

/** An event just as the runtime writes it; anything else is left to the walk. */
function peekEvent(buffer: Buffer, start: number, end: number): boolean {
  const id = sessionIdAt(buffer, start, end);
  if (id < 0) return false;
  const sessionId = atomAt(buffer, id, end);
  if (sessionId === undefined) return false;
  const type = typeAt(buffer, atomEnd, end);
  if (type < 0) return false;
  const eventType = atomAt(buffer, type, end);
  if (eventType === undefined) return false;
  found.kind = 'notification';
  found.method = 'session.event';
  found.sessionId = sessionId;
  found.eventType = eventType;
  found.scanned = atomEnd + 1 - start;
  return true;
}

/** An answer of the runtime to a request whose id was a number; anything else is left to the walk. */
function peekResult(buffer: Buffer, start: number, end: number): boolean {
  if (!stands(buffer, start, end, RESULT_HEAD)) return false;
  const id = start + RESULT_HEAD.length;
  let at = id;
  while (at < end && buffer[at]! >= 0x30 && buffer[at]! <= 0x39) at++;
  if (at === id || !stands(buffer, at, end, RESULT)) return false;
  found.kind = 'response';
  found.idStart = id;
  found.idEnd = at;
  found.method = '';
  found.sessionId = found.eventType = undefined;
  found.scanned = at + RESULT.length - start;
  return true;
}

/**
 * The members of the message.
 * @returns where it stopped, or -1 if it met something it does not understand: not an object, an
 * escape or a non-ASCII character in a key or a value that matters, or no JSON
 */
function walk(b: Buffer, start: number, end: number): number {
  let at = openObject(b, space(b, start, end), end);
  while (at > 0 && b[at] === QUOTE) {
    const key = atomAt(b, at + 1, end);
    if (key === undefined) return -1;
    at = valueAfterKey(b, atomEnd + 1, end);
    if (at < 0) return -1;
    switch (key) {
      case 'method':
        if (b[at] === QUOTE) {
          const method = atomAt(b, at + 1, end);
          if (method === undefined) return -1;
          found.method = method;
          hasMethod = true;
          at = atomEnd + 1;
        } else at = skipValue(b, at, end);
        break;
      case 'id':
        found.idStart = at;
        at = skipValue(b, at, end);
        found.idEnd = at;
        break;
      case 'params':
        // Whoever answers such a request reads it whole, and the session comes after all of a file's content.
        if (found.idStart >= 0 && found.method.startsWith(FILES)) return at;
        at = b[at] === OPEN_BRACE ? walkParams(b, at, end) : skipValue(b, at, end);
        if (enough) return at;
        break;
      case 'result':
      case 'error':
        if (key === 'result' || b[at] !== NULL_N) {
          hasOutcome = true;
          found.isError = key === 'error';
        }
        if (!hasMethod && hasOutcome && found.idStart >= 0) return at;
        at = skipValue(b, at, end);
        break;
      default:
        at = skipValue(b, at, end);
    }
    if (at < 0) return -1;
    if (isEnough()) return at;
    at = nextMember(b, at, end);
  }
  return at > 0 && b[at] === CLOSE_BRACE ? at + 1 : -1;
}

/** True when nothing that can still follow would change what the proxy does with the message. */
function isEnough(): boolean {
  if (!hasMethod) return hasOutcome && found.idStart >= 0;
  if (found.sessionId === undefined) return false;
  if (found.method === 'session.event') return found.eventType !== undefined;
  return found.idStart >= 0 || found.method === 'session.lifecycle';
}

function walkParams(b: Buffer, start: number, end: number): number {
  let at = openObject(b, start, end);
  while (at > 0 && b[at] === QUOTE) {
    const key = atomAt(b, at + 1, end);
    if (key === undefined) return -1;
    at = valueAfterKey(b, atomEnd + 1, end);
    if (at < 0) return -1;
    if (key === 'sessionId' && b[at] === QUOTE) {
      found.sessionId = atomAt(b, at + 1, end);
      if (found.sessionId === undefined) return -1;
      at = atomEnd + 1;
    } else if (key === 'event' && b[at] === OPEN_BRACE) at = walkEvent(b, at, end);
    else at = skipValue(b, at, end);
    if (at < 0) return -1;
    if ((enough = isEnough())) return at;
    at = nextMember(b, at, end);
  }
  return at > 0 && b[at] === CLOSE_BRACE ? at + 1 : -1;
}

function walkEvent(b: Buffer, start: number, end: number): number {
  let at = openObject(b, start, end);
  while (at > 0 && b[at] === QUOTE) {
    const key = atomAt(b, at + 1, end);
    if (key === undefined) return -1;
    at = valueAfterKey(b, atomEnd + 1, end);
    if (at < 0) return -1;
    if (key === 'type' && b[at] === QUOTE) {
      found.eventType = atomAt(b, at + 1, end);
      if (found.eventType === undefined) return -1;
      at = atomEnd + 1;
      if (isEnough()) return at;
    } else at = skipValue(b, at, end);
    if (at < 0) return -1;
    at = nextMember(b, at, end);
  }
  return at > 0 && b[at] === CLOSE_BRACE ? at + 1 : -1;
}

/** The slow and certain way: parses the whole message, then looks for the id's place. */
function peekParsed(buffer: Buffer, start: number, end: number): Peek {
  found.kind = 'unknown';
  found.idStart = found.idEnd = -1;
  found.method = '';
  found.sessionId = found.eventType = undefined;
  found.isError = false;
  found.scanned = end - start;
  let message: unknown;
  try {
    message = JSON.parse(buffer.toString('utf8', start, end));
  } catch {
    return found;
  }
  if (!isObject(message)) return found;
  const { method, params } = message;
  if (Object.hasOwn(message, 'id')) findId(buffer, start, end);
  if (typeof method === 'string') {
    found.method = method;
    found.kind = found.idStart >= 0 ? 'request' : 'notification';
  } else if (found.idStart >= 0 && (Object.hasOwn(message, 'result') || (message.error ?? null) !== null)) {
    found.kind = 'response';
    found.isError = (message.error ?? null) !== null;
  }
  if (!isObject(params)) return found;
  if (typeof params.sessionId === 'string') found.sessionId = params.sessionId;
  if (method === 'session.event' && isObject(params.event) && typeof params.event.type === 'string') {
    found.eventType = params.event.type;
  }
  return found;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Sets the place of the last `id` member of an object that is known to be JSON. */
function findId(b: Buffer, start: number, end: number): void {
  let at = openObject(b, space(b, start, end), end);
  while (at > 0 && b[at] === QUOTE) {
    const keyEnd = skipString(b, at + 1, end);
    const key: unknown = JSON.parse(b.toString('utf8', at, keyEnd));
    const value = valueAfterKey(b, keyEnd, end);
    const after = skipValue(b, value, end);
    if (key === 'id') {
      found.idStart = value;
      found.idEnd = after;
    }
    at = nextMember(b, after, end);
  }
}
