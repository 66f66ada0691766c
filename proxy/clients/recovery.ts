/**
 * Takes up the turn of a session whose server is gone, on another one:
 *
 *   bind it elsewhere ─▶ complete its history from what everybody has seen ─▶ load it ─▶ complete the turn
 *   (the dead server     (sessions/journal.ts, state/repair.ts)              (recipes)   (state/tail.ts)
 *    can write no more)
 *        ▲                                                                                  │
 *        └───────────────── that server is lost, too: as often as the budget allows ────────┘
 *
 * Its clients hear nothing of that; calls that they make meanwhile wait. When it cannot be done they
 * get the error and the end of the turn.
 */
import { randomUUID } from 'node:crypto';
import { setImmediate as afterwards } from 'node:timers/promises';
import { isRefusal, refuse, type Refusal } from '../protocol/errors.js';
import { channels } from '../channels.js';
import type { SessionLink } from '../sessions/attachment.js';
import type { Answered } from '../sessions/journal.js';
import type { Send } from '../sessions/sends.js';
import type { Session } from '../sessions/session.js';
import { messagesIn, readHistory, unheardIn, type HistoryEvent } from '../state/history.js';
import * as repair from '../state/repair.js';
import { openCalls, roundOf, tailOf, type Tail, type TurnKind } from '../state/tail.js';
import { FileFault, type SessionFiles } from '../store/session-files.js';
import { frameOf } from '../wire/frame.js';
import { changeOf, home, isUnavailable, rebind, restore } from './loading.js';
import { endTurn, eventText, rejoin, sendAgain } from './rejoin.js';
import type { Services } from './services.js';

const HISTORY = '/events.jsonl';

/** Milliseconds a server has for each step. */
const DEADLINE = 30_000;

/** Milliseconds after which no further backend is tried. */
const PATIENCE = 30_000;

/** `lost`: the server that was to take the turn up is gone, too; `absent`: it was gone before it heard of it. */
type Outcome = TurnKind | 'failed' | 'lost' | 'absent';

/** What is left to do once a session is loaded again. */
interface Work {
  readonly kind: TurnKind;
  /** Messages that a dead server had accepted and not begun. */
  readonly lost: readonly Send[];
  /** Answers to prompts that have to be given again. */
  readonly answers: readonly Answered[];
  /** A message whose answer is still owed has begun, and so counts as sent. */
  readonly claimed: boolean;
}

