/**
 * The events of one session that a server stored only because Skyport unloaded it: each unload is a
 * `session.shutdown` in the history (PROTOCOL: State on disk). Clients were not sent them, so they
 * do not find them in what they read either. In memory: after a restart of Skyport they show.
 */

/** Methods whose result is `{events: [...]}`. */
const HISTORY_READS: ReadonlySet<string> = new Set([
  'session.getMessages', 'session.eventLog.read', 'sessions.readPersistedEvents',
]);

export interface StoredEvent {
  readonly id?: unknown;
  readonly type?: unknown;
}

export function readsHistory(method: string): boolean {
  return HISTORY_READS.has(method);
}

export class HiddenEvents {
  private readonly ids = new Set<unknown>();

  get any(): boolean {
    return this.ids.size > 0;
  }

  has(id: unknown): boolean {
    return this.ids.has(id);
  }

  add(id: string): void {
    this.ids.add(id);
  }

  /** @param last the newest events of the history, right after the session was unloaded */
  note(last: readonly StoredEvent[]): void {
    for (const { id, type } of last) if (type === 'session.shutdown') this.ids.add(id);
  }

  /** The result of a history read without them. */
  strip(result: unknown): unknown {
    const events = eventsOf(result);
    return events ? { ...(result as object), events: events.filter(({ id }) => !this.ids.has(id)) } : result;
  }
}

/** The events in the result of a history read. */
export function eventsOf(result: unknown): readonly StoredEvent[] | undefined {
  const { events } = (result ?? {}) as { events?: unknown };
  return Array.isArray(events) ? (events as StoredEvent[]) : undefined;
}
