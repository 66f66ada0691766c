/**
 * Goes on with a session that another Skyport has taken over while it was in use here: this one was away
 * for longer than its lease, or a third one that had it is gone, or the link to the one that has it broke.
 * The turn is completed there, as far as that is still to be done; here its clients are attached anew, hear
 * what they have missed, and what they sent and no history has is sent again.
 */
import { isRefusal } from '../protocol/errors.js';
import type { SessionLink } from '../sessions/attachment.js';
import { eventsOf, type StoredEvent } from '../sessions/hidden-events.js';
import { idleEvent } from '../sessions/lost-turn.js';
import type { Send } from '../sessions/sends.js';
import type { Session } from '../sessions/session.js';
import { messagesIn, type HistoryEvent } from '../state/history.js';
import { restore } from './loading.js';
import type { Services } from './services.js';

/** Milliseconds the other Skyport has for each step. */
const DEADLINE = 30_000;

export async function rejoin(services: Services, session: Session): Promise<'none' | 'complete' | 'failed'> {
  const seen = [...session.journal!.recent];
  // What is told from now on comes after what was missed.
  for (const attachment of session.attachments) attachment.holdEvents();
  const refusal = await restore(services, session);
  const link = session.primary?.link;
  const params = { sessionId: session.id };
  const answers = refusal || !link ? undefined : await Promise.all([
    link.call('session.getMessages', params, DEADLINE), link.call('session.metadata.activity', params, DEADLINE),
  ]);
  const [history, activity] = (answers ?? []).map((answer) => (isRefusal(answer) || !answer.ok ? undefined : answer.result));
  const events = eventsOf(history) ?? [];
  const heard = new Set(session.journal!.recent.filter((id) => !seen.includes(id)));
  const texts = missedIn(events, seen, heard).filter(({ id }) => !session.hidden.has(id)).map((event) => eventText(session.id, JSON.stringify(event)));
  for (const attachment of session.attachments) attachment.catchUp(texts);
  if (refusal) return 'failed';
  // Its clients have all left meanwhile.
  if (!link || !history) return link ? 'failed' : 'complete';
  const { lost } = session.journal!.sends.settle(messagesIn(events as readonly HistoryEvent[]));
  // What was seen here is stored by whoever has the session, or never was.
  session.journal!.saved();
  for (const send of lost) if ((await sendAgain(session, link, send)) !== 'ok') return 'failed';
  const active = (activity as { hasActiveWork?: unknown } | undefined)?.hasActiveWork !== false;
  if (lost.length > 0 || active || session.turn.sending) return 'none';
  if (session.turn.open) endTurn(session);
  return 'complete';
}

/**
 * The events that nobody here has heard of: those after the last one that was seen, up to the first that
 * has come since. Nothing, where the history has none of those that were seen.
 */
function missedIn(events: readonly StoredEvent[], seen: readonly string[], heard: ReadonlySet<unknown>): StoredEvent[] {
  const known = new Set<unknown>(seen);
  const last = events.findLastIndex(({ id }) => known.has(id));
  if (last < 0) return [];
  const next = events.findIndex(({ id }, at) => at > last && heard.has(id));
  return events.slice(last + 1, next < 0 ? undefined : next);
}

/** A message that a dead server had accepted and not begun. */
export async function sendAgain(session: Session, link: SessionLink, send: Send): Promise<'ok' | 'failed' | 'lost'> {
  const { sends } = session.journal!;
  const { method, params } = send;
  sends.sentAgain(send);
  const answer = await link.call(method, params, DEADLINE);
  if (isRefusal(answer)) return 'lost';
  if (!answer.ok) {
    sends.refused(send);
    return 'failed';
  }
  const { messageId, messageIds } = (answer.result ?? {}) as { messageId?: unknown; messageIds?: unknown };
  sends.accepted(send, messageId ?? (Array.isArray(messageIds) ? messageIds.at(-1) : undefined));
  session.stored();
  return 'ok';
}

/** It was over, and only its end had not been told. */
export function endTurn(session: Session): void {
  const aborted = session.journal?.aborting === true;
  // Whoever has had the end from the server itself has no turn that could end.
  for (const attachment of session.attachments) if (!attachment.sawIdle) attachment.tell(idleEvent(session.id, aborted));
  session.journal?.idle();
  session.turn.end(aborted ? 'aborted' : 'idle');
}

/** @param event JSON text */
export function eventText(sessionId: string, event: string): string {
  return `{"jsonrpc":"2.0","method":"session.event","params":{"sessionId":${JSON.stringify(sessionId)},"event":${event}}}`;
}
