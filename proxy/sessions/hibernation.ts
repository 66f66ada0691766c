/**
 * Puts an idle session to sleep: all its attachments are detached, so that the CLI server unloads it,
 * while the clients keep theirs and hear nothing of it. The next call brings it back.
 *
 *   attached ──doze, session.detach──▶ lost ──next call: reattach──▶ attached
 *
 * Never while a turn runs, a call or a prompt waits, something is queued or scheduled, or the server
 * says that the session is at work (background agents, shells): all that lives in memory only.
 */
import { isRefusal } from '../protocol/errors.js';
import type { Answer, SessionLink } from './attachment.js';
import { eventsOf } from './hidden-events.js';
import type { Session } from './session.js';

/** Milliseconds a server has for each question and for each detach. */
const DEADLINE = 10_000;

/** True when nothing would be lost by unloading it, as far as Skyport itself can see. */
export function isQuiet(session: Session): boolean {
  if (session.creating || session.deleted || session.dozing || session.turn.open) return false;
  if (session.order.length > 0 || session.calls > 0 || session.prompts.size > 0 || session.residues.size > 0) return false;
  const awake = session.attachments.filter((a) => a.state !== 'lost');
  return awake.length > 0 && awake.every((a) => a.state === 'attached' && a.recipe && a.client && !a.reattaching && !a.needsClient);
}

/**
 * @returns false when the session is not idle after all, or its server would not let it go
 */
export async function hibernate(session: Session): Promise<boolean> {
  const link = session.primary?.link;
  if (!link || !isQuiet(session)) return false;
  if (!(await isIdleThere(session, link)) || !isQuiet(session)) return false;
  const asleep = detachAll(session);
  session.dozing = asleep.then(() => undefined);
  const done = await asleep;
  session.dozing = undefined;
  return done;
}

async function detachAll(session: Session): Promise<boolean> {
  // Writes that come now wait behind this one; reads wait for `session.dozing`.
  const ticket = session.order.enter('write', () => undefined);
  const attachments = session.attachments.filter((a) => a.state === 'attached');
  for (const attachment of attachments) attachment.doze();
  let done = true;
  for (const attachment of attachments) {
    const { link } = attachment;
    const answer = await link?.call('session.detach', { sessionId: session.id }, DEADLINE);
    if (succeeded(answer)) {
      if (link && attachment === attachments.at(-1)) await noteUnload(session, link);
      attachment.asleep();
    } else {
      attachment.wake();
      done = false;
    }
  }
  session.order.leave(ticket);
  return done;
}

/**
 * Finds the event that the unload has left in the history. A server does not always send it to the
 * connection that detaches, and writes none for a session that was not used since it was loaded
 * (measured, runtime 1.0.85): then the last one is a client's own and stays.
 */
async function noteUnload(session: Session, link: SessionLink): Promise<void> {
  if (!session.stirred) return;
  const answer = await link.call('sessions.readPersistedEvents', { sessionId: session.id, max: 1, direction: 'backward' }, DEADLINE);
  if (!isRefusal(answer) && answer.ok) session.hidden.note(eventsOf(answer.result) ?? []);
  session.stirred = false;
}

async function isIdleThere(session: Session, link: SessionLink): Promise<boolean> {
  const ask = async (method: string): Promise<Record<string, unknown> | undefined> => {
    const answer = await link.call(method, { sessionId: session.id }, DEADLINE);
    return isRefusal(answer) || !answer.ok ? undefined : ((answer.result ?? {}) as Record<string, unknown>);
  };
  const [activity, queue, schedule] = await Promise.all([
    ask('session.metadata.activity'), ask('session.queue.pendingItems'), ask('session.schedule.list'),
  ]);
  if (!activity || !queue || !schedule) return false;
  return activity['hasActiveWork'] === false && empty(queue) && empty(schedule);
}

/** No list in it has an entry. */
function empty(result: Record<string, unknown>): boolean {
  return Object.values(result).every((value) => !Array.isArray(value) || value.length === 0);
}

function succeeded(answer: Answer | object | undefined): boolean {
  if (!answer || isRefusal(answer)) return false;
  const { ok, result } = answer as { ok: boolean; result?: { success?: boolean } };
  return ok && result?.success !== false;
}
