/**
 * The memory of messages that are kept by reference. Requests of a client that come in one read lie in one buffer;
 * what any of them keeps is all of it, so it is counted once, whole, for as long as one of them needs it.
 */
export interface Pin {
  /** What is kept. */
  readonly bytes: number;
  /** Messages in it that count as held. */
  users: number;
}

/** Up to this many bytes are kept for the sake of a message, however small; of more, the message must be the half. */
const LITTLE = 4 * 1024;

/** Of the small buffer that was asked for last, which most likely is asked for again; a buffer is one client's. */
let last: { readonly buffer: Buffer; readonly pin: Pin } | undefined;

/** @returns the pin of the buffer; undefined when the message is better copied out of it. @param size of the message, bytes */
export function pinOf(buffer: Buffer, size: number): Pin | undefined {
  if (last?.buffer === buffer) return last.pin;
  // Not of the view: a small message of a WebSocket may lie in a large read.
  const bytes = buffer.buffer.byteLength;
  if (bytes <= LITTLE) return (last = { buffer, pin: { bytes, users: 0 } }).pin;
  return size * 2 >= bytes ? { bytes, users: 0 } : undefined;
}
