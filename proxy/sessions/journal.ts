/**
 * What the server of one session has told of but not stored yet. A server sends an event at once and
 * appends it to the history some 75 ms later, several in one go (measured, runtime 1.0.85); the line
 * it stores is the event as it was on the wire, to the byte. So when a server dies, what everybody
 * has seen of its last moments is here, and goes into the history in its place.
 *
 * Besides, the sends that a server has accepted and not begun yet: they live in its memory only.
 */
import type { Frame } from '../wire/frame.js';
import { Ghosts } from './ghosts.js';
import type { StoredEvent } from './hidden-events.js';

/** An event that a server stores. */
interface Line {
  readonly id: string;
  readonly type: string;
  readonly parentId: string | undefined;
  /** JSON text, as it will stand in the history. */
  readonly text: string;
}

/** A message that a client has sent to the session. */
export interface Send {
  readonly method: string;
  readonly params: Record<string, unknown>;
  /** What the server has called it; undefined until it has answered. */
  messageId: string | undefined;
  /** Messages that had been seen to begin when it was passed on. */
  since: number;
}

/** A message that was seen to begin before the answer that names it. */
interface Begun {
  readonly id: string;
  readonly text: unknown;
  /** Counts all of them. */
  readonly number: number;
}

/** A client's answer to a prompt, which its server has taken. */
export interface Answered {
  readonly method: string;
  readonly params: Record<string, unknown>;
}

/** Types that are never stored (session-events schema: `ephemeral` is always true). The streamed ones are what matters. */
const EPHEMERAL: ReadonlySet<string> = new Set([
  'assistant.message_delta', 'assistant.message_start', 'assistant.reasoning_delta', 'assistant.streaming_delta',
  'assistant.tool_call_delta', 'assistant.idle', 'assistant.intent', 'assistant.usage', 'session.idle', 'session.usage_info',
  'session.tools_updated', 'session.title_changed', 'pending_messages.modified', 'tool.execution_partial_result',
  'tool.execution_progress',
]);

/** Bytes of events that are kept for a server that stores nothing any more. */
const MOST = 32 * 1_048_576;

/** Events that are remembered by their ids. */
const RECENT = 256;

const EVENT = ',"event":';

export class Journal {
  readonly ghosts = new Ghosts();
  private unsaved: Line[] = [];
  private bytes = 0;
  private readonly sends: Send[] = [];
  /** Answers of this turn, by request id: a server stores that there was one, and what it was only with the result. */
  readonly answers = new Map<string, Answered>();
  /** A client has asked for the end of the turn: nobody wants it completed. */
  aborting = false;
  /** Messages that were seen to begin before the answer that names them. */
  private begun: Begun[] = [];
  private count = 0;
  /** Ids of the last events that were seen, stored or not; in order. */
  readonly recent: string[] = [];
  /** The last of the turn before the last one that was not known to be stored. */
  private old: string | undefined;

  /**
   * An event has come from the server; it may be stored later.
   * @returns the id of one that is there only because the session was moved
   */
  see(type: string, frame: Frame): string | undefined {
    if (type === 'session.idle') this.idle();
    if (EPHEMERAL.has(type)) return undefined;
    const text = frame.buffer.toString('utf8', frame.body, frame.end);
    const line = lineOf(type, text);
    if (!line || this.unsaved.at(-1)?.id === line.id) return undefined;
    if (this.ghosts.meet(line)) return line.id;
    this.recent.push(line.id);
    if (this.recent.length > RECENT) this.recent.shift();
    this.unsaved.push(line);
    this.bytes += line.text.length;
    while (this.bytes > MOST) this.bytes -= this.unsaved.shift()!.text.length;
    if (type === 'user.message') this.began(line.text);
    return undefined;
  }

  /** The server has appended this to the history. Appends come in order: what was before its last event is stored, or never will be. */
  stored(content: string): void {
    const last = this.unsaved.findLastIndex(({ id }) => content.includes(`"id":"${id}"`));
    for (const { text } of this.unsaved.splice(0, last + 1)) this.bytes -= text.length;
  }

  /**
   * The lines that are missing in a history, in order.
   * @param known ids that stand in it
   * @param prompted it has a system message already: a server tells of it in each turn and stores it once
   */
  missing(known: ReadonlySet<unknown>, prompted: boolean): string[] {
    const skipped = new Map<string, string | undefined>();
    const lines: string[] = [];
    for (const { id, type, parentId, text } of this.unsaved) {
      if (known.has(id)) continue;
      if (type === 'system.message' && prompted) {
        skipped.set(id, parentId);
        continue;
      }
      prompted ||= type === 'system.message';
      const parent = parentId === undefined ? undefined : skipped.get(parentId);
      lines.push(parent === undefined ? text : text.replace(`"parentId":"${parentId}"`, `"parentId":"${parent}"`));
    }
    return lines;
  }

