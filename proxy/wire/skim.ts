/**
 * Steps through JSON that is taken to be valid: each finds where something ends and does not look
 * at what it is. All take and give offsets in `b`, read nothing at or beyond `end`, and give -1 for
 * what cannot be JSON.
 */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Beyond this many bytes a string is skipped with the native search, which has a fixed cost. */
const LONG_STRING = 48;

/** After `{`: the first key or `}`; -1 if there is no `{` at `at`. */
export function openObject(b: Buffer, at: number, end: number): number {
  return at < end && b[at] === OPEN_BRACE ? space(b, at + 1, end) : -1;
}

/** After a key: its value; -1 if there is no colon. */
export function valueAfterKey(b: Buffer, at: number, end: number): number {
  at = space(b, at, end);
  if (at >= end || b[at] !== COLON) return -1;
  at = space(b, at + 1, end);
  return at < end ? at : -1;
}

/** After a value: the next key, or the closing brace; -1 for anything else. */
export function nextMember(b: Buffer, at: number, end: number): number {
  at = space(b, at, end);
  if (at >= end) return -1;
  if (b[at] === CLOSE_BRACE) return at;
  if (b[at] !== COMMA) return -1;
  at = space(b, at + 1, end);
  return at < end && b[at] === QUOTE ? at : -1;
}

/** After white space. */
export function space(b: Buffer, at: number, end: number): number {
  while (at < end && isSpace(b[at]!)) at++;
  return at;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** The offset after the value at `at`, or -1. Finds the end of every JSON value; does not validate it. */
export function skipValue(b: Buffer, at: number, end: number): number {
  const first = b[at]!;
  if (first === QUOTE) return skipString(b, at + 1, end);
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) {
    const from = at;
    while (at < end && b[at] !== COMMA && b[at] !== CLOSE_BRACE && b[at] !== CLOSE_BRACKET && !isSpace(b[at]!)) at++;
    return at > from ? at : -1;
  }
  let depth = 0;
  while (at < end) {
    const byte = b[at++]!;
    if (byte === QUOTE) {
      at = skipString(b, at, end);
      if (at < 0) return -1;
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++;
    else if ((byte === CLOSE_BRACE || byte === CLOSE_BRACKET) && --depth === 0) return at;
  }
  return -1;
}

/** The offset after the closing quote of the string whose first character is at `from`, or -1. */
export function skipString(b: Buffer, from: number, end: number): number {
  let at = from;
  for (const near = Math.min(end, from + LONG_STRING); at < near; at++) {
    if (b[at] === QUOTE) return at + 1;
    if (b[at] === BACKSLASH) at++;
  }
  while (at < end) {
    const quote = b.indexOf(QUOTE, at);
    if (quote < 0 || quote >= end) return -1;
    // Only backslashes from `at` on count: the near loop has consumed whole escapes before it.
    let slashes = 0;
    while (quote - slashes > at && b[quote - slashes - 1] === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return quote + 1;
    at = quote + 1;
  }
  return -1;
}
