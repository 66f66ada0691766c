/**
 * A screen that is drawn again and again: the terminal's alternate one, so that what was there before is
 * there again afterwards. Only lines that have changed are written, each frame as one text.
 */
import type { Tty } from './tty.js';

/** Alternate screen, no cursor, no wrapping: a line that is too wide must not push the others down. */
const OPEN = '\u001b[?1049h\u001b[?25l\u001b[?7l';
const CLOSE = '\u001b[0m\u001b[?7h\u001b[?25h\u001b[?1049l';
const CLEAR = '\u001b[2J';
/** Before a line is written: after one that fills the terminal it would take the last character away. */
const CLEAR_LINE = '\u001b[2K';
/** Terminals that know these show a frame at once; the others ignore them. */
const BEGIN_FRAME = '\u001b[?2026h';
const END_FRAME = '\u001b[?2026l';

export class Screen {
  private drawn: readonly string[] | undefined;
  private open = false;

  constructor(private readonly tty: Tty) {}

  get isOpen(): boolean {
    return this.open;
  }

  enter(): void {
    if (this.open) return;
    this.open = true;
    this.drawn = undefined;
    this.tty.raw(true);
    this.tty.write(OPEN);
  }

  /** The terminal is as it was. */
  leave(): void {
    if (!this.open) return;
    this.open = false;
    this.tty.write(CLOSE);
    this.tty.raw(false);
  }

  /** The next frame is drawn whole: what is on the screen is not known any more. */
  forget(): void {
    this.drawn = undefined;
  }

  /** @param lines from the top, not wider than the terminal */
  draw(lines: readonly string[]): void {
    if (!this.open) return;
    const { drawn } = this;
    let text = drawn ? '' : CLEAR;
    const most = Math.max(lines.length, drawn?.length ?? 0);
    for (let row = 0; row < most; row++) {
      const line = lines[row] ?? '';
      if (line !== (drawn?.[row] ?? '')) text += `\u001b[${row + 1};1H${CLEAR_LINE}${line}`;
    }
    this.drawn = [...lines];
    if (text !== '') this.tty.write(`${BEGIN_FRAME}${text}${END_FRAME}`);
  }
}