  /** A send is passed on. Gives what `accepted` and `refused` want back. */
  sent(method: string, params: Record<string, unknown>): Send {
    const send: Send = { method, params, messageId: undefined, since: this.count };
    this.sends.push(send);
    return send;
  }

  /** The same message is passed on to another server. */
  sentAgain(send: Send): void {
    send.since = this.count;
    if (!this.sends.includes(send)) this.sends.push(send);
  }

  /** @param messageId of the server's answer */
  accepted(send: Send, messageId: unknown): void {
    // An answer that names nothing cannot be followed: it is trusted.
    if (typeof messageId !== 'string') return this.refused(send);
    send.messageId = messageId;
    if (this.begun.some(({ id }) => id === messageId)) this.claimed(messageId);
  }

  refused(send: Send): void {
    const at = this.sends.indexOf(send);
    if (at >= 0) this.sends.splice(at, 1);
  }

  /**
   * Holds the sends against the history that a dead server has left.
   * @param begun the messages of which it tells, in order
   * @returns those that were accepted and are not in it
   */
  settle(begun: readonly string[]): Send[] {
    const known = new Set(this.sends.map(({ messageId }) => messageId));
    // One send waits for its answer at a time; a message that is nobody else's is its.
    const open = this.sends.find(({ messageId }) => messageId === undefined);
    // Another Skyport's clients, or the agent itself, may have sent others: it must be newer, and say the same.
    const unclaimed = open && this.begun.findLast(({ id, text, number }) =>
      begun.includes(id) && !known.has(id) && number > open.since && (open.params['prompt'] === undefined || open.params['prompt'] === text));
    if (open && unclaimed) open.messageId = unclaimed.id;
    const lost = this.sends.filter(({ messageId }) => messageId !== undefined && !begun.includes(messageId));
    this.begun = [];
    this.sends.splice(0);
    return lost;
  }

  /** A turn is over, of a session whose server another Skyport serves: what a whole turn ago was not stored is by now. */
  forgetOld(): void {
    const last = this.unsaved.findLastIndex(({ id }) => id === this.old);
    for (const { text } of this.unsaved.splice(0, last + 1)) this.bytes -= text.length;
    this.old = this.unsaved.at(-1)?.id;
  }

  /** Something was seen that is not stored. */
  get dirty(): boolean {
    return this.unsaved.length > 0;
  }

  /** Nothing of it is missing in the history any more. */
  saved(): void {
    this.unsaved = [];
    this.bytes = 0;
  }

  /** Nobody is attached any more. */
  clear(): void {
    this.saved();
    this.idle();
    this.begun = [];
    this.sends.splice(0);
  }

  private idle(): void {
    this.aborting = false;
    this.answers.clear();
  }

  private began(line: string): void {
    const { data } = JSON.parse(line) as { data?: { messageId?: unknown; content?: unknown } };
    const id = data?.messageId;
    if (typeof id !== 'string') return;
    this.begun = [...this.begun.slice(-7), { id, text: data?.content, number: ++this.count }];
    this.claimed(id);
  }

  /** The message of a send whose answer has come. */
  private claimed(messageId: string): void {
    const at = this.sends.findIndex((send) => send.messageId === messageId);
    if (at < 0) return;
    this.sends.splice(at, 1);
    this.begun = this.begun.filter(({ id }) => id !== messageId);
  }
}

/** The event in a `session.event` message; undefined when it is not stored. */
function lineOf(type: string, message: string): Line | undefined {
  const at = message.indexOf(EVENT);
  const cut = at < 0 || !message.endsWith('}}}') ? '' : message.slice(at + EVENT.length, -2);
  try {
    // What a server writes is cut out as it stands; any other spelling is written anew.
    const event = (cut.startsWith('{"type":') ? JSON.parse(cut) : eventOf(message)) as StoredEvent & { ephemeral?: unknown; parentId?: unknown };
    if (event.ephemeral === true || typeof event.id !== 'string') return undefined;
    const parentId = typeof event.parentId === 'string' ? event.parentId : undefined;
    return { id: event.id, type, parentId, text: cut.startsWith('{"type":') ? cut : JSON.stringify(event) };
  } catch {
    return undefined;
  }
}

function eventOf(message: string): unknown {
  return (JSON.parse(message) as { params?: { event?: unknown } }).params?.event;
}
