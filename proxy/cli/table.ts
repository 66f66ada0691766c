/** Tables for people: columns that align, and that stay readable on a narrow terminal. */

export interface Column<R> {
  head: string;
  value: (row: R) => string | number | undefined;
  align?: 'right';
  /** The fewest characters it may be cut to; a column without it is never cut. */
  shrinksTo?: number;
  /** Where cutting is not enough columns are left out, those with the highest number first; one without it stays. */
  drops?: number;
}

/** What a table looks like at some width. */
export interface Layout<R> {
  columns: ReadonlyArray<Column<R>>;
  widths: readonly number[];
  /** Of each row, the texts of these columns, not cut yet. */
  cells: readonly string[][];
}

/** Between two columns. */
export const GAP = '  ';
const EMPTY = '-';

/**
 * The lines of a table. Where `width` is too small, columns that allow it are cut, longest first, then
 * left out; where even that is not enough, each row becomes a block of `HEAD value` lines with nothing cut.
 * @param width undefined: as wide as it gets
 */
export function table<R>(columns: ReadonlyArray<Column<R>>, rows: readonly R[], width?: number): string {
  const layout = layOut(columns, rows, width);
  if (!layout) return blocks(columns, rows.map((row) => columns.map((column) => printable(column.value(row)))));
  const print = (line: readonly string[]) => line.map((text, i) => cell(layout, i, text)).join(GAP).trimEnd();
  return [print(layout.columns.map(({ head }) => head)), ...layout.cells.map(print)].join('\n');
}

/** @returns undefined where the columns that must stay do not fit */
export function layOut<R>(columns: ReadonlyArray<Column<R>>, rows: readonly R[], width?: number): Layout<R> | undefined {
  let kept = columns.map((column) => {
    const texts = rows.map((row) => printable(column.value(row)));
    return { column, texts, width: texts.reduce((most, text) => Math.max(most, textWidth(text)), textWidth(column.head)) };
  });
  for (;;) {
    const shown = kept.map(({ column }) => column);
    const widths = kept.map((one) => one.width);
    if (width === undefined || fit(shown, widths, width)) {
      return { columns: shown, widths, cells: rows.map((_, n) => kept.map(({ texts }) => texts[n]!)) };
    }
    const last = Math.max(...shown.map(({ drops = -1 }) => drops));
    if (last < 0) return undefined;
    kept = kept.filter(({ column }) => column.drops !== last);
  }
}

/** One text of a layout, cut and filled up to the width of its column. */
export function cell<R>({ columns, widths }: Layout<R>, index: number, text: string): string {
  return pad(cut(text, widths[index]!), widths[index]!, columns[index]!.align === 'right');
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

/** Ends with `…` where something is cut off. */
export function cut(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, Math.max(0, width - 1)).join('')}…`;
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

/** The same in few characters, for narrow columns: `24M`, `1.5G`. */
export function shortBytes(bytes: number): string {
  const units = ['', 'K', 'M', 'G', 'T'];
  let value = bytes;
  let unit = 0;
  // 999.5 would be shown with four digits.
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit > 0 && value < 9.95 ? value.toFixed(1) : value.toFixed(0)}${units[unit]}`;
}

/** A duration that is measured, not counted: `0.3ms`, `42ms`, `1.5s`, `90s`. */
export function millisText(ms: number): string {
  if (ms < 9.95) return `${ms.toFixed(1)}ms`;
  if (ms < 999.5) return `${ms.toFixed(0)}ms`;
  return ms < 9_950 ? `${(ms / 1000).toFixed(1)}s` : `${(ms / 1000).toFixed(0)}s`;
}

/** With thousands set apart: `12,345`. */
export function countText(count: number): string {
  return count.toFixed(0).replace(/\B(?=(\d{3})+$)/g, ',');
}
