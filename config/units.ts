/** Durations and sizes as operators write them. Whole numbers only: `500ms`, not `0.5s`. */

const DURATIONS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZES = {
  B: 1,
  KB: 1_000, MB: 1_000_000, GB: 1_000_000_000,
  KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824,
} as const;

/** The patterns of what is accepted, for JSON Schema too. */
export const DURATION_PATTERN = '^[0-9]{1,12}(ms|s|m|h|d)$';
export const SIZE_PATTERN = '^[0-9]{1,12}(B|KB|MB|GB|KiB|MiB|GiB)$';

/** Milliseconds, or undefined when the text is not a duration. */
export function parseDuration(text: string): number | undefined {
  return measure(text, DURATION_PATTERN, DURATIONS);
}

/** Bytes, or undefined when the text is not a size. */
export function parseSize(text: string): number | undefined {
  return measure(text, SIZE_PATTERN, SIZES);
}

/** The shortest exact text: 90000 gives `90s`, 120000 gives `2m`. */
export function formatDuration(ms: number): string {
  return shortest(ms, ['d', 'h', 'm', 's', 'ms'], DURATIONS);
}

/** The shortest exact text in binary units: 16777216 gives `16MiB`. */
export function formatSize(bytes: number): string {
  return shortest(bytes, ['GiB', 'MiB', 'KiB', 'B'], SIZES);
}

function measure(text: string, pattern: string, units: Record<string, number>): number | undefined {
  const match = new RegExp(pattern).exec(text);
  if (match === null) return undefined;
  const value = Number.parseInt(text, 10) * (units[match[1] as string] as number);
  return Number.isSafeInteger(value) ? value : undefined;
}

function shortest<U extends string>(value: number, largestFirst: readonly U[], units: Record<U, number>): string {
  const last = largestFirst[largestFirst.length - 1] as U;
  const unit = value === 0 ? last : largestFirst.find((u) => value % units[u] === 0) ?? last;
  return `${value / units[unit]}${unit}`;
}