export class Recovery {
  /** Messages whose sending was under way when yet another server was lost. */
  private readonly unsure = new WeakMap<Session, Send>();

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
    if (this.services.draining || !session.budget.take()) {
      if (session.journal) session.journal.cut = true;
      return false;
    }
    const started = performance.now();
    session.recovering = this.recover(session)
      .catch((error: unknown) => {
        channels.bug.publish({ where: 'clients/recovery', error });
        return 'failed' as const;
      })
      .then((outcome) => {
        session.recovering = undefined;
        session.heard = undefined;
        this.unsure.delete(session);
        if (outcome === 'failed') giveUp(session);
        channels.turnRecovered.publish({ ...changeOf(session), outcome, durationMs: performance.now() - started });
        return outcome !== 'failed';
      });
    return true;
  }

  private async recover(session: Session): Promise<TurnKind | 'failed'> {
    const deadline = Date.now() + PATIENCE;
    const tried = new Set<string>();
    for (;;) {
      // Everybody who was attached hears of the loss first, and the pool of the server's end.
      await afterwards();
      const outcome = await this.attempt(session, tried);
      if (outcome !== 'lost' && outcome !== 'absent') return outcome;
      const hopeless = outcome === 'lost' ? !session.budget.take() : Date.now() >= deadline;
      if (hopeless || this.services.draining) return 'failed';
    }
  }

  /** @param tried backends that have just failed */
  private async attempt(session: Session, tried: Set<string>): Promise<Outcome> {
    // Its clients have all left meanwhile.
    if (session.deleted || session.attachments.length === 0) return 'none';
    // Somebody's link broke, not the server: the turn goes on for the others.
    if (session.primary) return (await restore(this.services, session)) && !linkOf(session) ? 'absent' : 'none';
    if (!session.foreign) tried.add(session.backend);
    if (await session.alone(() => this.bind(session, tried))) return 'failed';
    // Another Skyport has taken it up.
    if (session.foreign) return rejoin(this.services, session);
    const work = await this.repair(session);
    if (work === undefined) return 'failed';
    const refusal = await restore(this.services, session);
    if (refusal) return isUnavailable(refusal) ? 'absent' : 'lost';
    const link = linkOf(session);
    if (!link) return session.attachments.length === 0 ? 'none' : 'lost';
    const outcome = await this.complete(session, link, work);
    // What was lost behind a step's back is told to nobody else.
    return outcome !== 'failed' && (!link.open || linkOf(session) !== link) ? 'lost' : outcome;
  }

  /** To another backend, or to the next life of its own: either way with a higher epoch. */
  private async bind(session: Session, tried: ReadonlySet<string>): Promise<Refusal | undefined> {
    const { epoch } = session;
    const backend = await home(this.services, session, tried);
    if (isRefusal(backend)) return backend;
    // What it has of the session it may store, as long as the old lease is in force.
    if (session.epoch === epoch && !session.foreign) await backend.hasUnloaded(session.id);
    return session.epoch === epoch && !session.foreign ? rebind(this.services, session, backend) : undefined;
  }

  private async complete(session: Session, link: SessionLink, work: Work): Promise<Outcome> {
    const { kind, lost, answers, claimed } = work;
    if (kind === 'model' || kind === 'tool' || kind === 'prompt') {
      const asked = await askAgain(session, link);
      if (asked !== 'ok') return asked;
    }
    for (const { method, params } of answers) {
      if (isRefusal(await link.call(method, params, DEADLINE))) return 'lost';
    }
    for (const send of lost) {
      this.unsure.set(session, send);
      const sent = await sendAgain(session, link, send);
      if (sent !== 'ok') return sent;
      this.unsure.delete(session);
    }
    const over = (kind === 'none' || kind === 'complete') && lost.length === 0;
    if (over && (!session.turn.sending || claimed)) endTurn(session);
    return kind;
  }

  /**
   * Makes the history what it would be had the server died a moment later: with all that it has told,
   * and without a tool that is neither running nor done. Its clients are told of what that adds.
   * @returns undefined when the store does not take it
   */
  private async repair(session: Session): Promise<Work | undefined> {
    const journal = session.journal!;
    const text = await this.read(session);
    // With a server that is killed, what its connections had yet to deliver may be lost, and stored all the same.
    tellAll(session, unheardIn(readHistory(text).events, journal.recent).map((event) => JSON.stringify(event)));
    let history = repair.completed(text, (known, prompted) => journal.missing(known, prompted));
    const { lost, claimed } = journal.sends.settle(messagesIn(history.events));
    const unsure = this.unsure.get(session);
    if (unsure && unsure.messageId === undefined) lost.push(unsure);
    lost.sort((a, b) => a.order - b.order);
    const tail = tailOf(history.events, journal);
    const aborted = journal.aborting && tail.kind !== 'complete' && tail.kind !== 'none';
    if (!aborted) history = repair.withoutAnswers(history, tail.again);
    const added = repair.linesAfter(history, aborted ? abortion(history) : additions(tail));
    const handed = aborted ? [] : this.handOver(session, tail, repair.extended(history, added));
    if (!(await this.store(session, text, repair.extended(history, [...added, ...handed])))) return undefined;
    tellAll(session, added);
    // A permission of a sub-agent is not the history's to end, but its client waits for somebody to answer it.
    if (!aborted) tellAll(session, repair.linesAfter(history, tail.voided.map(repair.withdrawal)));
    for (const line of handed) hide(session, JSON.parse(line) as HistoryEvent);
    session.prompts.keep(aborted ? [] : [...tail.waiting, ...tail.again]);
    const kind = aborted ? 'complete' : handed.length > 0 ? 'prompt' : tail.kind;
    session.heard = { ...heardOf(kind, tail), requests: session.question?.requestId === undefined ? [] : [session.question.requestId] };
    if (tail.begun) journal.ghosts.expect('assistant.turn_start');
    for (const call of session.heard.calls) journal.ghosts.expect('tool.execution_start', call);
    const answers = aborted ? [] : tail.again.flatMap((requestId) => journal.answer(requestId) ?? []);
    return { kind, lost, answers, claimed };
  }

  /** The question to the user that a client has open goes on being open: the lines that say so to the next server. */
  private handOver({ id, question }: Session, { questions: [call] }: Tail, history: repair.Repaired): string[] {
    if (!question || !call) return [];
    question.requestId = randomUUID();
    return repair.linesAfter(history, [repair.handedOver(call, id, question.requestId)]);
  }

  /**
   * Completes the history of a session that lost its server while nothing ran on it, or whose turn was
   * given up, before it is loaded again.
   */
  async tidy(session: Session): Promise<Refusal | undefined> {
    const { journal } = session;
    if (!journal?.dirty && !journal?.cut) return undefined;
    try {
      const text = await this.read(session);
      const history = repair.completed(text, (known, prompted) => journal.missing(known, prompted));
      const open = journal.cut ? openCalls(history.events) : [];
      const added = repair.linesAfter(history, open.map(repair.interruption));
      journal.sends.clear();
      if (!(await this.store(session, text, repair.extended(history, added)))) return refuse('SKYPORT_STORE_UNAVAILABLE');
    } catch (error) {
      if (!(error instanceof FileFault)) throw error;
      return refuse('SKYPORT_STORE_UNAVAILABLE');
    }
    journal.cut = false;
    return undefined;
  }

  /** Throws away what a server has written of a session that it did not come to create. A new binding has to follow. */
  clear({ id }: Session): Promise<void> {
    return this.files.wipe(id);
  }

  private async read({ id }: Session): Promise<string> {
    try {
      return await this.files.readFile(id, HISTORY);
    } catch (error) {
      if (error instanceof FileFault && error.code === 'ENOENT') return '';
      throw error;
    }
  }

  /** @returns false when the store does not take it */
  private async store(session: Session, before: string, { text, events }: repair.Repaired): Promise<boolean> {
    const lease = { sessionId: session.id, epoch: session.epoch };
    try {
      const longer = text.startsWith(before) && (before === '' || before.endsWith('\n'));
      if (!longer) await this.files.writeFile(lease, HISTORY, text);
      else if (text.length > before.length) await this.files.appendFile(lease, HISTORY, text.slice(before.length));
    } catch (error) {
      if (!(error instanceof FileFault)) throw error;
      // Over its quota: what there is no room for is lost, as its client was told when the server tried.
      if (error.code !== 'EDQUOT' || session.recovering) return false;
    }
    session.journal!.saved();
    // Without a history no server can load it: it is created again.
    if (events.length === 0) session.turns = 0;
    else session.stored();
    return true;
  }
}

