/**
 * What a CLI server would say about the sessions on its disk, computed from the files that Skyport
 * keeps: a server with a session file system finds none (measured on 1.0.85; so are all rules here).
 *
 *   events.jsonl      is there: the session is stored; its mtime is when the session changed; its first
 *                     event tells the start, its first message the summary of a session without a name
 *   workspace.yaml    name, working directory, client
 */
import type { FileStat, SessionFiles } from '../store/session-files.js';
import { each, ENOENT, EVENTS, readText, statOf, type StoredEvent } from './reading.js';
import { nameOf, parseWorkspace, readWorkspace, WORKSPACE, type Workspace } from './workspace.js';

/** An entry of session.list; the order of the keys is the runtime's. */
export interface Entry {
  readonly sessionId: string;
  /** ISO 8601. */
  readonly startTime: string;
  readonly modifiedTime: string;
  readonly isRemote: false;
  readonly isDetached: boolean;
  readonly summary?: string;
  readonly name?: string;
  readonly clientName?: string;
  readonly context?: Context;
  readonly mcTaskId?: string;
}

interface Context {
  readonly cwd: string;
  readonly gitRoot?: string;
  readonly repository?: string;
  readonly branch?: string;
}

/** What the first events say; it stays as it is once a message is among them. */
interface Head {
  readonly startTime: string | undefined;
  readonly detached: boolean;
  readonly summary: string | undefined;
  /** False where the events could not be read: whether there is a message is not known then. */
  readonly sound: boolean;
}

/** Sessions whose files are read at a time. */
const AT_ONCE = 16;

/** Heads that are remembered, so that a list does not read whole histories again. */
const MOST_HEADS = 10_000;

/** Code points of a summary that is taken from a message. */
const SUMMARY = 500;

export class Listing {
  private readonly heads = new Map<string, { readonly key: string; readonly head: Head }>();

  constructor(private readonly files: SessionFiles) {}

  /** What session.getMetadata answers; undefined for a session that has no events yet. */
  async entry(sessionId: string): Promise<Entry | undefined> {
    return (await this.read(sessionId))?.entry;
  }

  /**
   * Those of the sessions that a list shows, newest first.
   * @param detached also those that a server made for its own upkeep
   */
  async entries(sessionIds: readonly string[], detached = false): Promise<Entry[]> {
    const found = await each(sessionIds, AT_ONCE, (id) => this.read(id));
    const shown = found.flatMap((one) => (one?.listed && (detached || !one.entry.isDetached) ? one.entry : []));
    return shown.sort((a, b) => Date.parse(b.modifiedTime) - Date.parse(a.modifiedTime));
  }

  /** sessions.getSizes: bytes by session, in the order of the list. */
  async sizes(sessionIds: readonly string[]): Promise<Record<string, number>> {
    const shown = await this.entries(sessionIds, true);
    const sizes = await each(shown, AT_ONCE, ({ sessionId }) => this.files.size(sessionId));
    return Object.fromEntries(shown.map(({ sessionId }, index) => [sessionId, sizes[index]!]));
  }

  /** sessions.enrichMetadata for a record of a session that the caller may see; undefined: it is left out. */
  async enriched(record: Readonly<Record<string, unknown>>, sessionId: string): Promise<object | undefined> {
    if (record['summary'] !== undefined && record['context'] !== undefined) return record;
    const found = await this.read(sessionId);
    if (found && !found.listed) return undefined;
    const known = found?.entry ?? describe(await readWorkspace(this.files, sessionId));
    const { summary, name, clientName, context, mcTaskId } = known;
    const news = Object.entries({ summary, name, clientName, context, mcTaskId }).filter(([, value]) => value !== undefined);
    return { ...record, ...Object.fromEntries(news), isDetached: found?.entry.isDetached ?? false };
  }

  /** sessions.getPersistedRemoteSteerable. */
  async remoteSteerable(sessionId: string): Promise<{ remoteSteerable?: boolean }> {
    const { remote_steerable: remoteSteerable } = await readWorkspace(this.files, sessionId);
    return remoteSteerable === undefined ? {} : { remoteSteerable };
  }

  /** The session's files have changed under the reader's feet, or are gone. */
  forget(sessionId: string): void {
    this.heads.delete(sessionId);
  }

