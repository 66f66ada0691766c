/**
 * The history of a session as it stands in `events.jsonl`, and what its last turn has come to: that
 * decides how a turn is completed whose server died (PROTOCOL: State on disk and moving a session).
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
 * What the last turn has come to.
 *   none       there was none
 *   complete   it is over, or as good as: nobody waits for anything
 *   model      the model was asked, or about to be: it has to be asked (again)
 *   prompt     a permission or a tool of a client is waited for, and nothing else
 *   tool       a built-in tool was running: whether it did its work is not known
 */
export type TurnTail = 'none' | 'complete' | 'model' | 'prompt' | 'tool';

export interface Tail {
  readonly kind: TurnTail;
  /** Types of events that the last step of the turn has had already, and will have again when the model is asked again. */
  readonly repeated: readonly string[];
}

/** @param events of the whole history, in order */
export function tailOf(events: readonly HistoryEvent[]): Tail {
  const main = events.filter(({ agentId }) => agentId === undefined);
  const from = main.findLastIndex(({ type }) => type === 'user.message');
  if (from < 0) return { kind: 'none', repeated: [] };
  const turn = main.slice(from);
  const last = turn.findLast(({ type }) => ENDS.has(type) || STEPS.has(type));
  if (last && ENDS.has(last.type)) return { kind: 'complete', repeated: [] };
  const open = openCalls(turn);
  if (open.running) return { kind: 'tool', repeated: [] };
  if (open.asked) return { kind: 'prompt', repeated: [] };
  if (last?.type === 'assistant.turn_end' && !wantsTools(turn)) return { kind: 'complete', repeated: [] };
  return { kind: 'model', repeated: last?.type === 'assistant.turn_start' ? ['system.message', 'assistant.turn_start'] : ['system.message'] };
}

/** After these there is nothing to complete. */
const ENDS: ReadonlySet<string> = new Set(['abort', 'session.error', 'session.task_complete']);

/** The events that a turn consists of. */
const STEPS: ReadonlySet<string> = new Set([
  'user.message', 'assistant.turn_start', 'assistant.message', 'assistant.turn_end', 'tool.execution_start',
  'tool.execution_complete', 'permission.requested', 'permission.completed', 'external_tool.requested',
]);

/** The calls of tools that the model has asked for last, and that are not through. */
function openCalls(turn: readonly HistoryEvent[]): { running: boolean; asked: boolean } {
  const done = new Set(turn.filter(({ type }) => type === 'tool.execution_complete').map(({ data }) => data['toolCallId']));
  const asked = new Set<unknown>();
  const running = new Set<unknown>();
  const prompts = new Map<unknown, unknown>();
  for (const { type, data } of turn) {
    switch (type) {
      case 'tool.execution_start':
        running.add(data['toolCallId']);
        break;
      case 'external_tool.requested':
        asked.add(data['toolCallId']);
        break;
      case 'permission.requested':
        prompts.set(data['requestId'], (data['permissionRequest'] as { toolCallId?: unknown } | undefined)?.toolCallId);
        break;
      case 'permission.completed':
        prompts.delete(data['requestId']);
        break;
    }
  }
  for (const toolCallId of prompts.values()) asked.add(toolCallId);
  const open = (ids: ReadonlySet<unknown>): unknown[] => [...ids].filter((id) => !done.has(id));
  return { running: open(running).some((id) => !asked.has(id)), asked: open(asked).length > 0 };
}

/** The model's last answer asks for tools. */
function wantsTools(turn: readonly HistoryEvent[]): boolean {
  const message = turn.findLast(({ type }) => type === 'assistant.message');
  const requests = message?.data['toolRequests'];
  return Array.isArray(requests) && requests.length > 0;
}
