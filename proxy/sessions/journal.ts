/**
 * What the server of one session has told of but not stored yet. A server sends an event at once and
 * appends it to the history up to a second later, several in one go (measured, runtime 1.0.85); the line
 * it stores is the event as it was on the wire, to the byte. So when a server dies, what everybody
 * has seen of its last moments is here, and goes into the history in its place.
 *
 * Besides, what lives in a server's memory only: the sends that it has accepted and not begun yet
 * (sends.ts), and what clients have answered to the turn's prompts.
 */
import { endsOf, eventEnd, eventStart, idEnd, idStart } from '../wire/event.js';
import type { Frame } from '../wire/frame.js';
import { keepBytes } from '../wire/slab.js';
import { Ghosts } from './ghosts.js';
import type { StoredEvent } from './hidden-events.js';
import { Sends } from './sends.js';

/** An event that a server stores. */
interface Line {
  readonly id: string;
  readonly type: string;
  /** JSON text, as it will stand in the history; read only when a server has died. */
  readonly text: string | Buffer;
}

/** A client's answer to a prompt. */
export interface Answered {
  readonly method: string;
  readonly params: Record<string, unknown>;
  /** The server has said that it has it; until then it may have been lost with the server. */
  taken: boolean;
}

/** Types that are never stored (session-events schema: `ephemeral` is always true). The streamed ones are what matters. */
const EPHEMERAL: ReadonlySet<string> = new Set([
  'assistant.message_delta', 'assistant.message_start', 'assistant.reasoning_delta', 'assistant.streaming_delta',
  'assistant.tool_call_delta', 'assistant.idle', 'assistant.intent', 'assistant.usage', 'session.idle', 'session.usage_info',
  'session.tools_updated', 'session.title_changed', 'pending_messages.modified', 'tool.execution_partial_result',
  'tool.execution_progress',
]);

/**
 * Of those the ones that come in numbers and say nothing but what is to be shown: the client gets them, and nobody else
 * has to look at them. Neither prompts.ts nor stall.ts, session.ts nor turn-lock.ts knows any of them.
 */
const STREAMED: ReadonlySet<string | undefined> = new Set([
  'assistant.message_delta', 'assistant.reasoning_delta', 'assistant.streaming_delta', 'assistant.tool_call_delta', 'tool.execution_partial_result',
]);

export function isStreamed(eventType: string | undefined): boolean {
  return STREAMED.has(eventType);
}

/** Bytes of events that are kept for a server that stores nothing any more. */
const MOST = 32 * 1_048_576;

/** Events that are remembered by their ids. */
const RECENT = 256;

/** Results of permissions that let nothing happen (api schema: PermissionDecision). */
const REFUSES = /^(reject|denied|user-not-available)/;

