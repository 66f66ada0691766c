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
  return !session.dozing && session.order.length === 0 && session.residues.size === 0 && isStill(session);
}

/** As `isQuiet`, and also when Skyport has closed it to calls, or somebody who has detached has left something on the server. */
function isStill(session: Session): boolean {
  return !session.deleted && session.resident && workOf(session) === undefined;
}

/** What keeps a loaded session from being unloaded, as far as Skyport itself can see; undefined when nothing does. */
export function workOf(session: Session): string | undefined {
  if (session.creating) return 'it is being created';
  if (session.turn.open) return 'a turn runs';
  if (session.prompts.size > 0 || session.attachments.some((a) => a.needsClient)) return 'a prompt waits for its answer';
  if (session.calls > 0) return 'a call is not answered yet';
  const awake = session.attachments.filter((a) => a.state !== 'lost');
  const settled = awake.every((a) => a.state === 'attached' && a.recipe && a.client && !a.reattaching);
  return settled ? undefined : 'a client is attaching or leaving';
}

/**
 * Only when nobody needs it meanwhile.
 * @returns false when the session is not idle after all, or its server would not let it go
 */
export async function hibernate(session: Session): Promise<boolean> {
  const link = session.primary?.link;
  if (!link || !isQuiet(session)) return false;
  if (!(await isIdleThere(session, link)) || !isQuiet(session)) return false;
  return closed(session, () => detachAll(session));
}

/**
 * For a session that has to leave its server: its calls wait from now on, so that one that is never
 * left alone for long goes as well. What somebody who has detached had left on the server goes with it.
 * @param next done when it is unloaded, before the calls that wait bring it back
 * @returns false when it is at work, here or there
 */
export async function vacate(session: Session, next: () => Promise<unknown> = () => Promise.resolve()): Promise<boolean> {
  const link = session.primary?.link;
  if (!link || session.dozing || session.order.length > 0 || !isStill(session)) return false;
  return closed(session, async () => {
    const others = session.attachments.filter((a) => a.live && a.link !== link).map((a) => a.link);
    // Each link's answer comes after all that the server has said on it: nobody misses the end of a turn.
    const [idle] = await Promise.all([isIdleThere(session, link), ...others.map((other) => other && isBusyThere(session, other))]);
    if (!idle || !isStill(session) || !(await detachAll(session))) return false;
    for (const residue of session.residues) residue.clearResidue(session);
    session.residues.clear();
    await next();
    return true;
  });
}

/** Calls that come while the task runs wait: writes in the session's order, reads for `session.dozing`. */
async function closed(session: Session, task: () => Promise<boolean>): Promise<boolean> {
  const ticket = session.order.enter('write', () => undefined);
  const done = task();
  session.dozing = done.then(() => undefined, () => undefined);
  try {
    return await done;
  } finally {
    session.dozing = undefined;
    session.order.leave(ticket);
  }
}

async function detachAll(session: Session): Promise<boolean> {
  const attachments = session.attachments.filter((a) => a.state === 'attached');
  for (const attachment of attachments) attachment.doze();
  session.journal?.ghosts.expect('session.shutdown');
  let done = true;
  for (const attachment of attachments) {
    const { link } = attachment;
    const answer = await link?.call('session.detach', { sessionId: session.id }, DEADLINE);
    if (succeeded(answer)) {
      if (link && !session.journal && attachment === attachments.at(-1)) await noteUnload(session, link);
      attachment.asleep();
    } else {
      attachment.wake();
      done = false;
    }
  }
  session.journal?.ghosts.forget('session.shutdown');
  return done;
}

/**
 * Finds the event that the unload has left in the history. A server does not always send it to the
 * connection that detaches, and writes none for a session that was not used since it was loaded
 * (measured, runtime 1.0.85): then the last one is a client's own and stays.
 */
export async function noteUnload(session: Session, link: SessionLink): Promise<void> {
  if (!session.stirred) return;
  const answer = await link.call('sessions.readPersistedEvents', { sessionId: session.id, max: 1, direction: 'backward' }, DEADLINE);
  if (!isRefusal(answer) && answer.ok) session.hidden.note(eventsOf(answer.result) ?? []);
  session.stirred = false;
}

async function isIdleThere(session: Session, link: SessionLink): Promise<boolean> {
  const [busy, queue, schedule] = await Promise.all([
    isBusyThere(session, link), ask(session, link, 'session.queue.pendingItems'), ask(session, link, 'session.schedule.list'),
  ]);
  return !busy && queue !== undefined && empty(queue) && schedule !== undefined && empty(schedule);
}

async function isBusyThere(session: Session, link: SessionLink): Promise<boolean> {
  const activity = await ask(session, link, 'session.metadata.activity');
  return activity?.['hasActiveWork'] !== false;
}

async function ask(session: Session, link: SessionLink, method: string): Promise<Record<string, unknown> | undefined> {
  const answer = await link.call(method, { sessionId: session.id }, DEADLINE);
  return isRefusal(answer) || !answer.ok ? undefined : ((answer.result ?? {}) as Record<string, unknown>);
}

/** No list in it has an entry. */
function empty(result: Record<string, unknown>): boolean {
  return Object.values(result).every((value) => !Array.isArray(value) || value.length === 0);
}

/** How a server answered a detach. */
export function succeeded(answer: Answer | object | undefined): boolean {
  if (!answer || isRefusal(answer)) return false;
  const { ok, result } = answer as { ok: boolean; result?: { success?: boolean } };
  return ok && result?.success !== false;
}
