/**
 * One session as Skyport knows it: the record that outlives a restart, and who is attached now.
 */
import type { Frame } from '../wire/frame.js';
import type { SessionRecord, Shares } from '../store/registry.js';
import type { Attachment, ServerRequest, SessionLink } from './attachment.js';
import { Amendments } from './amendments.js';
import type { Heard } from './hush.js';
import { HiddenEvents } from './hidden-events.js';
import { Journal } from './journal.js';
import { idleEvent } from './lost-turn.js';
import { WriteOrder } from './order.js';
import { Prompts } from './prompts.js';
import { RetryBudget } from './retry-budget.js';
import { Stall } from './stall.js';
import { Turn, type TurnOutcome } from './turn.js';
import type { TurnLock } from './turn-lock.js';

/**
 * busy: a turn is open; lingering: one is open for a client that vanished; lost: its server went away
 * under it; asleep: unloaded to make room. The next call brings back what is lost or asleep.
 */
export type SessionState = 'creating' | 'busy' | 'lingering' | 'idle' | 'lost' | 'asleep' | 'stored';

export interface SessionEvents {
  turnStarted(session: Session): void;
  turnEnded(session: Session, outcome: TurnOutcome, durationMs: number): void;
  /** Its attachments or state changed. */
  changed(session: Session): void;
  /** Its last attachment is gone. */
  unloaded(session: Session): void;
  /**
   * Its server is gone in the middle of a turn.
   * @returns false when nobody takes the turn up: it is over
   */
  interrupted?(session: Session): boolean;
}


/** Milliseconds a server has to take an answer. */
const DEADLINE = 30_000;

export class Session {
  readonly id: string;
  readonly owner: string;
  backend: string;
  /** Which of the backends of that name, once it is known: a server that is being replaced has its successor's name. */
  server: number | undefined;
  /** What the client that attached last was told of the protocol at `connect`. */
  protocolVersion: number | undefined;
  /** The Skyport that has it; '' where there is only one. */
  holder: string;
  /** Another Skyport has it. */
  foreign = false;
  epoch: number;
  readonly createdAt: number;
  usedAt: number;
  turns: number;
  /** With whom its owner shares it; shares.ts changes it, and the directory's `keep` writes that down. */
  shares: Shares | undefined;
  /** In order of arrival. */
  readonly attachments: Attachment[] = [];
  readonly order = new WriteOrder();
  readonly amendments = new Amendments();
  readonly turn: Turn;
  /** Whose turn it is, from a client's first send on; undefined where all may send at any time. */
  turnLock: TurnLock | undefined;
  readonly prompts = new Prompts();
  /** How still the turn has been; another one for each turn, and none between them. */
  stall: Stall | undefined;
  /** Kept only where a dead server's turns are taken up by another one. */
  journal: Journal | undefined;
  readonly budget = new RetryBudget();
  /** Set while a dead server's turn is being taken up. True when it runs again, false when it was given up. */
  recovering: Promise<boolean> | undefined;
  /** What its clients have had already of the turn that is being taken up. */
  heard: Heard | undefined;
  /** What the agent has asked the user by a request of its server; once that is gone, the id that the next server knows it by. */
  question: { readonly request: ServerRequest; requestId?: string } | undefined;
  /** The server has said in this turn that it cannot store it: the end of the turn will not be told. */
  private unstorable = false;
  /** The agent has said that it rests. */
  private rested = false;
  /** An end that was told in the server's place may still come from it, in the middle of the next turn. */
  private idleOwed = false;
  /** Events that exist only because Skyport unloaded the session; they are kept out of history reads. */
  readonly hidden = new HiddenEvents();
  /** Calls that were passed on and not answered yet. */
  calls = 0;
  /** When a client last called anything on it, milliseconds since the epoch; only in memory. */
  seenAt = Date.now();
  /** Something was done with it since it was loaded. */
  stirred = true;
  /** Its server is asked to let go of it in the middle of a turn: what it tells of that is for nobody. */
  leaving = false;
  /** Its server did not let go of it when its turn was given up, and may have it as it was then. */
  abandoned = false;
  /** It was put to sleep, and nothing has brought it back yet. */
  slept = false;
  /** Settles when the session has been put to sleep, or has not. */
  dozing: Promise<void> | undefined;
  /** Links on which the server keeps what a detached client registered, for as long as it is loaded. */
  readonly residues = new Set<SessionLink>();
  /** A call was made on it, or may have been: a server may keep what it wrote, also without a turn. */
  used = false;
  /** True until the first create is answered: the server may not know the session yet. */
  creating = false;
  /** Set when the session was deleted; a create of the same id starts another Session. */
  deleted = false;