export class Journal {
  readonly ghosts = new Ghosts();
  readonly sends = new Sends();
  /** In order, by id. */
  private readonly unsaved = new Map<string, Line>();
  private bytes = 0;
  /**
   * The history has the main agent's system message. A server tells of it in each turn and stores it once: those that
   * follow are never missing, and are the longest of what a turn would keep.
   */
  private prompted = false;
  /** Of this turn, by request id: a server stores that there was an answer, and what it was only with the result. */
  private readonly answers = new Map<string, Answered>();
  /** A client has asked for the end of the turn: nobody wants it completed. */
  aborting = false;
  /** The agent rests: its turn is over, and only that all of it is stored was not told yet. */
  rested = false;
  /** The last turn was given up in its middle: what it has left open is to be closed before it is loaded again. */
  cut = false;
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
    else if (type === 'assistant.idle') this.rested = true;
    const line = EPHEMERAL.has(type) ? undefined : lineOf(type, frame);
    // Whoever becomes the session's primary attachment may bring some once more.
    if (!line || this.unsaved.has(line.id)) return undefined;
    const { id } = line;
    const event = type === 'user.message' || this.ghosts.concern(type, id) ? eventOf(line) : undefined;
    if (event && this.ghosts.meet(event)) return id;
    this.told(id);
    this.keep(line);
    if (type === 'user.message') this.sends.seen(event?.data?.['messageId'], event?.data?.['content']);
    if (type === 'user.message' || type === 'assistant.turn_start') this.rested = false;
    return undefined;
  }

  /** The session's clients have heard of an event that is, or will be, stored. */
  told(id: string): void {
    this.recent.push(id);
    if (this.recent.length > RECENT) this.recent.shift();
  }

  /** The server has appended this to the history. */
  stored(content: string): void {
    if (!this.dirty) return;
    const stored = idsIn(content, this.unsaved);
    let left = stored.size;
    if (left === 0) return;
    // What is done at the same time comes in another order than it is stored; a repeated system message is not stored at all.
    for (const line of this.unsaved.values()) {
      const { id, type } = line;
      const isStored = stored.has(id);
      if (isStored && isPrompt(line)) this.prompted = true;
      if (isStored || type === 'system.message') this.drop(id);
      if (isStored && --left === 0) break;
    }
  }

  /** The history is another one than before, and may have no system message any more. */
  replaced(): void {
    this.prompted = false;
  }

  /**
   * The lines that are missing in a history, in the order in which they are to stand in it.
   * @param known ids that stand in it
   * @param prompted agents, '' the main one, that have a system message in it already: a server tells of
   *   that in each turn and stores it once
   */
  missing(known: ReadonlySet<unknown>, prompted: ReadonlySet<string>): string[] {
    const told = new Set(prompted);
    const lines: string[] = [];
    const unknown = [...this.unsaved.values()].filter(({ id }) => !known.has(id));
    for (const { type, agent, text } of inOrder(unknown.map(readLine))) {
      const repeated = type === 'system.message' && told.has(agent);
      if (type === 'system.message') told.add(agent);
      if (!repeated) lines.push(text);
    }
    return lines;
  }

  /** A client's answer to a prompt is passed on. */
  answering(requestId: string, method: string, params: Record<string, unknown>): Answered {
    const answer: Answered = { method, params, taken: false };
    this.answers.set(requestId, answer);
    return answer;
  }

  answer(requestId: string): Answered | undefined {
    return this.answers.get(requestId);
  }

  /** How a prompt of the turn was answered, for state/tail.ts. */
  answerTo(requestId: string): { taken: boolean; approves: boolean } | undefined {
    const answer = this.answers.get(requestId);
    if (!answer) return undefined;
    const { kind } = (answer.params['result'] ?? {}) as { kind?: unknown };
    return { taken: answer.taken, approves: !(typeof kind === 'string' && REFUSES.test(kind)) };
  }

  /** A client ends the turn: what waits behind it ends with it, as on a server (measured, runtime 1.0.85). */
  abort(): void {
    this.aborting = true;
    this.sends.abort();
  }

  /** A turn is over, of a session whose server another Skyport serves: what a whole turn ago was not stored is by now. */
  forgetOld(): void {
    this.replaced();
    const seen = [...this.unsaved.keys()];
    for (const id of seen.slice(0, this.old === undefined ? 0 : seen.indexOf(this.old) + 1)) this.drop(id);
    this.old = seen.at(-1);
  }

  /** Something was seen that is not stored. */
  get dirty(): boolean {
    return this.unsaved.size > 0;
  }

  /** Nothing of it is missing in the history any more. */
  saved(): void {
    this.unsaved.clear();
    this.bytes = 0;
  }

  /** Nobody is attached any more. */
  clear(): void {
    this.saved();
    this.replaced();
    this.idle();
    this.cut = false;
    this.sends.clear();
  }

  /** The turn is over, and everybody told. */
  idle(): void {
    this.aborting = false;
    this.rested = false;
    this.answers.clear();
    this.ghosts.rest();
  }

  private keep(line: Line): void {
    if (this.prompted && isPrompt(line)) return;
    this.unsaved.set(line.id, line);
    this.bytes += line.text.length;
    for (const id of this.unsaved.keys()) {
      if (this.bytes <= MOST) break;
      this.drop(id);
    }
  }

  private drop(id: string): void {
    this.bytes -= this.unsaved.get(id)?.text.length ?? 0;
    this.unsaved.delete(id);
  }
}

