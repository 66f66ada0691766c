/**
 * The history of a session as it stands in `events.jsonl`: an event a line, in order.
 */

export interface HistoryEvent {
  readonly id: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** Set on what a sub-agent does. */
  readonly agentId?: string;
}

export interface History {
  readonly events: readonly HistoryEvent[];
  /** The text up to the end of its last whole line; shorter than the file when a write was cut. */
  readonly whole: string;
}

/** Reads the text of `events.jsonl`. A last line that is not whole was being written when its server died, and is left out. */
export function readHistory(text: string): History {
  const events: HistoryEvent[] = [];
  let whole = 0;
  for (let start = 0; start < text.length;) {
    const end = text.indexOf('\n', start);
    const line = text.slice(start, end < 0 ? text.length : end);
    const event = line.trim() === '' ? undefined : eventIn(line);
    if (end < 0 && !event) break;
    if (event) events.push(event);
    start = end < 0 ? text.length : end + 1;
    whole = start;
  }
  return { events, whole: text.slice(0, whole) };
}

function eventIn(line: string): HistoryEvent | undefined {
  try {
    const event = JSON.parse(line) as HistoryEvent | null;
    return event && typeof event.type === 'string' ? { ...event, data: event.data ?? {} } : undefined;
  } catch {
    return undefined;
  }
}

/** The messages that the history tells of, in order. */
export function messagesIn(events: readonly HistoryEvent[]): string[] {
  return events.flatMap(({ type, data }) => (type === 'user.message' && typeof data['messageId'] === 'string' ? [data['messageId']] : []));
}

/**
 * The events after the last one that was heard. Nothing, where the history has none of those.
 * @param heard ids of the last events that were
 */
export function unheardIn(events: readonly HistoryEvent[], heard: readonly string[]): readonly HistoryEvent[] {
  const known = new Set(heard);
  const last = events.findLastIndex(({ id }) => known.has(id));
  return last < 0 ? [] : events.slice(last + 1);
}
