import { atomAt } from './atoms.js';

/**
 * A strict reader of JSON text: it checks the grammar (RFC 8259) to the last byte and builds nothing.
 * The input must be valid UTF-8. A method that returns false met something that is not JSON.
 *
 * Some valid JSON is refused by the runtime with `id: null`, so that the caller would wait for ever
 * (measured on 1.0.85). Such things are noted in `unreadable` and reading goes on, since the rest
 * may tell which request it was.
 */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const LOWER_E = 0x65;
const LOWER_U = 0x75;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Deepest nesting that is passed on. The runtime reads 127 levels. */
export const MAX_DEPTH = 120;
/** A number of fewer characters without an exponent is always in the range of a double. */
const SURELY_FINITE = 300;

/** 1 for the bytes at which a string is more than plain text: its end, an escape, a control character. */
const STOPS = new Uint8Array(256).fill(1, 0, 0x20);
STOPS[QUOTE] = STOPS[BACKSLASH] = 1;
/** 1 for what may follow a backslash, other than `u`. */
const ESCAPES = new Uint8Array(256);
for (const byte of Buffer.from('"\\/bfnrt')) ESCAPES[byte] = 1;

const EMPTY: Buffer = Buffer.alloc(0);

const LITERALS = new Map(['true', 'false', 'null'].map((word) => [word.charCodeAt(0), Buffer.from(word)]));

export class JsonReader {
  /** Offset of the next byte to read. */
  at = 0;
  /** True if the string read last has escapes. */
  escaped = false;
  /** One past the closing quote of the key read last. */
  keyEnd = 0;
  /** The first thing met that is JSON but that no CLI server reads. */
  unreadable: string | undefined;
  private buffer = EMPTY;
  private end = 0;
  /** 1 for an object, 0 for an array, for each container that `value` has open. */
  private open = new Uint8Array(256);

  /** Begins with buffer[start..end). */
  begin(buffer: Buffer, start: number, end: number): void {
    this.buffer = buffer;
    this.at = start;
    this.end = end;
    this.escaped = false;
    this.unreadable = undefined;
  }

  /** Lets go of the buffer. */
  finish(): void {
    this.buffer = EMPTY;
    if (this.open.length > 256) this.open = new Uint8Array(256);
  }

  /** Skips white space. Returns the byte that follows, which is not consumed, or -1 at the end. */
  next(): number {
    const { buffer, end } = this;
    let { at } = this;
    let byte = -1;
    for (; at < end; at++) {
      byte = buffer[at]!;
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
    }
    this.at = at;
    return at < end ? byte : -1;
  }

  /** Consumes `byte` after white space, if it comes next. */
  take(byte: number): boolean {
    if (this.next() !== byte) return false;
    this.at++;
    return true;
  }

  /** A string, after white space. */
  string(): boolean {
    if (this.next() !== QUOTE) return false;
    const { buffer, end } = this;
    let at = this.at + 1;
    this.escaped = false;
    for (;;) {
      while (at < end && STOPS[buffer[at]!] === 0) at++;
      if (at >= end) return false;
      if (buffer[at] === QUOTE) {
        this.at = at + 1;
        return true;
      }
      if (buffer[at] !== BACKSLASH || at + 1 >= end) return false;
      this.escaped = true;
      const escape = buffer[at + 1]!;
      if (escape !== LOWER_U) {
        if (ESCAPES[escape] === 0) return false;
        at += 2;
        continue;
      }
      const unit = this.hex(at + 2);
      if (unit < 0) return false;
      at += 6;
      if (unit < 0xd800 || unit > 0xdfff) continue;
      const pair = unit < 0xdc00 && at + 1 < end && buffer[at] === BACKSLASH && buffer[at + 1] === LOWER_U;
      const low = pair ? this.hex(at + 2) : -1;
      if (low >= 0xdc00 && low <= 0xdfff) at += 6;
      else this.unreadable ??= 'A string has half of a surrogate pair';
    }
  }

