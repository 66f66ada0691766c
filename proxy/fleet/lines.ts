/**
 * Cuts what a server prints into lines for the log, bounded both ways: a line is cut at 4 KiB, and
 * past 20 lines a second (200 at once) lines are counted instead of passed on. The pipe is always
 * read, so a chatty server neither blocks nor fills Skyport's memory.
 */
import { StringDecoder } from 'node:string_decoder';

const LONGEST_LINE = 4096;
const LINES_PER_SECOND = 20;
const BURST = 200;

export class LineReader {
  readonly #onLine: (line: string) => void;
  readonly #watch: (line: string) => void;
  readonly #now: () => number;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';
  /** The rest is longer than a line may be; its end is being skipped. */
  #cutting = false;
  #allowance = BURST;
  #allowedAt: number;
  #dropped = 0;

  /**
   * @param onLine the lines for the log
   * @param watch sees every line, also those that are dropped
   * @param now milliseconds, monotonic
   */
  constructor(
    onLine: (line: string) => void,
    watch: (line: string) => void = () => {},
    now: () => number = () => performance.now(),
  ) {
    this.#onLine = onLine;
    this.#watch = watch;
    this.#now = now;
    this.#allowedAt = now();
  }

  push(chunk: Buffer): void {
    const text = this.#decoder.write(chunk);
    let from = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      this.#append(text.slice(from, end));
      this.#emit();
      from = end + 1;
    }
    this.#append(text.slice(from));
  }

  /** The stream ended: passes on a last line without a newline, and how many were dropped. */
  end(): void {
    this.#append(this.#decoder.end());
    if (this.#rest !== '') this.#emit();
    if (this.#dropped > 0) this.#onLine(droppedNote(this.#dropped));
    this.#dropped = 0;
  }

  #append(part: string): void {
    if (this.#cutting) return;
    const room = LONGEST_LINE - this.#rest.length;
    this.#cutting = part.length > room;
    this.#rest += this.#cutting ? `${part.slice(0, room)}…` : part;
  }

  #emit(): void {
    const line = this.#rest.endsWith('\r') ? this.#rest.slice(0, -1) : this.#rest;
    this.#rest = '';
    this.#cutting = false;
    this.#watch(line);
    if (!this.#allowed()) {
      this.#dropped++;
      return;
    }
    if (this.#dropped > 0) this.#onLine(droppedNote(this.#dropped));
    this.#dropped = 0;
    this.#onLine(line);
  }

  #allowed(): boolean {
    const now = this.#now();
    this.#allowance = Math.min(BURST, this.#allowance + ((now - this.#allowedAt) / 1000) * LINES_PER_SECOND);
    this.#allowedAt = now;
    if (this.#allowance < 1) return false;
    this.#allowance--;
    return true;
  }
}

function droppedNote(count: number): string {
  return `(${count} line${count === 1 ? '' : 's'} dropped)`;
}
