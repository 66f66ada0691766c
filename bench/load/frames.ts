/**
 * The frames that the load consists of, built once: only digits are changed from one to the next, and
 * whoever reads them finds those digits where they were put, without a JSON parser.
 *
 *   Content-Length: 396\r\n\r\n{"jsonrpc":"2.0","method":"session.event","params":{"sessionId":"4f1c09ab-0000-4000-8000-000000000017",
 *   "event":{"type":"assistant.message_delta","data":{"messageId":"…-000000000042","deltaContent":"…"},…}}}   its last digits ┘ are the session's number
 *                                                      the event's place in its session ┘
 *
 * Keys, their order and the ids are those of a runtime (1.0.85).
 */

/** How many digits number a session, and an event in its session. */
export const SESSION_DIGITS = 8;
export const PLACE_DIGITS = 12;

const SESSION_MIDDLE = '-0000-4000-8000-0000';
const SESSION_LENGTH = 8 + SESSION_MIDDLE.length + SESSION_DIGITS;
/** Digits of a session's number begin here in its id. */
export const NUMBER_AT = SESSION_LENGTH - SESSION_DIGITS;
/** Bytes of the body around an event of 300 bytes. */
export const MESSAGE_OF_300 = 396;

const BEFORE_SESSION = '{"jsonrpc":"2.0","method":"session.event","params":{"sessionId":"';
const AFTER_SESSION = '","event":{"type":"assistant.message_delta","data":{"messageId":"00000000-0000-4000-8000-';
const AFTER_PLACE = '","deltaContent":"';
const TAIL = '"},"ephemeral":true,"id":"00000000-0000-4000-8000-000000000000","timestamp":"2026-01-01T00:00:00.000Z","parentId":"00000000-0000-4000-8000-000000000001"}}}';

/** Offsets in the body of an event. */
export const EVENT_SESSION_AT = BEFORE_SESSION.length + NUMBER_AT;
export const EVENT_PLACE_AT = BEFORE_SESSION.length + SESSION_LENGTH + AFTER_SESSION.length;
/** Bytes of a body that are enough to know what it is. */
export const HEAD = EVENT_PLACE_AT + PLACE_DIGITS + AFTER_PLACE.length;

/** @param run eight hexadecimal digits that no other run has */
export function sessionName(run: string, index: number): string {
  return `${run}${SESSION_MIDDLE}${String(index).padStart(SESSION_DIGITS, '0')}`;
}

export function digits(buffer: Buffer, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i++) {
    const digit = buffer[i]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

export function frameOf(json: string): Buffer {
  return Buffer.from(`Content-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`);
}

/** One session's next event, again and again. */
export class EventFrame {
  /** Header, and the body up to where the text begins; the digits in it are counted up. */
  readonly head: Buffer;
  /** The rest, the same in all events. */
  readonly tail: Buffer;
  readonly bytes: number;
  private readonly lastDigit: number;

  /** @param size of the body, bytes */
  constructor(sessionId: string, size: number, tails: Map<number, Buffer>) {
    const start = `${BEFORE_SESSION}${sessionId}${AFTER_SESSION}${'0'.repeat(PLACE_DIGITS)}${AFTER_PLACE}`;
    const header = `Content-Length: ${size}\r\n\r\n`;
    this.head = Buffer.from(header + start, 'latin1');
    this.lastDigit = header.length + EVENT_PLACE_AT + PLACE_DIGITS - 1;
    this.tail = tails.get(size) ?? Buffer.from(text(size - start.length - TAIL.length) + TAIL, 'latin1');
    tails.set(size, this.tail);
    this.bytes = this.head.length + this.tail.length;
  }

  /** Writes the event to `into` at `at` and goes on to the next one. */
  put(into: Buffer, at: number): void {
    this.head.copy(into, at);
    this.tail.copy(into, at + this.head.length);
    this.skip();
  }

  /** A copy of the head, which goes before `tail`. */
  takeHead(): Buffer {
    const head = Buffer.from(this.head);
    this.skip();
    return head;
  }

  /** Goes on to the next one. */
  skip(): void {
    let at = this.lastDigit;
    while (this.head[at] === 0x39) this.head[at--] = 0x30;
    this.head[at]!++;
  }
}

function text(bytes: number): string {
  const words = 'the quick brown fox jumps over the lazy dog, ';
  return words.repeat(Math.ceil(bytes / words.length)).slice(0, bytes);
}

const REQUEST_ID = 1_000_000_000;
const ID_DIGITS = 10;
const BEFORE_ID = '{"jsonrpc":"2.0","id":';
export const ID_AT = BEFORE_ID.length;

/** One client's requests: a frame whose id is counted up. */
export class RequestFrame {
  private readonly frame: Buffer;
  private readonly idAt: number;
  private lastId = REQUEST_ID;

  /** @param params as JSON */
  constructor(method: string, params: string) {
    this.frame = frameOf(`${BEFORE_ID}${REQUEST_ID},"method":"${method}","params":${params}}`);
    this.idAt = this.frame.indexOf(BEFORE_ID) + ID_AT;
  }

  /** The ids that it has given so far end here. */
  get last(): number {
    return this.lastId;
  }

  /** @returns the frames of the next `count` requests, in memory of their own */
  take(count: number): Buffer {
    const { frame } = this;
    const all = Buffer.allocUnsafe(frame.length * count);
    for (let i = 0; i < count; i++) {
      let at = this.idAt + ID_DIGITS - 1;
      while (frame[at] === 0x39) frame[at--] = 0x30;
      frame[at]!++;
      frame.copy(all, i * frame.length);
    }
    this.lastId += count;
    return all;
  }
}

export const METHOD = 'session.metadata.isProcessing';
export const FIRST_ID = REQUEST_ID + 1;
