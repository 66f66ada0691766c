/**
 * A `session.event` message as the runtime writes it (measured on 1.0.85), told by its two ends alone:
 *
 *   {"jsonrpc":"2.0","method":"session.event","params":{"sessionId":"…","event":{"type":"…", …
 *     [,"ephemeral":true],"data":{ … }[,"ephemeral":true][,"agentId":"…"],"id":"…","timestamp":"…","parentId":…}}}
 *
 * What lies between is never looked at, however long it is. Neither end can be forged by the data: a quote
 * within a string has a backslash before it, and three braces at the end of a message close the event, `params` and the message.
 */
import type { Frame } from './frame.js';

const HEAD = Buffer.from('{"jsonrpc":"2.0","method":"session.event","params":{"sessionId":"', 'latin1');
const EVENT = Buffer.from(',"event":{"type":"', 'latin1');
const MARK = Buffer.from(',"ephemeral":true', 'latin1');
const DATA = Buffer.from(',"data":{', 'latin1');
const AGENT = Buffer.from(',"agentId":', 'latin1');
const ID = Buffer.from(',"id":', 'latin1');
const TIMESTAMP = Buffer.from(',"timestamp":', 'latin1');
const PARENT = Buffer.from(',"parentId":', 'latin1');
const END = Buffer.from('}}}', 'latin1');
const NULL = Buffer.from('null', 'latin1');

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const CLOSE_BRACE = 0x7d;

/** Longer ids, types and times are nobody's. */
const LONGEST = 128;

/** Of the event that `endsOf` read last: where it begins and ends in the buffer, and its id without the quotes. */
export let eventStart = 0;
export let eventEnd = 0;
export let idStart = 0;
export let idEnd = 0;

/**
 * @returns `ephemeral` for an event that says of itself that it is not stored, `lasting` for one that does not,
 *   `other` for one in any other spelling, of which nothing is known; the places are those of a lasting one
 */
export function endsOf({ buffer, body, end }: Frame): 'ephemeral' | 'lasting' | 'other' {
  let at = tailOf(buffer, body, end);
  if (at < 0) return headMarked(buffer, body, end) ? 'ephemeral' : 'other';
  if (buffer[at - 1] === QUOTE) at = before(buffer, body, quotedBefore(buffer, body, at), AGENT);
  if (before(buffer, body, at, MARK) >= 0 || headMarked(buffer, body, end)) return 'ephemeral';
  if (at < 0 || buffer[at - 1] !== CLOSE_BRACE || typeEnd < 0 || !stands(buffer, typeEnd, end, DATA)) return 'other';
  eventEnd = end - 2;
  return 'lasting';
}

/** Where `,"id":` begins, with which the last three members of an event begin; -1 if they are not as they should be. */
function tailOf(buffer: Buffer, body: number, end: number): number {
  let at = before(buffer, body, end, END);
  const parent = at > 0 && buffer[at - 1] === QUOTE ? quotedBefore(buffer, body, at) : before(buffer, body, at, NULL);
  at = quotedBefore(buffer, body, before(buffer, body, parent, PARENT));
  at = before(buffer, body, at, TIMESTAMP);
  idEnd = at - 1;
  at = quotedBefore(buffer, body, at);
  idStart = at + 1;
  return before(buffer, body, at, ID);
}

/** After the closing quote of the type, or -1; set by `headMarked`. */
let typeEnd = -1;

/** Reads the head. @returns whether the mark follows the type */
function headMarked(buffer: Buffer, body: number, end: number): boolean {
  typeEnd = -1;
  if (!stands(buffer, body, end, HEAD)) return false;
  let at = stringEnd(buffer, body + HEAD.length, end);
  if (at < 0 || !stands(buffer, at + 1, end, EVENT)) return false;
  eventStart = at + ',"event":'.length + 1;
  at = stringEnd(buffer, at + 1 + EVENT.length, end);
  if (at < 0) return false;
  typeEnd = at + 1;
  return stands(buffer, typeEnd, end, MARK);
}

function stands(buffer: Buffer, at: number, end: number, text: Buffer): boolean {
  const { length } = text;
  if (end - at < length) return false;
  for (let i = 0; i < length; i++) if (buffer[at + i] !== text[i]) return false;
  return true;
}

/** Where a text begins that ends at `end`; -1 if something else does, or `end` is negative. */
function before(buffer: Buffer, from: number, end: number, text: Buffer): number {
  const at = end - text.length;
  return at >= from && stands(buffer, at, end, text) ? at : -1;
}

/** The closing quote of the plain string whose first character is at `from`, or -1. */
function stringEnd(buffer: Buffer, from: number, end: number): number {
  for (let at = from; at < end && at < from + LONGEST; at++) {
    if (buffer[at] === QUOTE) return at;
    if (buffer[at] === BACKSLASH) return -1;
  }
  return -1;
}

/** Where a plain string in quotes begins that ends at `end`, or -1. */
function quotedBefore(buffer: Buffer, from: number, end: number): number {
  const to = end - 1;
  if (to <= from || buffer[to] !== QUOTE) return -1;
  for (let at = to - 1; at >= from && at > to - LONGEST; at--) {
    if (buffer[at] === QUOTE) return at;
    if (buffer[at] === BACKSLASH) return -1;
  }
  return -1;
}
