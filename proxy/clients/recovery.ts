/**
 * Takes up the turn of a session whose server is gone, on another one:
 *
 *   bind it elsewhere ─▶ complete its history from what everybody has seen ─▶ load it ─▶ complete the turn
 *   (the dead server     (sessions/journal.ts)                              (recipes)   (state/history.ts)
 *    can write no more)
 *
 * Its clients hear nothing of that; calls that they make meanwhile wait. When it cannot be done they
 * get the error and the end of the turn.
 */
import { setImmediate as afterwards } from 'node:timers/promises';
import { isRefusal, type Refusal } from '../protocol/errors.js';
import { channels } from '../channels.js';
import type { SessionLink } from '../sessions/attachment.js';
import type { Answered, Send } from '../sessions/journal.js';
import type { Session } from '../sessions/session.js';
import { messagesIn, tailOf, type TurnKind } from '../state/history.js';
import { completed, interruptions, withoutAnswers } from '../state/repair.js';
import { FileFault, type SessionFiles } from '../store/session-files.js';
import { changeOf, home, rebind, restore } from './loading.js';
import { endTurn, eventText, rejoin, sendAgain } from './rejoin.js';
import type { Services } from './services.js';

const HISTORY = '/events.jsonl';

/** Milliseconds a server has for each step. */
const DEADLINE = 30_000;

export class Recovery {
  constructor(
    private readonly services: Services,
    private readonly files: SessionFiles,
  ) {}

  /**
   * Called when a session has lost its server in the middle of a turn.
   * @returns false when the turn is not to be taken up: it has brought down too many servers
   */
  begin(session: Session): boolean {
    if (session.recovering) return true;
    if (this.services.draining || !session.budget.take()) return false;
    const started = performance.now();
    session.recovering = this.recover(session)
      .catch((error: unknown) => {
        channels.bug.publish({ where: 'clients/recovery', error });
        return 'failed' as const;
      })
      .then((outcome) => {
        session.recovering = undefined;
        session.revival = undefined;
        if (outcome === 'failed') giveUp(session);
        channels.turnRecovered.publish({ ...changeOf(session), outcome, durationMs: performance.now() - started });
      });
    return true;
  }

  private async recover(session: Session): Promise<TurnKind | 'failed'> {
    // Everybody who was attached hears of the loss first, and the pool of the server's end.
    await afterwards();
    // Somebody's link broke, not the server: the turn goes on for the others.
    if (session.primary) return (await restore(this.services, session)) ? 'failed' : 'none';
    if (await session.alone(() => this.bind(session))) return 'failed';
    // Another Skyport has taken it up.
    if (session.foreign) return rejoin(this.services, session);
    const { kind, lost, answers } = await this.repair(session);
    if (await restore(this.services, session)) return 'failed';
    const link = linkOf(session);
    // Its clients have all left meanwhile.
    if (!link) return 'complete';
    if (kind === 'model' || kind === 'tool') if (!(await askAgain(session, link))) return 'failed';
    for (const { method, params } of answers) await link.call(method, params, DEADLINE);
    for (const send of lost) if (!(await sendAgain(session, link, send))) return 'failed';
    const over = (kind === 'none' || kind === 'complete') && lost.length === 0;
    if (over && !session.turn.sending) endTurn(session);
    return kind;
  }

  /** Completes the history of a session that lost its server while nothing ran on it; before it is loaded again. */
  async tidy(session: Session): Promise<void> {
    if (session.journal?.dirty) await this.repair(session);
  }

  /** To another backend, or to the next life of its own: either way with a higher epoch. */
  private async bind(session: Session): Promise<Refusal | undefined> {
    const { epoch } = session;
    const backend = await home(this.services, session);
    if (isRefusal(backend)) return backend;
    return session.epoch === epoch && !session.foreign ? rebind(this.services, session, backend.name) : undefined;
  }

  /**
   * Makes the history what it would be had the server died a moment later: with all that it has told,
   * and without a tool that is neither running nor done. Decides how the session is loaded again.
   */
  private async repair(session: Session): Promise<{ kind: TurnKind; lost: Send[]; answers: Answered[] }> {
    const journal = session.journal!;
    const lease = { sessionId: session.id, epoch: session.epoch };
    const text = await this.files.readFile(session.id, HISTORY).catch((error: unknown) => {
      if (error instanceof FileFault && error.code === 'ENOENT') return '';
      throw error;
    });
    let history = completed(text, (known, prompted) => journal.missing(known, prompted));
    const lost = journal.settle(messagesIn(history.events));
    const tail = tailOf(history.events);
    const answers = tail.answered.flatMap((requestId) => journal.answers.get(requestId) ?? []);
    history = withoutAnswers(history, tail.answered);
    const ended = interruptions(history, tail.interrupted);
    history = completed(history.text + ended.map((line) => `${line}\n`).join(''), () => []);
    if (!history.text.startsWith(text) || (text !== '' && !text.endsWith('\n'))) await this.files.writeFile(lease, HISTORY, history.text);
    else if (history.text.length > text.length) await this.files.appendFile(lease, HISTORY, history.text.slice(text.length));
    journal.saved();
    if (history.events.length > 0) session.stored();
    for (const line of ended) for (const attachment of session.attachments) attachment.tell(eventText(session.id, line));
    const kind = journal.aborting ? 'complete' : tail.kind;
    if (session.recovering) session.revival = { continuePendingWork: kind === 'prompt', hush: tail.repeated };
    return { kind, lost, answers };
  }
}

function linkOf(session: Session): SessionLink | undefined {
  return session.primary?.link;
}

/** Has the model asked once more, without a second message of the user. */
async function askAgain(session: Session, link: SessionLink): Promise<boolean> {
  const params = { sessionId: session.id };
  const answer = await link.call('session.queue.enqueueResumePending', params, DEADLINE);
  if (!isRefusal(answer) && answer.ok) return true;
  // The first is marked as internal in the schema; this is the public way to run a turn over the history as it is.
  const other = await link.call('session.sendMessages', { ...params, messages: [] }, DEADLINE);
  return !isRefusal(other) && other.ok;
}

function giveUp(session: Session): void {
  // Before the end of the turn: who is away is told with what else it has missed.
  for (const attachment of session.attachments) attachment.tellTurnLost();
  session.turn.end('backend_lost');
  for (const attachment of [...session.attachments]) if (!attachment.client && attachment.state === 'lost') attachment.gone();
}