  private last: Promise<unknown> = Promise.resolve();

  constructor(record: SessionRecord, private readonly events: SessionEvents) {
    this.id = record.id;
    this.owner = record.owner;
    this.backend = record.backend;
    this.holder = record.holder ?? '';
    this.epoch = record.epoch;
    this.createdAt = record.createdAt;
    this.usedAt = record.usedAt;
    this.turns = record.turns;
    this.shares = record.shares;
    this.turn = new Turn({
      opened: () => this.turnOpened(),
      closed: (outcome, ms) => this.turnClosed(outcome, ms),
    });
  }

  record(): SessionRecord {
    const { id, owner, backend, epoch, createdAt, usedAt, turns, shares } = this;
    const record = { id, owner, backend, epoch, createdAt, usedAt, turns, shares };
    return this.holder === '' ? record : { ...record, holder: this.holder };
  }

  /** A CLI server has it in memory, or will in a moment. */
  get loaded(): boolean {
    return this.creating || this.resident;
  }

  /** It has a place on a link. */
  get resident(): boolean {
    return this.attachments.some((a) => a.link !== undefined);
  }

  get state(): SessionState {
    if (this.creating) return 'creating';
    if (this.attachments.length === 0) return 'stored';
    if (!this.resident) return this.slept ? 'asleep' : 'lost';
    if (this.attachments.some((a) => a.state === 'held')) return 'lingering';
    return this.turn.open ? 'busy' : 'idle';
  }

  /** The attachment whose copy of the events tells the session's state; the others get copies, too. */
  get primary(): Attachment | undefined {
    for (const attachment of this.attachments) if (attachment.live) return attachment;
    return undefined;
  }

  add(attachment: Attachment): void {
    this.attachments.push(attachment);
    this.changed();
  }

  remove(attachment: Attachment): void {
    const at = this.attachments.indexOf(attachment);
    const next = this.primary;
    const wasPrimary = at >= 0 && (!next || at < this.attachments.indexOf(next));
    if (at >= 0) this.attachments.splice(at, 1);
    // Its copy of the idle event would have ended the turn; the next one has had it already.
    if (wasPrimary && this.turn.open && next?.sawIdle) this.turn.seenIdle(false);
    // Nobody is attached: the server has killed the turn and unloaded the session (PROTOCOL: Sessions).
    const awaited = this.recovering !== undefined && this.attachments.length > 0;
    if (!awaited && !this.attachments.some((a) => a.live || a.link)) this.unloaded();
    this.turnLock?.look();
    this.changed();
  }

  private unloaded(): void {
    this.turn.end('client_gone');
    this.prompts.clear();
    for (const link of this.residues) link.clearResidue(this);
    this.residues.clear();
    if (this.attachments.length > 0) return;
    this.journal?.clear();
    this.amendments.clear();
    this.events.unloaded(this);
  }

  changed(): void {
    this.events.changed(this);
  }

  /** Runs one task after the other: finding a backend for it, and taking a place there. */
  alone<T>(task: () => Promise<T>): Promise<T> {
    const done = this.last.then(task);
    this.last = done.catch(() => undefined);
    return done;
  }

  /** Its server is gone, and with it the last attachment that the turn ran for. @returns whether it is taken up elsewhere */
  interrupted(): boolean {
    return this.turn.open && this.journal !== undefined && this.events.interrupted?.(this) === true;
  }

  /** Nobody will answer the question to the user, which the next server has taken over. */
  refuseQuestion(request: ServerRequest): void {
    const { requestId } = this.question?.request === request ? this.question : {};
    if (requestId === undefined) return;
    this.question = undefined;
    void this.primary?.link?.call('session.tools.handlePendingToolCall', { sessionId: this.id, requestId, error: 'User is unable to respond' }, DEADLINE);
  }

