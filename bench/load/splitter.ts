/**
 * Cuts what a socket gives into frames, without copying them: the bytes that are left of one read are put
 * before those of the next one, into the room that is kept free there.
 *
 *   |······ ROOM ······[left over]|[ what was read ······ ]|
 *
 * Of a frame that is larger than that only the beginning is kept; the rest is counted.
 */

/** Bytes before the place that is read to. */
export const ROOM = 64 * 1024;
const LARGE = 32 * 1024;
const KEPT = 512;

/** @param length of the whole body; `end - start` of it are there, or its first 512 bytes */
export type OnFrame = (buffer: Buffer, start: number, end: number, length: number) => void;

export class Splitter {
  private readonly rest = Buffer.allocUnsafe(0);
  private left: Buffer = this.rest;
  private missing = 0;
  private head: Buffer = this.rest;
  private length = 0;

  constructor(private readonly onFrame: OnFrame) {}

  /** Whether all that came was whole frames. */
  get clean(): boolean {
    return this.left.length === 0 && this.missing === 0;
  }

  /** @param buffer has `ROOM` bytes that may be overwritten before `start` */
  read(buffer: Buffer, start: number, end: number): void {
    let from = start;
    if (this.left.length > 0) {
      from -= this.left.length;
      this.left.copy(buffer, from);
      this.left = this.rest;
    }
    this.cut(buffer, from, end);
  }

  /** The same for a buffer of the caller's own. */
  push(chunk: Buffer): void {
    const whole = this.left.length > 0 ? Buffer.concat([this.left, chunk]) : chunk;
    this.left = this.rest;
    this.cut(whole, 0, whole.length);
  }

  private cut(buffer: Buffer, from: number, end: number): void {
    let at = from;
    if (this.missing > 0) {
      const taken = Math.min(this.missing, end - at);
      this.missing -= taken;
      at += taken;
      if (this.missing > 0) return;
      this.onFrame(this.head, 0, this.head.length, this.length);
    }
    while (at < end) {
      const body = this.header(buffer, at, end);
      if (body < 0) break;
      const stop = body + this.length;
      if (stop <= end) {
        this.onFrame(buffer, body, stop, this.length);
        at = stop;
      } else {
        if (this.length < LARGE || end - body < KEPT) break;
        this.head = Buffer.from(buffer.subarray(body, body + KEPT));
        this.missing = stop - end;
        return;
      }
    }
    if (at < end) this.left = Buffer.from(buffer.subarray(at, end));
  }

  /** @returns where the body begins; its length is in `length`. -1 when more is needed */
  private header(buffer: Buffer, at: number, end: number): number {
    // Every proxy here writes it like this; Skyport sometimes puts another line before it.
    if (end - at < 20) return -1;
    let cursor = at + 16;
    if (buffer[at] === 0x43 && buffer[at + 15] === 0x20) {
      let length = 0;
      for (; cursor < end; cursor++) {
        const digit = buffer[cursor]! - 0x30;
        if (digit < 0 || digit > 9) break;
        length = length * 10 + digit;
      }
      if (end - cursor < 4) return -1;
      if (buffer[cursor] === 0x0d && buffer[cursor + 2] === 0x0d) {
        this.length = length;
        return cursor + 4;
      }
    }
    const stop = buffer.subarray(at, end).indexOf('\r\n\r\n');
    if (stop < 0) return -1;
    const length = /^content-length:[ \t]*(\d+)[ \t]*$/im.exec(buffer.toString('latin1', at, at + stop))?.[1];
    if (length === undefined) throw new Error('a frame without Content-Length');
    this.length = Number(length);
    return at + stop + 4;
  }
}
