/**
 * What a client misses that vanished in the middle of its turn: the events of the rest of the turn,
 * for the same user who comes back in time.
 *
 *   client vanished ──▶ a backlog, filled while the turn is held ──user is back──▶ delivered, once
 *                         │ turn over                                 ▲
 *                         └──▶ kept for the session ──────────────────┘
 *                                └── sessions.linger over, session deleted: dropped
 *
 * All of it is in memory, and bounded: per session and in total. When there is too much, deltas go
 * first, of which a later event tells the whole; then the oldest, and that the user is told.
 */
import { frameOf, type Frame } from '../wire/frame.js';
import { missedWarning } from './lost-turn.js';
import { promptOf } from './prompts.js';
import type { Session } from './session.js';

export interface MissedBounds {
  /** Of one session. */
  readonly bytes: number;
  readonly events: number;
  /** Bytes of all sessions together. */
  readonly total: number;
}

const BOUNDS: MissedBounds = { bytes: 8 * 1_048_576, events: 16_384, total: 64 * 1_048_576 };

/** How far an overfull backlog is emptied, so that not every further event has to make room anew. */
const REFILL = 0.75;

/** Bytes that an event takes besides its own. */
const OVERHEAD = 200;

/** Never stored (session-events schema: `ephemeral` is always true), and superseded by the event that ends what they are part of. */
const DELTAS: ReadonlySet<string> = new Set([
  'assistant.message_delta', 'assistant.reasoning_delta', 'assistant.streaming_delta', 'assistant.tool_call_delta',
  'assistant.server_tool_progress', 'tool.execution_partial_result', 'tool.execution_progress', 'hook.progress',
]);

/** Prompts of MCP servers, which may be started by an attach: it may not be answered before they are. */
const MAY_HOLD_UP_AN_ATTACH: ReadonlySet<string> = new Set([
  'mcp.oauth_required', 'mcp.headers_refresh_required', 'elicitation.requested', 'sampling.requested',
]);

export function mayHoldUpAnAttach(eventType: string | undefined): boolean {
  return eventType !== undefined && MAY_HOLD_UP_AN_ATTACH.has(eventType);
}

interface Entry {
  readonly frame: Frame;
  readonly delta: boolean;
  /** Of an event that puts a prompt. */
  readonly requestId: string | undefined;
}

/** The events that one client has missed, in the order they came; copies. */
export class Backlog {
  /** Milliseconds since the epoch after which nobody gets it any more. */
  until = Infinity;
  private readonly entries = new Set<Entry>();
  private held = 0;
  private deltas = 0;
  /** Events other than deltas that there was no room for. */
  private lost = 0;
  /** Prompts in it that nobody has answered. */
  private readonly prompts = new Set<string>();

  /**
   * @param user key of the principal whose client missed the events
   * @param missed accounts for it
   */
  constructor(
    readonly session: Session,
    readonly user: string | undefined,
    private readonly missed: Missed,
    private readonly bounds: MissedBounds,
  ) {}

  get empty(): boolean {
    return this.entries.size === 0 && this.lost === 0;
  }

  /** Takes a copy of an event. */
  add(frame: Frame, eventType?: string): void {
    const body = frame.buffer.subarray(frame.body, frame.end);
    const prompt = eventType === undefined ? undefined : promptOf(eventType, body);
    if (prompt?.kind === 'opens') this.prompts.add(prompt.requestId);
    else if (prompt) this.prompts.delete(prompt.requestId);
    const entry = {
      frame: frameOf(body),
      delta: eventType !== undefined && DELTAS.has(eventType),
      requestId: prompt?.kind === 'opens' ? prompt.requestId : undefined,
    };
    this.entries.add(entry);
    this.count(entry, 1);
    if (this.overfull) this.makeRoom();
    this.missed.makeRoom();
  }

  /** It will tell of this prompt, which nobody has answered. */
  asks(requestId: string): boolean {
    return this.prompts.has(requestId);
  }

  /**
   * Takes the events out, one after the other. A prompt that was answered or withdrawn meanwhile is
   * left out: its client would ask somebody, or run a tool, for nothing.
   */
  *take(): Generator<Frame> {
    if (this.lost > 0) {
      const notice = missedWarning(this.session.id, this.lost);
      this.lost = 0;
      yield frameOf(notice);
    }
    for (const entry of this.entries) {
      this.remove(entry);
      if (entry.requestId === undefined || this.prompts.delete(entry.requestId)) yield entry.frame;
    }
  }