  private async read(sessionId: string): Promise<{ entry: Entry; listed: boolean } | undefined> {
    const [stat, yaml] = await Promise.all([
      statOf(this.files, sessionId, EVENTS),
      readText(this.files, sessionId, WORKSPACE),
    ]);
    if (stat === ENOENT || !stat.isFile) {
      this.forget(sessionId);
      return undefined;
    }
    const workspace = yaml === ENOENT ? {} : parseWorkspace(yaml);
    const head = await this.headOf(sessionId, stat);
    const entry: Entry = {
      sessionId,
      startTime: workspace.created_at ?? head.startTime ?? new Date(stat.birthtime).toISOString(),
      modifiedTime: new Date(stat.mtime).toISOString(),
      isRemote: false,
      isDetached: head.detached,
      ...describe(workspace, head.summary),
    };
    return { entry, listed: entry.summary !== undefined || !head.sound };
  }

  private async headOf(sessionId: string, stat: FileStat): Promise<Head> {
    const key = `${stat.birthtime}`;
    const volatile = `${key} ${stat.mtime} ${stat.size}`;
    const known = this.heads.get(sessionId);
    if (known && (known.key === key || known.key === volatile)) return known.head;
    const text = await readText(this.files, sessionId, EVENTS);
    const head = headIn(text === ENOENT ? '' : text);
    if (this.heads.size >= MOST_HEADS) for (const oldest of this.heads.keys()) { this.heads.delete(oldest); break; }
    this.heads.delete(sessionId);
    this.heads.set(sessionId, { key: head.summary === undefined ? volatile : key, head });
    return head;
  }
}

/** What a list tells of a session, besides its times. */
function describe(workspace: Workspace, firstMessage?: string): Partial<Entry> {
  const name = nameOf(workspace);
  const { cwd, git_root: gitRoot, repository, branch, client_name: clientName, mc_task_id: mcTaskId } = workspace;
  const context = cwd === undefined ? undefined : present<Context>({ cwd, gitRoot, repository, branch });
  return present<Partial<Entry>>({ summary: name ?? firstMessage, name, clientName, context, mcTaskId });
}

function present<T extends object>(fields: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

/** Reads no further than the first message with a text. */
function headIn(text: string): Head {
  let startTime: string | undefined;
  let detached = false;
  for (let start = 0; start < text.length;) {
    const end = text.indexOf('\n', start);
    const line = text.slice(start, end < 0 ? text.length : end).trim();
    start = end < 0 ? text.length : end + 1;
    if (line === '') continue;
    const event = eventIn(line);
    if (!event) {
      if (end < 0) break;
      return { startTime, detached, summary: undefined, sound: false };
    }
    const data = (event.data ?? {}) as { startTime?: unknown; detachedFromSpawningParentSessionId?: unknown; content?: unknown };
    if (event.type === 'session.start') {
      if (typeof data.startTime === 'string') startTime ??= data.startTime;
      detached ||= typeof data.detachedFromSpawningParentSessionId === 'string';
    }
    const summary = event.type === 'user.message' && typeof data.content === 'string' ? summaryOf(data.content) : '';
    if (summary !== '') return { startTime, detached, summary, sound: true };
  }
  return { startTime, detached, summary: undefined, sound: true };
}

function eventIn(line: string): StoredEvent | undefined {
  try {
    const value = JSON.parse(line) as StoredEvent | null;
    return typeof value === 'object' && value !== null ? value : { type: '' };
  } catch {
    return undefined;
  }
}

/** A message in one line, cut to a bearable length. */
export function summaryOf(message: string): string {
  const line = message.replace(/\s+/g, ' ').trim();
  if (line.length <= SUMMARY) return line;
  const points = [...line];
  return points.length <= SUMMARY ? line : `${points.slice(0, SUMMARY).join('')}...`;
}

/** Every field of the filter must be the session's; what is no text does not count (measured). */
export function matches(entry: Entry, filter: unknown): boolean {
  if (typeof filter !== 'object' || filter === null) return true;
  const wanted = filter as Readonly<Record<string, unknown>>;
  return (['cwd', 'gitRoot', 'repository', 'branch'] as const)
    .every((name) => typeof wanted[name] !== 'string' || entry.context?.[name] === wanted[name]);
}
