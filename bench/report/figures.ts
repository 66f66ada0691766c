/** Medians, and how figures are written. */
import { counting, type Row } from '../runner.js';

export interface Figure {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function figureOf(values: readonly number[]): Figure | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/** One figure of a row over the rounds that count. */
export function figure(row: Row | undefined, name: string): Figure | undefined {
  if (!row) return undefined;
  return figureOf(counting(row).map(({ figures }) => figures[name]).filter((value) => value !== undefined));
}

/** All names of figures that a row has. */
export function namesOf(rows: readonly Row[]): string[] {
  return [...new Set(rows.flatMap(({ rounds }) => rounds.flatMap(({ figures }) => Object.keys(figures))))];
}

/** Three significant digits, with separators. */
export function written(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  if (value >= 100) return value.toFixed(0);
  if (value >= 10) return value.toFixed(1);
  if (value >= 1) return value.toFixed(2);
  return value.toPrecision(2);
}

const UNITS: readonly (readonly [suffix: string, words: string])[] = [['_us', 'µs'], ['_ms', 'ms'], ['_per_s', '/s'], ['per_s', '/s']];
const NAMES: { readonly [name: string]: string } = { cpu_us: 'CPU each, µs', per_s: 'a second', kib_each: 'memory each, KiB', served: 'clients served', late_sent_ms: 'load late at most, ms' };

/** A figure's name for people: `turn_p50_us` is `turn p50, µs`. */
export function titleOf(name: string): string {
  const known = NAMES[name];
  if (known !== undefined) return known;
  const unit = UNITS.find(([suffix]) => name.endsWith(suffix));
  return unit ? `${name.slice(0, -unit[0].length).replaceAll('_', ' ')}, ${unit[1]}` : name.replaceAll('_', ' ');
}