  /** The turn is over: nobody can answer its prompts any more. */
  close(): void {
    this.prompts.clear();
  }

  /** Nobody wants it any more. */
  drop(): void {
    for (const entry of this.entries) this.remove(entry);
    this.lost = 0;
    this.missed.forget(this);
  }

  /** Lets the oldest deltas go. @param share of its bounds that may stay */
  shedDeltas(share: number): void {
    if (this.deltas > 0) this.shed(share, ({ delta }) => delta);
  }

  /** Lets the oldest events go, whatever they are. @param share of its bounds that may stay */
  shedOldest(share: number): void {
    this.shed(share, () => true);
  }

  private makeRoom(): void {
    this.shedDeltas(REFILL);
    if (this.overfull) this.shedOldest(REFILL);
  }

  private get overfull(): boolean {
    return this.held > this.bounds.bytes || this.entries.size > this.bounds.events;
  }

  private shed(share: number, goes: (entry: Entry) => boolean): void {
    for (const entry of this.entries) {
      if (this.held <= this.bounds.bytes * share && this.entries.size <= this.bounds.events * share) return;
      if (!goes(entry)) continue;
      this.remove(entry);
      if (!entry.delta) this.lost++;
      // It is put again without this event, as one from before (attachment.ts).
      if (entry.requestId !== undefined) this.prompts.delete(entry.requestId);
    }
  }

  private remove(entry: Entry): void {
    this.entries.delete(entry);
    this.count(entry, -1);
  }

  private count({ frame, delta }: Entry, sign: 1 | -1): void {
    const bytes = sign * (frame.end + OVERHEAD);
    this.held += bytes;
    this.missed.bytes += bytes;
    if (delta) this.deltas += sign;
  }
}

export class Missed {
  /** That all backlogs take together. */
  bytes = 0;
  /** Oldest first. */
  private readonly backlogs = new Set<Backlog>();
  /** Those of turns that are over. */
  private readonly kept = new Map<Session, Set<Backlog>>();

  constructor(private readonly bounds: MissedBounds = BOUNDS) {}

  /** For a client that has vanished, or one that takes its turn over. @param user key of its principal */
  open(session: Session, user: string | undefined): Backlog {
    const backlog = new Backlog(session, user, this, this.bounds);
    this.backlogs.add(backlog);
    return backlog;
  }

  /** The turn is over. @param until milliseconds since the epoch */
  keep(backlog: Backlog, until: number): void {
    const { session, user } = backlog;
    if (backlog.empty) return backlog.drop();
    // Two of one user would have a hole between them.
    this.take(session, user)?.drop();
    backlog.close();
    backlog.until = until;
    const others = this.kept.get(session);
    if (others) others.add(backlog);
    else this.kept.set(session, new Set([backlog]));
  }

  /** What a user has missed on a session, once; in the middle of a turn the attachment has it. */
  take(session: Session, user: string | undefined): Backlog | undefined {
    for (const backlog of this.kept.get(session) ?? []) {
      if (backlog.user !== user) continue;
      this.unkeep(backlog);
      if (backlog.until > Date.now()) return backlog;
      backlog.drop();
    }
    return undefined;
  }

  /** Janitor: drops what nobody has come back for. @param now milliseconds since the epoch */
  sweep(now: number): void {
    for (const kept of [...this.kept.values()]) {
      for (const backlog of kept) if (backlog.until <= now || backlog.session.deleted) backlog.drop();
    }
  }

  /** From a backlog: it is dropped. */
  forget(backlog: Backlog): void {
    this.backlogs.delete(backlog);
    this.unkeep(backlog);
  }

  /** From a backlog that has grown. */
  makeRoom(): void {
    if (this.bytes <= this.bounds.total) return;
    const enough = this.bounds.total * REFILL;
    for (const step of ['shedDeltas', 'shedOldest'] as const) {
      for (const backlog of this.backlogs) {
        if (this.bytes <= enough) return;
        backlog[step](0);
      }
    }
  }

  private unkeep(backlog: Backlog): void {
    const kept = this.kept.get(backlog.session);
    if (kept?.delete(backlog) && kept.size === 0) this.kept.delete(backlog.session);
  }
}

/** Of this process: one bound for all its sessions. */
export const missed = new Missed();
