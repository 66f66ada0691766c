/**
 * Ends turns in which nothing happens (`sessions.stall_timeout`). One step after the other, each only when the
 * one before has not helped:
 *
 *   still ─▶ session.abort ──it ends──▶ over, as by a client's abort
 *               │ the server says that nothing runs ─▶ its clients are told the end that they have missed
 *               ▼
 *            off its server: asked to let go, and cut off from the session's files if it does not
 *               ├─ sessions may move ─▶ its history is completed and the turn ended by another server (recovery.ts)
 *               ▼ they may not, or that fails
 *            its clients get the error and the end; the next message loads the session again
 *
 * An abort of a client's own, a deletion or the loss of the server in between ends the matter here: they have their
 * own way. Only the Skyport that holds a session acts.
 */
import { isRefusal } from '../protocol/errors.js';
import { channels, type StallStep } from '../channels.js';
import type { Attachment, SessionLink } from '../sessions/attachment.js';
import { noteUnload, succeeded } from '../sessions/hibernation.js';
import { stalledTurnEvents } from '../sessions/lost-turn.js';
import type { Session } from '../sessions/session.js';
import type { Stall } from '../sessions/stall.js';
import { endTurn } from './rejoin.js';
import type { Services } from './services.js';

/** Milliseconds that a server has at most to end a turn, and for each further question. */
const GRACE = 10_000;
const DEADLINE = 5_000;

/** Milliseconds between two ticks beyond which this process did not run: it cannot tell whether servers did. */
const AWAY = 2_000;

/** A turn about which something is being done. */
interface Case {
  readonly stall: Stall;
  readonly stillMs: number;
  /** On the watchdog's clock. */
  readonly until: number;
  /** The server has taken the abort. */
  taken: boolean;
  /** A step is under way. */
  busy: boolean;
}

export class Watchdog {
  private readonly cases = new Map<Session, Case>();
  /** Milliseconds that this process has run with its store at hand. */
  private clock = 0;
  private tickedAt: number | undefined;

  /** @param timeout milliseconds, read anew at each tick */
  constructor(
    private readonly services: Services,
    private readonly timeout: () => number,
  ) {}

  /** Janitor, about twice a second. Returns at once. @param now of the monotonic clock, milliseconds */
  tick(now: number): void {
    const passed = now - (this.tickedAt ?? now);
    this.tickedAt = now;
    // Without the store no server can end a turn.
    if (!this.services.storeAway()) this.clock += Math.min(passed, AWAY);
    for (const [session, one] of this.cases) this.follow(session, one);
    const timeout = this.timeout();
    for (const session of this.services.directory.live()) {
      const { stall } = session;
      if (!stall || session.foreign) continue;
      const stillMs = stall.look(this.clock, this.cases.has(session) || isWaiting(session));
      if (stillMs >= timeout) this.abort(session, stall, stillMs, Math.min(timeout, GRACE));
    }
  }

  private abort(session: Session, stall: Stall, stillMs: number, grace: number): void {
    const one: Case = { stall, stillMs, until: this.clock + grace, taken: false, busy: false };
    this.cases.set(session, one);
    publish(session, one, 'abort');
    // Whoever takes the turn up from now on ends it, as after a client's abort.
    session.journal?.abort();
    void session.primary?.link?.call('session.abort', { sessionId: session.id }, grace).then((answer) => {
      one.taken = succeeded(answer);
    });
  }

  private follow(session: Session, one: Case): void {
    if (one.busy) return;
    const { stall, until } = one;
    if (session.stall !== stall || session.deleted || session.foreign || session.recovering || stall.aborted) this.close(session, one);
    else if (this.clock >= until) {
      one.busy = true;
      this.goOn(session, one)
        .catch((error: unknown) => channels.bug.publish({ where: 'clients/watchdog', error }))
        .finally(() => this.close(session, one));
    }
  }

  private close(session: Session, { stall }: Case): void {
    this.cases.delete(session);
    stall.again();
  }