/** Whether it is a system message of the main agent. */
function isPrompt({ type, text }: Line): boolean {
  return type === 'system.message' && !text.includes('"agentId":');
}

/** Which of these events some lines of a history tell of. */
function idsIn(content: string, events: ReadonlyMap<string, Line>): Set<string> {
  const found = new Set<string>();
  for (let at = content.indexOf(ID); at >= 0; at = content.indexOf(ID, at)) {
    at += ID.length;
    const id = content.slice(at, content.indexOf('"', at));
    if (events.has(id)) found.add(id);
    if (found.size === events.size) break;
  }
  return found;
}

const ID = '"id":"';

/** A line as it is read to be put into a history. */
interface ReadLine {
  readonly id: string;
  readonly type: string;
  /** The sub-agent that it is of, '' for the main one. */
  readonly agent: string;
  readonly parentId: string | undefined;
  readonly text: string;
}

function readLine(line: Line): ReadLine {
  const { parentId, agentId } = eventOf(line) ?? {};
  return {
    id: line.id,
    type: line.type,
    agent: typeof agentId === 'string' ? agentId : '',
    parentId: typeof parentId === 'string' ? parentId : undefined,
    text: line.text.toString(),
  };
}

/** Each after its parent; otherwise as they came. */
function inOrder(lines: readonly ReadLine[]): ReadLine[] {
  const ids = new Set(lines.map(({ id }) => id));
  const children = new Map<string, ReadLine[]>();
  const ready: ReadLine[] = [];
  for (const line of lines) {
    const { parentId } = line;
    const siblings = parentId !== undefined && ids.has(parentId) ? (children.get(parentId) ?? []) : ready;
    siblings.push(line);
    if (siblings !== ready) children.set(parentId!, siblings);
  }
  const ordered: ReadLine[] = [];
  for (let line = ready.shift(); line; line = ready.shift()) {
    ordered.push(line);
    ready.unshift(...(children.get(line.id) ?? []));
  }
  return ordered;
}

interface Event extends StoredEvent {
  readonly ephemeral?: unknown;
  readonly parentId?: unknown;
  readonly agentId?: unknown;
  readonly data?: Record<string, unknown>;
}

function eventOf({ text }: Line): Event | undefined {
  try {
    return JSON.parse(text.toString()) as Event;
  } catch {
    return undefined;
  }
}

/** The event in a `session.event` message; undefined when it is not stored. */
function lineOf(type: string, frame: Frame): Line | undefined {
  const spelling = endsOf(frame);
  if (spelling === 'ephemeral') return undefined;
  const { buffer, body, end } = frame;
  if (spelling === 'lasting') return { id: buffer.toString('latin1', idStart, idEnd), type, text: textOf(buffer, eventStart, eventEnd) };
  try {
    const event = (JSON.parse(buffer.toString('utf8', body, end)) as { params?: { event?: Event } }).params?.event;
    if (!event || event.ephemeral === true || typeof event.id !== 'string') return undefined;
    return { id: event.id, type, text: JSON.stringify(event) };
  } catch {
    return undefined;
  }
}

/** The bytes stay where they were read, unless they would keep a much larger buffer alive. */
function textOf(buffer: Buffer, from: number, to: number): string | Buffer {
  if ((to - from) * 2 <= buffer.buffer.byteLength) return buffer.toString('utf8', from, to);
  keepBytes(buffer);
  return buffer.subarray(from, to);
}
