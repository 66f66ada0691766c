/** A terminal's screen, as far as `skyport top` uses one: what is written becomes what would be seen. */

const SEQUENCE = /\u001b\[(?<flag>\??)(?<numbers>[0-9;]*)(?<command>[A-Za-z])|(?<text>[^\u001b])/gu;

export class EmulatedScreen {
  /** The alternate screen is shown. */
  alternate = false;
  cursorVisible = true;
  wrapping = true;
  /** How often the whole screen was cleared. */
  cleared = 0;
  /** Sequences that it does not know. */
  readonly unknown: string[] = [];
  private rest = '';
  private main: { grid: string[][]; row: number; column: number } = { grid: [], row: 0, column: 0 };
  private grid: string[][] = [];
  private row = 0;
  private column = 0;

  constructor(public rows: number, public columns: number) {}

  /** The lines that are seen, without trailing spaces and empty lines at the end. */
  get lines(): string[] {
    const lines = Array.from({ length: this.rows }, (_, row) => Array.from(this.grid[row] ?? [], (each) => each ?? ' ').join('').trimEnd());
    while (lines.length > 0 && lines.at(-1) === '') lines.pop();
    return lines;
  }

  get text(): string {
    return this.lines.join('\n');
  }

  write(chunk: string): void {
    // A sequence that is cut off is completed by what comes next.
    const whole = this.rest + chunk;
    const [cut] = /\u001b(\[[?0-9;]*)?$/.exec(whole) ?? [''];
    this.rest = cut;
    for (const { groups } of whole.slice(0, whole.length - cut.length).matchAll(SEQUENCE)) {
      const { flag, numbers, command, text } = groups!;
      if (text !== undefined) this.put(text);
      else this.perform(flag === '?', numbers!, command!);
    }
  }

  private put(text: string): void {
    if (text === '\n') this.row++;
    else if (text === '\r') this.column = 0;
    else {
      if (this.column >= this.columns && this.wrapping) {
        this.row++;
        this.column = 0;
      }
      (this.grid[this.row] ??= [])[Math.min(this.column, this.columns - 1)] = text;
      this.column++;
    }
  }

  private perform(isPrivate: boolean, numbers: string, command: string): void {
    const on = command === 'h';
    if (isPrivate && (on || command === 'l')) this.setMode(numbers, on);
    else if (command === 'H') [this.row, this.column] = numbers.split(';').map((number) => Number(number || 1) - 1) as [number, number];
    else if (command === 'J' && numbers === '2') {
      this.grid = [];
      this.cleared++;
    } else if (command === 'K' && numbers === '2') this.grid[this.row] = [];
    else if (command !== 'm') this.unknown.push(`${numbers}${command}`);
  }

  private setMode(number: string, on: boolean): void {
    if (number === '25') this.cursorVisible = on;
    else if (number === '7') this.wrapping = on;
    else if (number === '1049' && on !== this.alternate) {
      this.alternate = on;
      const { grid, row, column } = this;
      if (on) [this.main, this.grid] = [{ grid, row, column }, []];
      else ({ grid: this.grid, row: this.row, column: this.column } = this.main);
    } else if (number !== '2026') this.unknown.push(`?${number}`);
  }
}