  /** Any value, after white space. `depth` containers are open around it. */
  value(depth: number): boolean {
    const outside = depth;
    for (;;) {
      const first = this.next();
      if (first === OPEN_BRACE || first === OPEN_BRACKET) {
        this.at++;
        if (++depth > MAX_DEPTH) this.unreadable ??= `Nesting is deeper than ${MAX_DEPTH}`;
        if (depth > this.open.length) this.deepen();
        const isObject = first === OPEN_BRACE;
        this.open[depth - 1] = isObject ? 1 : 0;
        if (this.next() !== (isObject ? CLOSE_BRACE : CLOSE_BRACKET)) {
          if (isObject && !this.key()) return false;
          continue;
        }
        this.at++;
        depth--;
      } else if (first === QUOTE) {
        if (!this.string()) return false;
      } else if (first === MINUS || (first >= ZERO && first <= 0x39)) {
        if (!this.number()) return false;
      } else if (!this.literal(first)) return false;

      for (; depth > outside; depth--) {
        const isObject = this.open[depth - 1] === 1;
        const after = this.next();
        this.at++;
        if (after === COMMA) {
          if (isObject && !this.key()) return false;
          break;
        }
        if (after !== (isObject ? CLOSE_BRACE : CLOSE_BRACKET)) return false;
      }
      if (depth === outside) return true;
    }
  }

  /** A key and its colon, after white space. `escaped` tells of the key. */
  key(): boolean {
    if (!this.string()) return false;
    this.keyEnd = this.at;
    return this.take(COLON);
  }

  /** The value of the string token (with its quotes) at [from, to), as read by `string`. */
  text(from: number, to: number, escaped: boolean): string {
    if (!escaped) return atomAt(this.buffer, from + 1, to) ?? this.buffer.toString('utf8', from + 1, to - 1);
    return JSON.parse(this.buffer.toString('utf8', from, to)) as string;
  }

  private number(): boolean {
    const from = this.at;
    if (this.buffer[this.at] === MINUS) this.at++;
    const leading = this.at;
    if (!this.digits() || (this.buffer[leading] === ZERO && this.at > leading + 1)) return false;
    if (this.at < this.end && this.buffer[this.at] === DOT) {
      this.at++;
      if (!this.digits()) return false;
    }
    const hasExponent = this.at < this.end && (this.buffer[this.at]! | 0x20) === LOWER_E;
    if (hasExponent) {
      this.at++;
      const sign = this.buffer[this.at];
      if (sign === 0x2b || sign === MINUS) this.at++;
      if (!this.digits()) return false;
    }
    if (hasExponent || this.at - from > SURELY_FINITE) {
      if (!Number.isFinite(Number(this.buffer.toString('latin1', from, this.at)))) {
        this.unreadable ??= 'A number is out of range';
      }
    }
    return true;
  }

  /** One digit or more. */
  private digits(): boolean {
    const from = this.at;
    const { buffer, end } = this;
    let at = from;
    while (at < end && buffer[at]! >= ZERO && buffer[at]! <= 0x39) at++;
    this.at = at;
    return at > from;
  }

  private literal(first: number): boolean {
    const word = LITERALS.get(first);
    if (word === undefined || this.end - this.at < word.length) return false;
    for (let i = 1; i < word.length; i++) if (this.buffer[this.at + i] !== word[i]) return false;
    this.at += word.length;
    return true;
  }

  /** Four hexadecimal digits at `at` as a number, or -1. */
  private hex(at: number): number {
    if (at + 4 > this.end) return -1;
    let unit = 0;
    for (let i = at; i < at + 4; i++) {
      const byte = this.buffer[i]!;
      const lower = byte | 0x20;
      if (byte >= ZERO && byte <= 0x39) unit = unit * 16 + byte - ZERO;
      else if (lower >= 0x61 && lower <= 0x66) unit = unit * 16 + lower - 0x57;
      else return -1;
    }
    return unit;
  }

  private deepen(): void {
    const deeper = new Uint8Array(this.open.length * 2);
    deeper.set(this.open);
    this.open = deeper;
  }
}
