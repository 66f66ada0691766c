/** The parameters of a client's message. */
import type { Frame } from '../wire/frame.js';
import type { Scan } from '../wire/scan.js';

/** Parses them whole; `{}` when there are none. The message has been scanned, so this is valid JSON. */
export function paramsOf(frame: Frame, { paramsStart, paramsEnd }: Scan): Record<string, unknown> {
  if (paramsStart < 0) return {};
  const value: unknown = JSON.parse(frame.buffer.toString('utf8', paramsStart, paramsEnd));
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
