import { isUtf8 } from 'node:buffer';
import type { WireFault, WireFaultReason } from './frame.js';
import { JsonReader } from './json.js';
import { MAX_ID, MAX_METHOD, readTo, SURELY_I64, usualRequest, WHOLE } from './usual-request.js';

/**
 * What the proxy must know of a message that an untrusted client sends. All positions are offsets
 * in the scanned buffer; string tokens include their quotes; -1 stands for what is not there.
 */
export interface Scan {
  kind: 'request' | 'notification' | 'response';
  idStart: number;
  idEnd: number;
  /** Empty for a response. */
  method: string;
  methodStart: number;
  methodEnd: number;
  /** The value of `params`: an object, `null` or an empty array. */
  paramsStart: number;
  paramsEnd: number;
  sessionId: string | undefined;
  sessionIdStart: number;
  sessionIdEnd: number;
  /** Keys of `params`, decoded, in the order they were written; no two are equal. */
  paramKeys: readonly string[];
  /** True for a response with an error. */
  isError: boolean;
}

const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const COMMA = 0x2c;
const QUOTE = 0x22;
const NULL_N = 0x6e;

/** Most keys of `params`; `session.create`, the widest call, has about 60. */
export const MAX_PARAM_KEYS = 1000;
const FEW_KEYS = 16;

const MAX_I64 = 2n ** 63n - 1n;
const MIN_I64 = -(2n ** 63n);

/** The keys of a message; a set of them is a bit for each. */
const TOP_KEYS = ['jsonrpc', 'id', 'method', 'params', 'result', 'error'] as const;
type TopKey = (typeof TOP_KEYS)[number];
const bit = (key: TopKey): number => 1 << TOP_KEYS.indexOf(key);
const JSONRPC = bit('jsonrpc');
const ID = bit('id');
const METHOD = bit('method');
const PARAMS = bit('params');
const RESULT = bit('result');
const ERROR = bit('error');

const NO_KEYS: readonly string[] = Object.freeze([]);

const reader = new JsonReader();

/** The message being scanned, and the first thing that is wrong with it though it is JSON. */
let found: Scan;
let refusal: string | undefined;
/** The members that it has. */
let seen = 0;
let idTwice = false;
/** The keys of its `params`, once they are more than a few. */
let many: Set<string> | undefined;

/**
 * Reads a client's message to its last byte, so that what is understood of it here is what any
 * other parser will understand: everything that two parsers may read differently is refused (a
 * second key of one name at the top or in `params`, in any spelling; text that is not strict JSON
 * in UTF-8), and so is what the runtime answers with `id: null` (measured on 1.0.85: ids that are
 * neither strings nor 64-bit integers, half surrogate pairs, numbers beyond a double, deep nesting).
 * @returns a new object, or a fault: `parse_error` (JSON-RPC -32700) or `invalid_request` (-32600).
 * The fault has the id if the text is JSON, has exactly one id, and is not a response
 */
export function scan(buffer: Buffer, start: number, end: number): Scan | WireFault {
  const usual = usualRequest(buffer, start, end);
  if (usual === undefined) return scanFrom(buffer, start, end, false);
  if (readTo === WHOLE) return usual;
  found = usual;
  return scanFrom(buffer, readTo, end, true);
}

/** @param at where the reader begins. @param behind true if that is behind the head, which is plain ASCII */
function scanFrom(buffer: Buffer, at: number, end: number, behind: boolean): Scan | WireFault {
  if (!isUtf8(buffer.subarray(at, end))) return fault('parse_error', 'The message is not valid UTF-8');
  reader.begin(buffer, at, end);
  refusal = undefined;
  idTwice = false;
  const outcome = behind ? scanRest(buffer) : scanMessage(buffer);
  reader.finish();
  return outcome;
}

/** All that comes after the head. */
function scanRest(buffer: Buffer): Scan | WireFault {
  seen = JSONRPC | ID | METHOD | PARAMS;
  if (reader.next() === COMMA) {
    const keys = ['sessionId'];
    found.paramKeys = keys;
    reader.at++;
    if (!moreParams(keys)) return notJson();
  } else if (!reader.take(CLOSE_BRACE)) return notJson();
  found.paramsEnd = reader.at;
  if (reader.take(COMMA) && !moreMembers(buffer)) return notJson();
  return reader.take(CLOSE_BRACE) ? judged(buffer) : notJson();
}

