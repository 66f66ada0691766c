import { arena, arenaWords } from './arena.js';
import type { WireFault, WireFaultReason } from './frame.js';

const CR = 0x0d;
const LF = 0x0a;
const TAB = 0x09;
const SPACE = 0x20;
const COLON = 0x3a;
const ZERO = 0x30;
const CANONICAL = Buffer.from('Content-Length: ', 'latin1');
const CANONICAL_WORDS = [0, 4, 8, 12].map((at) => CANONICAL.readInt32LE(at));
const NAME = Buffer.from('content-length', 'latin1');
const MAX_DIGITS = 10;
/** 1 for the characters of a header name (RFC 9110, "token"). */
const TOKEN = new Uint8Array(256);
for (const byte of Buffer.from("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")) TOKEN[byte] = 1;

/**
 * Reads the header of one frame after the other: lines ended by `\r\n`, names in any case, the last
 * line blank (PROTOCOL.md, "Framing"). `Content-Length` must be there once, in strict decimal
 * digits; other lines are checked for form and ignored. It reads byte by byte, so the outcome is
 * the same however the input is cut.
 */
export class HeaderReader {
  /** The body's length, once the header is complete. */
  length = -1;
  /** Where a canonical `Content-Length` line lies directly before the body, counted from the header's first byte; or -1. */
  canonical = -1;
  fault: WireFault | undefined;
  /** Bytes of this header that have been read, and where the line being read begins among them. */
  private seen = 0;
  private line = 0;

  /** @param maxHeader largest header with its blank line, in bytes */
  constructor(public maxHeader: number) {}

  /**
   * Begins with a new header at `base`.
   * @returns the body's offset; or -1, and then either `fault` is set or the header is incomplete
   */
  begin(b: Buffer, base: number, end: number): number {
    const body = this.expected(b, base, end);
    if (body >= 0) return body;
    this.seen = this.line = 0;
    this.length = this.canonical = -1;
    return this.resume(b, base, end);
  }

  /**
   * Reads on in the header that begins at `base`, now that there are more bytes of it, perhaps in
   * another buffer.
   * @returns like `begin`
   */
  resume(b: Buffer, base: number, end: number): number {
    const stop = Math.min(end, base + this.maxHeader);
    for (let at = base + this.seen; at < stop; at++) {
      const byte = b[at]!;
      const afterCr = at > base && b[at - 1] === CR;
      if (byte === LF) {
        if (!afterCr) return this.fail('bad_header', 'A header line does not end in CR LF');
        const from = base + this.line;
        if (at - 1 === from) {
          return this.length < 0 ? this.fail('missing_length', 'The header has no Content-Length') : at + 1;
        }
        if (!this.readLine(b, from, at - 1)) return -1;
        this.canonical = isCanonical(b, from, at - 1) ? this.line : -1;
        this.line = at + 1 - base;
      } else if (afterCr || (byte < SPACE && byte !== CR && byte !== TAB) || byte === 0x7f) {
        return this.fail('bad_header', 'A header line holds a control character');
      }
    }
    if (end - base >= this.maxHeader) {
      return this.fail('header_too_large', `The header is larger than ${this.maxHeader} bytes`);
    }
    this.seen = end - base;
    return -1;
  }

  /** The header that nearly everybody sends, in one pass. Returns -1 if it is another or incomplete. */
  private expected(b: Buffer, base: number, end: number): number {
    const digits = base + CANONICAL.length;
    if (digits + 5 > end || !(b === arena ? isCanonicalInArena(base) : matches(b, base, CANONICAL))) return -1;
    let at = digits;
    let length = 0;
    for (; at < end && at - digits < MAX_DIGITS; at++) {
      const digit = b[at]! - ZERO;
      if (digit < 0 || digit > 9) break;
      length = length * 10 + digit;
    }
    const leadingZero = b[digits] === ZERO && at > digits + 1;
    if (at === digits || leadingZero || at + 4 > end || at + 4 - base > this.maxHeader) return -1;
    if (b[at] !== CR || b[at + 1] !== LF || b[at + 2] !== CR || b[at + 3] !== LF) return -1;
    this.length = length;
    this.canonical = 0;
    return at + 4;
  }

  /** One line without its end. */
  private readLine(b: Buffer, from: number, to: number): boolean {
    let colon = from;
    while (colon < to && TOKEN[b[colon]!] === 1) colon++;
    if (colon === from || colon === to || b[colon] !== COLON) {
      this.fail('bad_header', 'A header line is not `Name: value`');
      return false;
    }
    if (!isLengthName(b, from, colon)) return true;
    if (this.length >= 0) {
      this.fail('bad_length', 'Content-Length is given twice');
      return false;
    }
    from = colon + 1;
    while (from < to && isBlank(b[from]!)) from++;
    while (to > from && isBlank(b[to - 1]!)) to--;
    let length = 0;
    for (let i = from; i < to && length >= 0; i++) {
      const digit = b[i]! - ZERO;
      length = digit < 0 || digit > 9 ? -1 : length * 10 + digit;
    }
    if (from === to || to - from > MAX_DIGITS || length < 0) {
      this.fail('bad_length', `Content-Length is not 1 to ${MAX_DIGITS} decimal digits`);
      return false;
    }
    this.length = length;
    return true;
  }

  private fail(reason: WireFaultReason, message: string): -1 {
    this.fault = { reason, message };
    return -1;
  }
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

function matches(b: Buffer, at: number, text: Buffer): boolean {
  for (let i = 0; i < text.length; i++) if (b[at + i] !== text[i]) return false;
  return true;
}

/** As `matches(arena, at, CANONICAL)`. */
function isCanonicalInArena(at: number): boolean {
  for (let i = 0; i < 4; i++) if (arenaWords.getInt32(at + i * 4, true) !== CANONICAL_WORDS[i]) return false;
  return true;
}

function isLengthName(b: Buffer, from: number, to: number): boolean {
  if (to - from !== NAME.length) return false;
  for (let i = 0; i < NAME.length; i++) {
    const byte = b[from + i]!;
    const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (lower !== NAME[i]) return false;
  }
  return true;
}

/** True for `Content-Length: N` as `headerOf` writes it. The line has been read before. */
function isCanonical(b: Buffer, from: number, to: number): boolean {
  const digits = from + CANONICAL.length;
  if (to <= digits || !matches(b, from, CANONICAL)) return false;
  if (b[digits] === ZERO && to - digits > 1) return false;
  for (let i = digits; i < to; i++) if (b[i]! < ZERO) return false;
  return true;
}
