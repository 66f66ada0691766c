/**
 * One session's turn: from a `session.send` to the session's next `session.idle`.
 *
 *   closed ── send passed on ──▶ sending ── answered ok ──▶ running ── session.idle ──▶ closed
 *                                   │ answered with an error: closed       ▲
 *                                   └── user.message, assistant.turn_start ┘
 *
 * An idle event between a send and its answer belongs to an earlier turn or to a turn that was
 * over before the answer came; the events of a turn that follows open it again.
 */
export type TurnOutcome = 'idle' | 'error' | 'aborted' | 'backend_lost' | 'client_gone';

export interface TurnEvents {
  opened(): void;
  closed(outcome: TurnOutcome, durationMs: number): void;
}

export class Turn {
  private sends = 0;
  private running = false;
  private idles = 0;
  private failed = false;
  private openedAt = 0;

  constructor(
    private readonly events: TurnEvents,
    private readonly now: () => number = () => performance.now(),
  ) {}

  get open(): boolean {
    return this.sends > 0 || this.running;
  }

  /** A send waits for its answer. */
  get sending(): boolean {
    return this.sends > 0;
  }

  /** A send was passed on. Gives what `answered` wants back. */
  sent(): number {
    this.change(() => this.sends++);
    return this.idles;
  }

  /** The answer to a send, or the news that none will come. */
  answered(ok: boolean, idlesWhenSent: number): void {
    this.change(() => {
      this.sends = Math.max(0, this.sends - 1);
      if (ok && this.idles === idlesWhenSent) this.running = true;
    }, ok ? 'idle' : 'error');
  }

  /** The agent loop was seen at work. */
  seenRunning(): void {
    if (!this.running) this.change(() => (this.running = true));
  }

  seenError(): void {
    this.failed = true;
  }

  seenIdle(aborted: boolean): void {
    this.idles++;
    this.change(() => (this.running = false), aborted ? 'aborted' : this.failed ? 'error' : 'idle');
    this.failed = false;
  }

  /** Ends the turn for a reason of ours. The answer to a send that is still under way does not open it again. */
  end(outcome: TurnOutcome): void {
    this.idles++;
    this.change(() => {
      this.sends = 0;
      this.running = false;
    }, outcome);
  }

  private change(step: () => void, outcome: TurnOutcome = 'error'): void {
    const before = this.open;
    step();
    if (this.open === before) return;
    if (this.open) {
      this.failed = false;
      this.openedAt = this.now();
      this.events.opened();
    } else {
      this.events.closed(outcome, this.now() - this.openedAt);
    }
  }
}
