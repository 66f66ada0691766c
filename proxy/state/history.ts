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
 *   prompt     a permission or a tool of a client is waited for
 *   tool       a built-in tool was running: whether it did its work is not known
 */
export type TurnKind = 'none' | 'complete' | 'model' | 'prompt' | 'tool';

export interface Tail {
  readonly kind: TurnKind;
  /** Calls of built-in tools that were running, by id: the model is told that they were interrupted. */
  readonly interrupted: readonly string[];
  /** Requests for a client's tool that were answered, while the answer is not in the history: it has to be given again. */
  readonly answered: readonly string[];
  /** Types of events that come a second time when the model is asked again. */
  readonly repeated: readonly string[];
}

const NOTHING: Tail = { kind: 'none', interrupted: [], answered: [], repeated: [] };

/** Without an effect outside the session: it is simply run again, and its client asked again. */
const HARMLESS: ReadonlySet<unknown> = new Set(['ask_user']);

/** @param events of the whole history, in order */
export function tailOf(events: readonly HistoryEvent[]): Tail {
  const main = events.filter(({ agentId }) => agentId === undefined);
  const from = main.findLastIndex(({ type }) => type === 'user.message');
  if (from < 0) return NOTHING;
  const turn = main.slice(from);
  const last = turn.findLast(({ type }) => ENDS.has(type) || STEPS.has(type));
  if (last && ENDS.has(last.type)) return { ...NOTHING, kind: 'complete' };
  const { running, waiting, permission, answered } = openCalls(turn);
  const found = { interrupted: running, answered, repeated: [] };
  // A tool that is permitted now begins, as it had begun before the question.
  if (waiting) return { ...found, kind: 'prompt', repeated: permission ? ['tool.execution_start'] : [] };
  if (running.length > 0) return { ...found, kind: 'tool', repeated: ['system.message'] };
  if (last?.type === 'assistant.turn_end' && !wantsTools(turn)) return { ...NOTHING, kind: 'complete' };
  const begun = last?.type === 'assistant.turn_start';
  return { ...found, kind: 'model', repeated: begun ? ['system.message', 'assistant.turn_start'] : ['system.message'] };
}

/** After these there is nothing to complete. */
const ENDS: ReadonlySet<string> = new Set(['abort', 'session.error', 'session.task_complete']);

/** The events that a turn consists of. */
const STEPS: ReadonlySet<string> = new Set([
  'user.message', 'assistant.turn_start', 'assistant.message', 'assistant.turn_end', 'tool.execution_start',
  'tool.execution_complete', 'permission.requested', 'permission.completed', 'external_tool.requested',
]);

interface OpenCalls {
  readonly running: string[];
  readonly waiting: boolean;
  readonly permission: boolean;
  readonly answered: string[];
}

/** The calls of tools that are not through, and what they wait for. */
function openCalls(turn: readonly HistoryEvent[]): OpenCalls {
  const started = new Map<unknown, unknown>();
  const external = new Map<unknown, unknown>();
  const permissions = new Map<unknown, unknown>();
  const replied = new Set<unknown>();
  for (const { type, data } of turn) {
    const { requestId, toolCallId } = data;
    switch (type) {
      case 'tool.execution_start':
        started.set(toolCallId, data['toolName']);
        break;
      case 'tool.execution_complete':
        started.delete(toolCallId);
        for (const [request, call] of external) if (call === toolCallId) external.delete(request);
        break;
      case 'external_tool.requested':
        external.set(requestId, toolCallId);
        break;
      case 'external_tool.completed':
        replied.add(requestId);
        break;
      case 'permission.requested':
        permissions.set(requestId, (data['permissionRequest'] as { toolCallId?: unknown } | undefined)?.toolCallId);
        break;
      case 'permission.completed':
        permissions.delete(requestId);
        break;
    }
  }
  const prompted = new Set([...external.values(), ...permissions.values()]);
  return {
    running: [...started].filter(([call, tool]) => !prompted.has(call) && !HARMLESS.has(tool)).map(([call]) => String(call)),
    waiting: prompted.size > 0,
    permission: permissions.size > 0,
    answered: [...external.keys()].filter((request) => replied.has(request)).map(String),
  };
}

/** The model's last answer asks for tools. */
function wantsTools(turn: readonly HistoryEvent[]): boolean {
  const message = turn.findLast(({ type }) => type === 'assistant.message');
  const requests = message?.data['toolRequests'];
  return Array.isArray(requests) && requests.length > 0;
}
