/** Reading what may not be there, and the lines of `events.jsonl`. */
import { FileFault, type FileStat, type SessionFiles } from '../store/session-files.js';

export const EVENTS = '/events.jsonl';

/** There is no such file. */
export const ENOENT = Symbol('ENOENT');

export function readText(files: SessionFiles, sessionId: string, path: string): Promise<string | typeof ENOENT> {
  return orNothing(files.readFile(sessionId, path));
}

export function statOf(files: SessionFiles, sessionId: string, path: string): Promise<FileStat | typeof ENOENT> {
  return orNothing(files.stat(sessionId, path));
}

async function orNothing<T>(reading: Promise<T>): Promise<T | typeof ENOENT> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof FileFault && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return ENOENT;
    throw error;
  }
}

/** One event as it is stored: `{type, data, id, timestamp, parentId}`. */
export interface StoredEvent {
  readonly id?: unknown;
  readonly type: string;
  readonly data?: unknown;
  readonly timestamp?: unknown;
  readonly parentId?: unknown;
}

export interface Line {
  /** Without the line break. */
  readonly text: string;
  readonly event: StoredEvent;
}

/** A line that is no JSON, by its number from 1. */
export interface Garbage {
  readonly garbage: number;
}

/**
 * The events of a file in order, one line each. Blank lines and JSON that is no event are skipped; a
 * last line without an end was cut off by a crash and does not count, as for the runtime.
 */
export function linesOf(text: string): Line[] | Garbage {
  const lines: Line[] = [];
  let number = 0;
  for (let start = 0; start < text.length;) {
    number++;
    const end = text.indexOf('\n', start);
    const line = text.slice(start, end < 0 ? text.length : end).trim();
    start = end < 0 ? text.length : end + 1;
    if (line === '') continue;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      if (end < 0) break;
      return { garbage: number };
    }
    if (isEvent(value)) lines.push({ text: line, event: value });
  }
  return lines;
}

export function isGarbage(lines: readonly Line[] | Garbage): lines is Garbage {
  return !Array.isArray(lines);
}

function isEvent(value: unknown): value is StoredEvent {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}

/** Runs `work` on every item, `most` at a time; results in the order of the items. */
export async function each<T, R>(items: readonly T[], most: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const at = next++;
      results[at] = await work(items[at]!);
    }
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, worker));
  return results;
}