function linkOf(session: Session): SessionLink | undefined {
  return session.primary?.link;
}

/** What a server would have added in its last moments. */
function additions({ interrupted, unended }: Tail): repair.Addition[] {
  const calls = interrupted.map(repair.interruption);
  return unended === undefined ? calls : [...calls, repair.turnEnd(unended)];
}

function abortion(history: repair.Repaired): repair.Addition[] {
  return [...openCalls(history.events).map(repair.interruption), ...repair.abortion(roundOf(history.events))];
}

function heardOf(kind: TurnKind, { begun, waiting, again, started }: Tail): { types: string[]; calls: readonly string[] } {
  const types = kind === 'none' || kind === 'complete' ? [] : ['system.message', 'pending_messages.modified'];
  if (begun) types.push('assistant.turn_start');
  return { types, calls: waiting.length + again.length > 0 ? started : [] };
}

/** Nobody hears of it, and nobody reads it. */
function hide(session: Session, { id }: HistoryEvent): void {
  session.hidden.add(id);
  session.journal?.told(id);
}

function tellAll(session: Session, lines: readonly string[]): void {
  for (const line of lines) {
    const { id, type } = JSON.parse(line) as HistoryEvent;
    const text = eventText(session.id, line);
    for (const attachment of session.attachments) attachment.tell(text);
    session.prompts.see(type, frameOf(text));
    session.stall?.see(type, frameOf(text));
    session.journal?.told(id);
  }
}

/** Has the model asked once more, without a second message of the user; waits for what the turn waits for. */
async function askAgain(session: Session, link: SessionLink): Promise<'ok' | 'failed' | 'lost'> {
  const params = { sessionId: session.id };
  const answer = await link.call('session.queue.enqueueResumePending', params, DEADLINE);
  if (isRefusal(answer)) return 'lost';
  if (answer.ok) return 'ok';
  // The first is marked as internal in the schema; this is the public way to run a turn over the history as it is.
  const other = await link.call('session.sendMessages', { ...params, messages: [] }, DEADLINE);
  if (isRefusal(other)) return 'lost';
  return other.ok ? 'ok' : 'failed';
}

function giveUp(session: Session): void {
  const { journal } = session;
  if (journal) journal.cut = true;
  session.prompts.clear();
  // Before the end of the turn: who is away is told with what else it has missed.
  if (session.turn.open) for (const attachment of session.attachments) attachment.tellTurnLost();
  session.turn.end('backend_lost');
  for (const attachment of [...session.attachments]) if (!attachment.client && attachment.state === 'lost') attachment.gone();
}
