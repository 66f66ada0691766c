/**
 * Makes the history of a session whose server died fit to go on with. Pure: texts of `events.jsonl`
 * in, texts out. What it adds has the shape that the runtime gives it (measured, 1.0.85).
 */
import { randomUUID } from 'node:crypto';
import { readHistory, type HistoryEvent } from './history.js';

export interface Repaired {
  readonly events: readonly HistoryEvent[];
  /** Whole lines. */
  readonly text: string;
}

/**
 * Cuts a torn last line off and adds what was seen and not stored.
 * @param missing gives the lines, of those whose ids the history does not have; `prompted`: it has a system message
 */
export function completed(text: string, missing: (known: ReadonlySet<unknown>, prompted: boolean) => readonly string[]): Repaired {
  const { events, whole } = readHistory(text);
  const known = new Set<unknown>(events.map(({ id }) => id));
  const added = missing(known, events.some(({ type }) => type === 'system.message'));
  const before = whole === '' || whole.endsWith('\n') ? whole : `${whole}\n`;
  if (added.length === 0) return { events, text: before };
  const all = before + added.map((line) => `${line}\n`).join('');
  return { events: readHistory(all).events, text: all };
}

/**
 * Without the notes that these requests for a client's tool were answered. With the note and without the
 * tool's result a server waits for ever; without it the answer may be given again.
 */
export function withoutAnswers(history: Repaired, requestIds: readonly string[]): Repaired {
  if (requestIds.length === 0) return history;
  const parents = new Map<unknown, unknown>();
  const lines: string[] = [];
  for (const line of history.text.split('\n')) {
    const event = line === '' ? undefined : (JSON.parse(line) as HistoryEvent & { parentId?: unknown });
    if (event?.type === 'external_tool.completed' && requestIds.includes(String(event.data['requestId']))) {
      parents.set(event.id, parents.get(event.parentId) ?? event.parentId);
    } else if (event && parents.has(event.parentId)) {
      lines.push(JSON.stringify({ ...event, parentId: parents.get(event.parentId) }));
    } else {
      lines.push(line);
    }
  }
  const text = lines.join('\n');
  return { events: readHistory(text).events, text };
}

/** Lines that end calls of tools whose outcome nobody knows: the model is told so, and they are not run again. */
export function interruptions({ events }: Repaired, toolCallIds: readonly string[]): string[] {
  let parentId = events.at(-1)?.id;
  return toolCallIds.map((toolCallId) => {
    const id = randomUUID();
    const line = JSON.stringify({
      type: 'tool.execution_complete',
      data: {
        toolCallId, model: 'resumed', interactionId: 'resume', success: false,
        error: { message: 'The execution of this tool, or a previous tool was interrupted.', code: 'interrupted' },
      },
      id, timestamp: new Date().toISOString(), parentId,
    });
    parentId = id;
    return line;
  });
}
