/**
 * sessions.readPersistedEvents: the stored history in pages, without loading the session. The first page
 * pins what is read: what is appended, truncated or deleted later does not show in the following ones. A
 * cursor is good for one page, and for its session only. Limits and answers are the runtime's (schema, and
 * measured on 1.0.85); there are eight snapshots for each reader here, not for everybody together.
 */
import { randomUUID } from 'node:crypto';
import type { SessionFiles } from '../store/session-files.js';
import { ENOENT, EVENTS, isGarbage, linesOf, readText, type StoredEvent } from './reading.js';

export interface Page {
  readonly events: readonly StoredEvent[];
  readonly cursor: string;
  readonly hasMore: boolean;
  readonly cursorStatus: 'ok' | 'expired';
}

/** Why there is no page. `params`: the caller's mistake; `missing`: no history is stored; `damaged`: it cannot be read. */
export interface ReadFault {
  readonly fault: 'params' | 'missing' | 'damaged';
  /** The runtime's words. */
  readonly message: string;
}

export function isReadFault(value: Page | ReadFault): value is ReadFault {
  return 'fault' in value;
}

/** Events of a page that asks for no number, and at most. */
const DEFAULT = 200;
const MOST = 1000;

/** Characters of JSON in a page; one event that is longer comes alone. */
const BUDGET = 1024 * 1024;

/** Milliseconds that a snapshot is kept for its next page. */
const KEPT = 5 * 60_000;

/** Snapshots of one reader, and characters of all snapshots together. */
const EACH = 8;
const ALL = 128 * 1024 * 1024;

interface Snapshot {
  readonly reader: string;
  readonly sessionId: string;
  /** What is still to be read: JSON texts, in the order they are stored. */
  readonly texts: readonly string[];
  readonly size: number;
  readonly backward: boolean;
  readonly touched: number;
}

export class PersistedEvents {
  /** By cursor, the least recently used first. */
  private readonly snapshots = new Map<string, Snapshot>();
  private size = 0;

  constructor(private readonly files: SessionFiles, private readonly now: () => number = Date.now) {}

  /**
   * One page.
   * @param reader whose snapshots are counted together
   * @param hides events that are not shown, by id
   */
  async read(
    reader: string,
    sessionId: string,
    params: Readonly<Record<string, unknown>>,
    hides: (id: unknown) => boolean = () => false,
  ): Promise<Page | ReadFault> {
    const { cursor, direction, max } = params;
    const wrong = faultIn(cursor, direction, max);
    if (wrong !== undefined) return { fault: 'params', message: `invalid sessions.readPersistedEvents params: ${wrong}` };
    this.expire();
    const most = typeof max === 'number' && max >= 0 ? Math.min(Math.max(max, 1), MOST) : DEFAULT;
    if (typeof cursor === 'string') return this.next(sessionId, cursor, most);
    const text = await readText(this.files, sessionId, EVENTS);
    if (text === ENOENT) return { fault: 'missing', message: `Persisted event journal is unavailable for session ${sessionId}` };
    const lines = linesOf(text);
    if (isGarbage(lines)) {
      return { fault: 'damaged', message: `Failed to read persisted event journal for session ${sessionId}: invalid event at line ${lines.garbage}` };
    }
    const assets = assetsIn(lines);
    const texts = lines.flatMap(({ text: line, event }) => {
      if (event.type === ASSET || hides(event.id)) return [];
      return assets.size > 0 && line.includes('"assetId"') ? JSON.stringify(resolved(event, assets)) : line;
    });
    const size = texts.reduce((sum, one) => sum + one.length, 0);
    return this.page({ reader, sessionId, texts, size, backward: direction === 'backward', touched: this.now() }, most);
  }

  private next(sessionId: string, cursor: string, most: number): Page | ReadFault {
    const snapshot = this.snapshots.get(cursor);
    if (!snapshot) return { events: [], cursor, hasMore: false, cursorStatus: 'expired' };
    if (snapshot.sessionId !== sessionId) return { fault: 'params', message: 'Persisted event cursor belongs to a different session' };
    this.drop(cursor);
    return this.page(snapshot, most);
  }

  private page(snapshot: Snapshot, most: number): Page {
    const { texts, backward } = snapshot;
    let count = 0;
    let size = 0;
    while (count < Math.min(most, texts.length)) {
      const next = texts[backward ? texts.length - 1 - count : count]!.length;
      if (count > 0 && size + next > BUDGET) break;
      size += next;
      count++;
    }
    const cut = backward ? texts.length - count : count;
    const shown = backward ? texts.slice(cut) : texts.slice(0, cut);
    const rest = backward ? texts.slice(0, cut) : texts.slice(cut);
    const cursor = `persisted-snapshot:v1:${randomUUID()}`;
    if (rest.length > 0) this.keep(cursor, { ...snapshot, texts: rest, size: snapshot.size - size, touched: this.now() });
    const events = shown.map((text) => JSON.parse(text) as StoredEvent);
    return { events, cursor, hasMore: rest.length > 0, cursorStatus: 'ok' };
  }

  private keep(cursor: string, snapshot: Snapshot): void {
    this.snapshots.set(cursor, snapshot);
    this.size += snapshot.size;
    const own = [...this.snapshots].filter(([, { reader }]) => reader === snapshot.reader);
    for (const [oldest] of own.slice(0, Math.max(0, own.length - EACH))) this.drop(oldest);
    for (const oldest of this.snapshots.keys()) {
      if (this.size <= ALL || oldest === cursor) break;
      this.drop(oldest);
    }
  }

  private expire(): void {
    for (const [cursor, { touched }] of this.snapshots) {
      if (this.now() - touched < KEPT) break;
      this.drop(cursor);
    }
  }

  private drop(cursor: string): void {
    this.size -= this.snapshots.get(cursor)?.size ?? 0;
    this.snapshots.delete(cursor);
  }
}

function faultIn(cursor: unknown, direction: unknown, max: unknown): string | undefined {
  if (cursor !== undefined && cursor !== null && typeof cursor !== 'string') return 'invalid type of cursor, expected a string';
  if (max !== undefined && max !== null && !Number.isSafeInteger(max)) return 'invalid type of max, expected i64';
  const known = direction === undefined || direction === null || direction === 'forward' || direction === 'backward';
  return known ? undefined : `unknown variant \`${String(direction)}\`, expected \`forward\` or \`backward\``;
}

/** Holds the bytes that other events name by `assetId`; not shown itself. */
const ASSET = 'session.binary_asset';

function assetsIn(lines: readonly { readonly event: StoredEvent }[]): Map<unknown, unknown> {
  const assets = new Map<unknown, unknown>();
  for (const { event } of lines) {
    if (event.type !== ASSET) continue;
    const { assetId, data } = (event.data ?? {}) as { assetId?: unknown; data?: unknown };
    if (typeof assetId === 'string' && typeof data === 'string') assets.set(assetId, data);
  }
  return assets;
}

/** The value with the bytes of its assets in place of their ids. */
function resolved(value: unknown, assets: ReadonlyMap<unknown, unknown>): unknown {
  if (Array.isArray(value)) return value.map((one) => resolved(one, assets));
  if (typeof value !== 'object' || value === null) return value;
  const { assetId, byteLength, ...rest } = value as Record<string, unknown>;
  if (assets.has(assetId)) return { ...rest, data: assets.get(assetId) };
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, resolved(one, assets)]));
}