  /** Another Skyport says what has become of it. */
  told(record: SessionRecord): void {
    this.server = undefined;
    this.backend = record.backend;
    this.holder = record.holder ?? '';
    this.epoch = record.epoch;
    this.usedAt = Math.max(this.usedAt, record.usedAt);
    this.turns = Math.max(this.turns, record.turns);
    this.shares = record.shares;
  }

  /** A server has it on its disk. */
  stored(): void {
    if (this.turns === 0) this.turns = 1;
  }

  /** Follows the turn by the events of the primary attachment; only the rare ones, idle and prompts, are parsed. */
  observe(eventType: string | undefined, frame: Frame): void {
    const ghost = eventType === undefined ? undefined : this.journal?.see(eventType, frame);
    if (ghost !== undefined) this.hidden.add(ghost);
    switch (eventType) {
      case 'user.message':
      case 'assistant.turn_start':
        this.rested = false;
        this.turn.seenRunning();
        break;
      case 'assistant.idle':
        this.rested = true;
        if (this.unstorable) this.endUnstored();
        break;
      case 'session.error':
        this.observeError(frame);
        break;
      case 'session.idle':
        this.observeIdle(frame);
        break;
      default:
        if (eventType !== undefined) this.prompts.see(eventType, frame);
    }
    if (eventType !== undefined) this.stall?.see(eventType, frame);
  }

  /** True for a `session.idle` of a turn whose end was told before, because its server could not store it. */
  get idleIsLate(): boolean {
    return this.idleOwed && !this.rested;
  }

  private observeError(frame: Frame): void {
    this.turn.seenError();
    if (!this.turn.open || dataIn(frame).errorType !== 'persistence') return;
    this.unstorable = true;
    if (this.rested) this.endUnstored();
  }

  /**
   * A server tells the end of a turn when all of it is stored, and never if it cannot be (measured, runtime
   * 1.0.85): whoever waits for it has had the error, and hears of the end from Skyport.
   */
  private endUnstored(): void {
    this.idleOwed = true;
    for (const attachment of [...this.attachments]) attachment.tell(idleEvent(this.id, false));
    this.turn.end('error');
  }

  private observeIdle(frame: Frame): void {
    const data = dataIn(frame);
    const late = this.idleIsLate;
    this.idleOwed = false;
    if (late) return;
    // In autopilot the agent goes on after this idle (session-events schema: IdleData.mode).
    if (data.mode === 'autopilot' && data.aborted !== true) return;
    this.turn.seenIdle(data.aborted === true);
  }

  private turnOpened(): void {
    this.turns++;
    this.stall = new Stall();
    this.stirred = true;
    this.unstorable = false;
    this.rested = false;
    this.usedAt = Date.now();
    for (const attachment of this.attachments) {
      attachment.sawIdle = false;
      attachment.link?.watch(this);
    }
    this.events.turnStarted(this);
  }

  private turnClosed(outcome: TurnOutcome, durationMs: number): void {
    this.question = undefined;
    this.stall = undefined;
    this.usedAt = Date.now();
    if (outcome !== 'backend_lost') this.budget.restore();
    // The end of the turn has cleared what was expected.
    if (this.leaving) this.journal?.ghosts.expect('session.shutdown');
    this.events.turnEnded(this, outcome, durationMs);
    for (const attachment of [...this.attachments]) {
      attachment.link?.unwatch(this);
      if (attachment.state === 'held') void attachment.release();
    }
    this.turnLock?.look();
  }
}

/** The data of an event; nothing when the server sent something else under its name. */
function dataIn({ buffer, body, end }: Frame): { aborted?: unknown; mode?: unknown; errorType?: unknown } {
  try {
    const { params } = JSON.parse(buffer.toString('utf8', body, end)) as { params?: { event?: { data?: object } } };
    return params?.event?.data ?? {};
  } catch {
    return {};
  }
}

/** Nobody has it attached, and nobody has used it since `before`, milliseconds since the epoch. */
export function isUnused(session: Session, before: number): boolean {
  return session.usedAt < before && session.attachments.length === 0 && !session.creating;
}
