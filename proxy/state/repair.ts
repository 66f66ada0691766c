/**
 * Makes the history of a session whose server died fit to go on with. Pure: texts of `events.jsonl`
 * in, texts out. What it adds has the shape that the runtime gives it (measured, 1.0.85).
 */
import { randomUUID } from 'node:crypto';
import { readHistory, type HistoryEvent } from './history.js';
import type { OpenCall, OpenPrompt, OpenQuestion } from './tail.js';

export interface Repaired {
  readonly events: readonly HistoryEvent[];
  /** Whole lines. */
  readonly text: string;
}

/** What is added to a history: an event without what every event has. */
export interface Addition {
  readonly type: string;
  readonly data: object;
  readonly agentId?: string;
}

/**
 * Cuts a torn last line off and adds what was seen and not stored.
 * @param missing gives the lines, of those whose ids the history does not have; `prompted`: the agents
 *   that have a system message in it, '' for the main one
 */
export function completed(text: string, missing: (known: ReadonlySet<unknown>, prompted: ReadonlySet<string>) => readonly string[]): Repaired {
  const { events, whole } = readHistory(text);
  const known = new Set<unknown>(events.map(({ id }) => id));
  const prompted = new Set(events.filter(({ type }) => type === 'system.message').map(({ agentId }) => agentId ?? ''));
  const added = missing(known, prompted);
  const before = whole === '' || whole.endsWith('\n') ? whole : `${whole}\n`;
  return extended({ events, text: before }, added);
}

/** With these lines at its end, each the child of the one before it, as a server stores them. */
export function extended({ events, text }: Repaired, lines: readonly string[]): Repaired {
  if (lines.length === 0) return { events, text };
  let parentId: unknown = events.at(-1)?.id ?? null;
  const added = lines.map((line) => {
    const event = JSON.parse(line) as { id?: unknown; parentId?: unknown };
    const child = event.parentId === parentId || parentId === null ? line : JSON.stringify({ ...event, parentId });
    parentId = event.id;
    return `${child}\n`;
  }).join('');
  return { events: [...events, ...readHistory(added).events], text: text + added };
}

/**
 * Without the notes that these prompts were answered. With the note and without what came of it a server
 * waits for ever, or does it twice; without it the answer may be given again.
 */
export function withoutAnswers(history: Repaired, requestIds: readonly string[]): Repaired {
  if (requestIds.length === 0) return history;
  const parents = new Map<unknown, unknown>();
  const lines: string[] = [];
  for (const line of history.text.split('\n')) {
    const event = line === '' ? undefined : parsed(line);
    if (event && ANSWERED.has(event.type) && requestIds.includes(String(event.data['requestId']))) {
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

const ANSWERED: ReadonlySet<string> = new Set(['external_tool.completed', 'permission.completed']);

/** A garbage line is the server's to complain of. */
function parsed(line: string): (HistoryEvent & { parentId?: unknown }) | undefined {
  try {
    const event = JSON.parse(line) as (HistoryEvent & { parentId?: unknown }) | null;
    return event && typeof event === 'object' ? { ...event, data: event.data ?? {} } : undefined;
  } catch {
    return undefined;
  }
}

/** The lines of events that follow a history. */
export function linesAfter({ events }: Repaired, additions: readonly Addition[]): string[] {
  let parentId = events.at(-1)?.id ?? null;
  return additions.map(({ type, data, agentId }) => {
    const id = randomUUID();
    const line = JSON.stringify({ type, data, id, timestamp: new Date().toISOString(), parentId, ...(agentId === undefined ? {} : { agentId }) });
    parentId = id;
    return line;
  });
}

/** Ends a call whose outcome nobody knows: the model is told so, and it is not made again. */
export function interruption({ toolCallId, agentId }: OpenCall): Addition {
  const error = { message: 'The execution of this tool, or a previous tool was interrupted.', code: 'interrupted' };
  const data = { toolCallId, model: 'resumed', interactionId: 'resume', success: false, error };
  return { type: 'tool.execution_complete', data, ...(agentId === undefined ? {} : { agentId }) };
}

/** Nobody waits for the answer to this permission any more. */
export function withdrawal({ requestId, toolCallId }: OpenPrompt): Addition {
  return { type: 'permission.completed', data: { requestId, toolCallId, result: { kind: 'cancelled', reason: 'Session resumed' } } };
}

/** Hands a call of `ask_user` to the next server as one of a client's tool, whose result may still come. */
export function handedOver(call: OpenQuestion, sessionId: string, requestId: string): Addition {
  return { type: 'external_tool.requested', data: { requestId, sessionId, toolCallId: call.toolCallId, toolName: 'ask_user', arguments: call.arguments } };
}

export function turnEnd(turnId: string): Addition {
  return { type: 'assistant.turn_end', data: { turnId } };
}

/** As a server ends a turn that its user does not want any more. */
export function abortion(turnId: string): Addition[] {
  return [{ type: 'abort', data: { reason: 'user_initiated' } }, turnEnd(turnId)];
}
