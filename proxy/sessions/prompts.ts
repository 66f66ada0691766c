/**
 * The prompts of one session that no client has answered yet. A CLI server puts them as events, once:
 * permission, external tool calls, elicitation and their like (PROTOCOL: Sessions). A client that
 * takes a held turn over was not there when they came, and a live resume does not repeat them
 * (measured, runtime 1.0.85): without them its turn would wait for ever.
 */
import type { Frame } from '../wire/frame.js';

/** Events that put a prompt, and those that end it; both carry `data.requestId` (session-events schema). */
const PROMPTS = new Map<string, 'opens' | 'closes'>([
  ['permission.requested', 'opens'], ['permission.completed', 'closes'],
  ['external_tool.requested', 'opens'], ['external_tool.completed', 'closes'],
  ['elicitation.requested', 'opens'], ['elicitation.completed', 'closes'],
  ['sampling.requested', 'opens'], ['sampling.completed', 'closes'],
  ['command.execute', 'opens'], ['command.queued', 'opens'], ['command.completed', 'closes'],
  ['mcp.oauth_required', 'opens'], ['mcp.oauth_completed', 'closes'],
  ['mcp.headers_refresh_required', 'opens'], ['mcp.headers_refresh_completed', 'closes'],
  ['session_limits_exhausted.requested', 'opens'], ['session_limits_exhausted.completed', 'closes'],
]);

export class Prompts {
  /** Whole messages, by request id, in the order they came; copies. */
  private readonly open = new Map<string, Buffer>();

  /** Takes note of an event; only those of prompts, which are rare, are parsed. */
  see(eventType: string, frame: Frame): void {
    if (!PROMPTS.has(eventType)) return;
    const body = frame.buffer.subarray(frame.body, frame.end);
    const prompt = promptOf(eventType, body);
    if (prompt?.kind === 'opens') this.open.set(prompt.requestId, Buffer.from(body));
    else if (prompt) this.open.delete(prompt.requestId);
  }

  get size(): number {
    return this.open.size;
  }

  /** The ids of the open ones. */
  ids(): string[] {
    return [...this.open.keys()];
  }

  /** The message that put a prompt; undefined when it has been answered. */
  message(requestId: string): Buffer | undefined {
    return this.open.get(requestId);
  }

  /** Another server has the session: it knows of these only. */
  keep(requestIds: readonly string[]): void {
    for (const requestId of [...this.open.keys()]) if (!requestIds.includes(requestId)) this.open.delete(requestId);
  }

  /** The session was unloaded: the server does not wait any more. */
  clear(): void {
    this.open.clear();
  }
}

/** What an event says of a prompt; undefined for one that says nothing of any. @param body the whole message */
export function promptOf(eventType: string, body: Buffer): { kind: 'opens' | 'closes'; requestId: string } | undefined {
  const kind = PROMPTS.get(eventType);
  const requestId = kind === undefined ? undefined : requestIdOf(body);
  return kind === undefined || requestId === undefined ? undefined : { kind, requestId };
}

/** Undefined also when the server sent something else under that name. */
function requestIdOf(body: Buffer): string | undefined {
  try {
    const { params } = JSON.parse(body.toString('utf8')) as { params?: { event?: { data?: { requestId?: unknown } } } };
    const requestId = params?.event?.data?.requestId;
    return typeof requestId === 'string' ? requestId : undefined;
  } catch {
    return undefined;
  }
}