function scanMessage(buffer: Buffer): Scan | WireFault {
  seen = 0;
  found = {
    kind: 'request', idStart: -1, idEnd: -1, method: '', methodStart: -1, methodEnd: -1, paramsStart: -1, paramsEnd: -1,
    sessionId: undefined, sessionIdStart: -1, sessionIdEnd: -1, paramKeys: NO_KEYS, isError: false,
  };
  const first = reader.next();
  if (first !== OPEN_BRACE) {
    if (!reader.value(0) || reader.next() !== -1) return notJson();
    if (reader.unreadable !== undefined) return fault('parse_error', reader.unreadable);
    return fault('invalid_request', first === OPEN_BRACKET ? 'Batches are not supported' : 'The message is not an object');
  }
  reader.at++;
  if (reader.next() === CLOSE_BRACE) reader.at++;
  else if (!moreMembers(buffer) || !reader.take(CLOSE_BRACE)) return notJson();
  return judged(buffer);
}

/** One member and all that follow it, without the closing brace. Returns false if that is not JSON. */
function moreMembers(buffer: Buffer): boolean {
  do {
    reader.next();
    const from = reader.at;
    if (!reader.key()) return false;
    const key = topKey(from);
    if (key === 0 || (seen & key) !== 0) {
      idTwice ||= key === ID;
      refuse(key === 0 ? 'A key that JSON-RPC does not know' : 'A key is given twice');
      if (!reader.value(1)) return false;
    } else {
      seen |= key;
      if (!member(buffer, key)) return false;
    }
  } while (reader.take(COMMA));
  return true;
}

/** The outcome, once the message has been read. */
function judged(buffer: Buffer): Scan | WireFault {
  if (reader.next() !== -1) return notJson();
  checkMembers(seen);
  if (reader.unreadable === undefined && refusal === undefined) return found;
  const isResponse = (seen & METHOD) === 0 && (seen & (RESULT | ERROR)) !== 0;
  const id = idTwice || isResponse || found.idStart < 0 ? undefined : buffer.toString('utf8', found.idStart, found.idEnd);
  if (reader.unreadable !== undefined) return fault('parse_error', reader.unreadable, id);
  return fault('invalid_request', refusal!, id);
}

/** The bit of the key whose token begins at `from` and has just been read, or 0. */
function topKey(from: number): number {
  // Every known key, with each of its characters escaped, is shorter.
  if (reader.keyEnd - from > 64) return 0;
  const index = (TOP_KEYS as readonly string[]).indexOf(reader.text(from, reader.keyEnd, reader.escaped));
  return index < 0 ? 0 : 1 << index;
}

/** The value of a known key that is met for the first time. Returns false if it is not JSON. */
function member(buffer: Buffer, key: number): boolean {
  const first = reader.next();
  const from = reader.at;
  if (key === PARAMS) return params(first);
  if (!reader.value(1)) return false;
  const to = reader.at;
  switch (key) {
    case JSONRPC:
      if (first !== QUOTE || to - from > 32 || reader.text(from, to, reader.escaped) !== '2.0') refuse('"jsonrpc" is not "2.0"');
      break;
    case ID:
      if (isId(buffer, first, from, to)) {
        found.idStart = from;
        found.idEnd = to;
      }
      break;
    case METHOD:
      if (first !== QUOTE) refuse('"method" is not a string');
      else if (to - from - 2 > MAX_METHOD) refuse(`"method" is longer than ${MAX_METHOD} bytes`);
      else {
        found.method = reader.text(from, to, reader.escaped);
        found.methodStart = from;
        found.methodEnd = to;
      }
      break;
    case ERROR:
      found.isError = true;
      if (first !== OPEN_BRACE) refuse('"error" is not an object');
      break;
    default:
  }
  return true;
}

