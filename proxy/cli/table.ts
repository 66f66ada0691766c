/** Tables for people: columns that align, and that stay readable on a narrow terminal. */

export interface Column<R> {
  head: string;
  value: (row: R) => string | number | undefined;
  align?: 'right';
  /** The fewest characters it may be cut to; a column without it is never cut. */
  shrinksTo?: number;
}

const GAP = '  ';
const EMPTY = '-';

/**
 * The lines of a table. Where `width` is too small, columns that allow it are cut, longest first; where
 * even that is not enough, each row becomes a block of `HEAD value` lines with nothing cut.
 * @param width undefined: as wide as it gets
 */
export function table<R>(columns: ReadonlyArray<Column<R>>, rows: readonly R[], width?: number): string {
  const cells = rows.map((row) => columns.map((column) => printable(column.value(row))));
  const widths = columns.map((column, i) => Math.max(column.head.length, ...cells.map((line) => textWidth(line[i]!))));
  if (width !== undefined && !fit(columns, widths, width)) return blocks(columns, cells);
  const print = (line: readonly string[]) => line
    .map((text, i) => pad(cut(text, widths[i]!), widths[i]!, columns[i]!.align === 'right'))
    .join(GAP).trimEnd();
  return [print(columns.map(({ head }) => head)), ...cells.map(print)].join('\n');
}

/** Narrows `widths` in place until they fit. @returns whether they do */
function fit<R>(columns: ReadonlyArray<Column<R>>, widths: number[], width: number): boolean {
  let excess = widths.reduce((sum, each) => sum + each, 0) + GAP.length * (widths.length - 1) - width;
  while (excess > 0) {
    let widest = -1;
    for (const [i, { shrinksTo, head }] of columns.entries()) {
      if (shrinksTo === undefined || widths[i]! <= Math.max(shrinksTo, head.length)) continue;
      if (widest === -1 || widths[i]! > widths[widest]!) widest = i;
    }
    if (widest === -1) return false;
    widths[widest]! -= 1;
    excess -= 1;
  }
  return true;
}

function blocks<R>(columns: ReadonlyArray<Column<R>>, cells: readonly string[][]): string {
  const headWidth = Math.max(...columns.map(({ head }) => head.length));
  return cells
    .map((line) => line.map((text, i) => `${columns[i]!.head.padEnd(headWidth)}${GAP}${text}`).join('\n'))
    .join('\n\n');
}

/** A value as one line; control characters, which could steer the terminal, become `?`. */
export function printable(value: string | number | undefined): string {
  if (value === undefined || value === '') return EMPTY;
  return String(value).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '?');
}

function textWidth(text: string): number {
  return [...text].length;
}

function cut(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join('')}…`;
}

function pad(text: string, width: number, right: boolean): string {
  const spaces = ' '.repeat(Math.max(0, width - textWidth(text)));
  return right ? spaces + text : text + spaces;
}

/** A span of time, two units at most: `3d 4h`, `12m 5s`, `0s`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts: Array<[number, string]> = [
    [Math.floor(seconds / 86_400), 'd'], [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'], [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first === -1) return '0s';
  return parts.slice(first, first + 2).filter(([count]) => count > 0).map(([count, unit]) => count + unit).join(' ');
}

/** A number of bytes in binary units: `1.5 MiB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