  private async goOn(session: Session, one: Case): Promise<void> {
    const { stall } = one;
    if (one.taken && (await isIdleThere(session)) && session.stall === stall) {
      publish(session, one, 'end');
      endTurn(session);
      return;
    }
    // The abort that a client has asked for meanwhile has its time, too.
    if (session.stall !== stall || stall.aborted || session.recovering) return;
    const moves = this.services.moves && this.services.recovery !== undefined && !this.services.draining;
    publish(session, one, moves ? 'move' : 'give_up');
    const left = this.takeOff(session, stall, moves);
    session.dozing = left.then(() => undefined, () => undefined);
    const { ended } = await left.finally(() => (session.dozing = undefined));
    if (moves && !(await ended)) publish(session, one, 'give_up');
    // A message that its server had not even taken is on its way to another one.
    if (session.stall === stall && session.journal) session.journal.aborting = false;
  }

  /**
   * Calls wait meanwhile. Afterwards the session is as after the loss of its server, or its turn has ended after all.
   * @returns `ended`: whether the turn ends well, which is known later
   */
  private async takeOff(session: Session, stall: Stall, moves: boolean): Promise<{ readonly ended: boolean | Promise<boolean> }> {
    const places = session.attachments.flatMap((attachment) => (attachment.live && attachment.link ? [{ attachment, link: attachment.link }] : []));
    const released = await detach(session, places);
    if (session.deleted) return { ended: true };
    if (session.stall !== stall) {
      for (const { attachment } of released) rest(attachment);
      return { ended: true };
    }
    this.noteWhatIsLeft(session, places, released.length === places.length);
    // One that waits for the answer to its message is not told that it has failed: it may be sent again.
    const [error, idle] = session.turn.sending && moves ? [] : stalledTurnEvents(session.id);
    if (error !== undefined) for (const attachment of session.attachments) attachment.tell(error);
    if (idle !== undefined && !moves) {
      for (const attachment of session.attachments) attachment.tell(idle);
      session.turn.end('error');
    }
    for (const client of [...this.services.roster.all()]) client.displaced(session, false);
    session.slept = false;
    for (const { attachment, link } of places) if (attachment.link === link) attachment.onLinkLost();
    return { ended: session.recovering ?? false };
  }

  private noteWhatIsLeft(session: Session, places: readonly Place[], isUnloaded: boolean): void {
    session.abandoned = !isUnloaded;
    if (!isUnloaded) for (const { link } of places) this.services.pool.serving(link)?.leaveWith(session.id, false);
    else for (const residue of session.residues) residue.clearResidue(session);
    if (isUnloaded) session.residues.clear();
  }
}

interface Place {
  readonly attachment: Attachment;
  readonly link: SessionLink;
}

/** @returns those places of which the server has let go */
async function detach(session: Session, places: readonly Place[]): Promise<Place[]> {
  session.journal?.ghosts.expect('session.shutdown');
  session.leaving = true;
  const answers = await Promise.all(places.map(({ link }) => link.call('session.detach', { sessionId: session.id }, DEADLINE)));
  const released = places.filter((_, at) => succeeded(answers[at]));
  if (released.length > 0 && !session.journal) await noteUnload(session, released[0]!.link);
  session.leaving = false;
  session.journal?.ghosts.forget('session.shutdown');
  return released;
}

/** Its turn is over, and its server does not have it any more: the next call loads it. */
function rest(attachment: Attachment): void {
  attachment.doze();
  attachment.asleep();
}

async function isIdleThere(session: Session): Promise<boolean> {
  const answer = await session.primary?.link?.call('session.metadata.activity', { sessionId: session.id }, DEADLINE);
  if (!answer || isRefusal(answer) || !answer.ok) return false;
  return (answer.result as { hasActiveWork?: unknown } | null)?.hasActiveWork === false;
}

/** Somebody is asked, or the session is on its way from one server to another. */
function isWaiting(session: Session): boolean {
  if (session.creating || session.dozing || session.recovering || !session.primary) return true;
  return session.attachments.some((a) => a.needsClient || a.reattaching);
}

function publish({ id: sessionId, owner, backend }: Session, { stillMs }: Case, step: StallStep): void {
  channels.turnStalled.publish({ sessionId, owner, backend, step, stillMs });
}