/** A string or a 64-bit integer as the runtime reads one: `-0` is a float to it. */
function isId(buffer: Buffer, first: number, from: number, to: number): boolean {
  if (first === QUOTE) {
    if (to - from - 2 <= MAX_ID) return true;
    refuse(`"id" is longer than ${MAX_ID} bytes`);
    return false;
  }
  // As most are: no text and no BigInt is made of it.
  if (to - from <= SURELY_I64 && isDigits(buffer, from, to)) return true;
  const text = to - from <= 20 ? buffer.toString('latin1', from, to) : '';
  if (/^-?\d+$/.test(text) && text !== '-0') {
    const id = BigInt(text);
    if (id >= MIN_I64 && id <= MAX_I64) return true;
  }
  refuse('"id" is neither a string nor a 64-bit integer');
  return false;
}

function isDigits(buffer: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (buffer[at]! < 0x30 || buffer[at]! > 0x39) return false;
  return true;
}

/** The value of `params`. Returns false if it is not JSON. */
function params(first: number): boolean {
  const start = reader.at;
  found.paramsStart = start;
  if (first !== OPEN_BRACE) {
    if (!reader.value(1)) return false;
    found.paramsEnd = reader.at;
    if (first === NULL_N) return true;
    if (first === OPEN_BRACKET) {
      const end = reader.at;
      reader.at = start + 1;
      const empty = reader.next() === CLOSE_BRACKET;
      reader.at = end;
      if (empty) return true;
    }
    refuse('"params" is not an object');
    return true;
  }
  reader.at++;
  if (reader.next() === CLOSE_BRACE) reader.at++;
  else {
    const keys: string[] = [];
    found.paramKeys = keys;
    if (!moreParams(keys)) return false;
  }
  found.paramsEnd = reader.at;
  return true;
}

/** One parameter and all that follow it, with the closing brace. Returns false if that is not JSON. */
function moreParams(keys: string[]): boolean {
  many = undefined;
  do {
    reader.next();
    const from = reader.at;
    if (!reader.key() || !param(keys, from)) return false;
  } while (reader.take(COMMA));
  return reader.take(CLOSE_BRACE);
}

/** The value of the parameter whose key token begins at `from` and has just been read. */
function param(keys: string[], from: number): boolean {
  if (keys.length >= MAX_PARAM_KEYS) {
    refuse(`"params" has more than ${MAX_PARAM_KEYS} keys`);
    return reader.value(2);
  }
  const key = reader.text(from, reader.keyEnd, reader.escaped);
  if (isAmong(keys, key)) refuse('A parameter is given twice');
  else keys.push(key);
  const first = reader.next();
  const start = reader.at;
  if (!reader.value(2)) return false;
  if (key !== 'sessionId') return true;
  if (first !== QUOTE) refuse('"params.sessionId" is not a string');
  else {
    found.sessionId = reader.text(start, reader.at, reader.escaped);
    found.sessionIdStart = start;
    found.sessionIdEnd = reader.at;
  }
  return true;
}

/** Few keys are compared one by one; most requests have no more than five. */
function isAmong(keys: readonly string[], key: string): boolean {
  if (keys.length < FEW_KEYS) return keys.includes(key);
  many ??= new Set(keys);
  if (many.has(key)) return true;
  many.add(key);
  return false;
}

/** What the message as a whole must have, given the keys it has. */
function checkMembers(seen: number): void {
  if ((seen & JSONRPC) === 0) refuse('"jsonrpc" is missing');
  const outcome = seen & (RESULT | ERROR);
  if ((seen & METHOD) !== 0) {
    if (outcome !== 0) refuse('A message with a method and an outcome');
    found.kind = (seen & ID) !== 0 ? 'request' : 'notification';
    return;
  }
  found.kind = 'response';
  if (outcome === 0) refuse('Neither a method nor an outcome');
  if (outcome === (RESULT | ERROR)) refuse('A response with a result and an error');
  if ((seen & ID) === 0) refuse('A response without an id');
  if ((seen & PARAMS) !== 0) refuse('A response with "params"');
}

function refuse(message: string): void {
  refusal ??= message;
}

function notJson(): WireFault {
  return fault('parse_error', 'The message is not valid JSON');
}

function fault(reason: WireFaultReason, message: string, idToken?: string): WireFault {
  return idToken === undefined ? { reason, message } : { reason, message, idToken };
}
