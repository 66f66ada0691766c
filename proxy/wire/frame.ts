/**
 * A frame: one JSON-RPC message as bytes, and where it lies in them.
 *
 *   buffer  … | Content-Length: 17\r\n\r\n | {"jsonrpc":"2.0"} | …
 *               ^ start                      ^ body             ^ end
 *
 * A frame that a decoder gives out is one object used again and again: it is valid only during the
 * call. So are its bytes, if they lie in the arena (arena.ts), where links read: the next read of any link overwrites them.
 * Whoever keeps anything of a frame copies it during the call (`Buffer.from`, `frameOf`, `toString`); a `subarray` is no copy.
 * A transport's `sendFrame` does so by itself. Frames that were gathered from several reads, and those of clients, have
 * memory of their own, but nobody need know which are which; that of large frames of servers is used again once a transport
 * has sent them, unless whoever keeps bytes of them by reference says so by `keepBytes` (slab.ts), during the call.
 *
 * Whoever rewrites bytes in place (`withId`) must do so before they are sent anywhere,
 * since transports send the very bytes and may still hold them by reference.
 */
export interface Frame {
  buffer: Buffer;
  /** First byte of a canonical `Content-Length: N\r\n\r\n` lying directly before the body, or -1. */
  start: number;
  /** First byte of the JSON text. */
  body: number;
  /** One past the last byte of the JSON text. */
  end: number;
}

export type WireFaultReason =
  | 'header_too_large'
  | 'bad_header'
  | 'bad_length'
  | 'missing_length'
  | 'frame_too_large'
  | 'not_text'
  | 'parse_error'
  | 'invalid_request';

/** What is wrong with what came in. The message names places and limits, never contents. */
export interface WireFault {
  reason: WireFaultReason;
  message: string;
  /** The request's id as JSON text, when it could be read with certainty. */
  idToken?: string;
}

export function isWireFault(value: object): value is WireFault {
  return 'reason' in value;
}

/** The canonical header of a body of `length` bytes. */
export function headerOf(length: number): string {
  return `Content-Length: ${length}\r\n\r\n`;
}

/**
 * Makes a frame with a canonical header in one new buffer.
 * @param json one JSON-RPC message; a Buffer is copied
 */
export function frameOf(json: string | Buffer): Frame {
  const length = typeof json === 'string' ? Buffer.byteLength(json) : json.length;
  const header = headerOf(length);
  const body = header.length;
  const buffer = Buffer.allocUnsafe(body + length);
  buffer.write(header, 0, 'latin1');
  if (typeof json === 'string') buffer.write(json, body, 'utf8');
  else json.copy(buffer, body);
  return { buffer, start: 0, body, end: body + length };
}
