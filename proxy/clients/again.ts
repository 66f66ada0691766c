/**
 * Calls that outlive their server: made once more, on another one, when the first is lost before it
 * has answered. Reads and settings may simply be repeated; an answer to a prompt finds the prompt
 * again; a message is repeated only if the history does not have it already.
 */
import { isRefusal } from '../protocol/errors.js';
import type { MethodSpec } from '../protocol/catalogue.js';
import { parseAnswer } from '../backends/link.js';
import { isAmendment } from '../sessions/amendments.js';
import { readsHistory } from '../sessions/hidden-events.js';
import type { Send } from '../sessions/sends.js';
import type { Session } from '../sessions/session.js';
import type { Ask } from './ask.js';

/** The last part of the names of methods that only read. */
const READS = /^(get|list|read|is[A-Z]|preview|has[A-Z])|^(activity|tail|snapshot|pendingItems)$/;

/** Settings: making them twice is making them once. */
const SETTINGS: ReadonlySet<string> = new Set([
  'session.name.set', 'session.plan.update', 'session.model.setAllowedModels', 'session.abort',
]);

/** Calls that bring messages of the user. */
const SENDS: ReadonlySet<string> = new Set(['session.send', 'session.sendMessages']);

/** How the last part of the names of answers to prompts begins. */
const ANSWERS = 'handlePending';

export function isAnswer({ name }: MethodSpec): boolean {
  return name.includes(`.${ANSWERS}`);
}

/** An answer to a prompt is kept until its turn is over: the next server may have to be told it again. */
export function rememberAnswer(ask: Ask, session: Session): void {
  const params = ask.params();
  const { requestId } = params;
  const answer = typeof requestId === 'string' ? session.journal?.answering(requestId, ask.spec.name, params) : undefined;
  if (!answer) return;
  ask.hook = (frame, peeked) => {
    const reply = parseAnswer(frame, peeked);
    answer.taken = !isRefusal(reply) && reply.ok && (reply.result as { success?: unknown } | null)?.success !== false;
  };
}

/** What the name of a method says about its calls. */
export interface Traits {
  /** Made twice it does what it does once. */
  readonly harmless: boolean;
  readonly send: boolean;
  /** It answers a prompt. */
  readonly answer: boolean;
  /** Its parameters are to be noted when it succeeds. */
  readonly amendment: boolean;
  readonly abort: boolean;
  readonly history: boolean;
}

/** Of the calls of the catalogue that came so far. */
const known = new Map<MethodSpec, Traits>();

export function traitsOf(spec: MethodSpec): Traits {
  return known.get(spec) ?? learn(spec);
}

function learn(spec: MethodSpec): Traits {
  const { name } = spec;
  const traits = {
    harmless: isHarmless(spec), send: SENDS.has(name), answer: isAnswer(spec), amendment: isAmendment(name),
    abort: name === 'session.abort', history: readsHistory(name),
  };
  known.set(spec, traits);
  return traits;
}

/** True for a call that may be made once more. @param order as the call is ordered, with its parameters */
export function isRepeatable(spec: MethodSpec, order: string): boolean {
  const { send, harmless } = traitsOf(spec);
  return send ? order === 'write' : harmless;
}

function isHarmless({ name, order: usual }: MethodSpec): boolean {
  const last = name.slice(name.lastIndexOf('.') + 1);
  return (usual === 'none' && READS.test(last)) || last.startsWith(ANSWERS) || SETTINGS.has(name) || isAmendment(name);
}

/**
 * Follows a message until the server has it in its history.
 * @returns what makes the call again after a loss; undefined for any other call
 */
export function follow(ask: Ask, session: Session, again: () => void): (() => void) | undefined {
  const { journal } = session;
  if (!journal || !traitsOf(ask.spec).send) return undefined;
  const send: Send = journal.sends.sent(ask.spec.name, ask.params());
  ask.hook = (frame, peeked) => {
    const answer = parseAnswer(frame, peeked);
    if (isRefusal(answer) || !answer.ok) journal.sends.refused(send);
    else journal.sends.accepted(send, messageIdIn(answer.result));
  };
  return () => {
    // The server had begun it before it died: that is its answer.
    if (send.messageId !== undefined) return ask.result(resultOf(send));
    journal.sends.sentAgain(send);
    again();
  };
}

function messageIdIn(result: unknown): unknown {
  const { messageId, messageIds } = (result ?? {}) as { messageId?: unknown; messageIds?: unknown };
  return messageId ?? (Array.isArray(messageIds) ? messageIds.at(-1) : undefined);
}

function resultOf({ method, messageId }: Send): object {
  return method === 'session.send' ? { messageId } : { messageIds: [messageId] };
}
