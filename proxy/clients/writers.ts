/**
 * Several clients that write to one session (`sessions.writers`): a call that opens a turn waits, or
 * is refused, while another client's turn runs. Only these calls are held back. An abort, an answer to
 * a prompt and every setting pass at any time, as on a CLI server: they end, continue or steer the
 * turn that runs, and holding them back could keep it from ever ending.
 */
import { refuse, type Refusal } from '../protocol/errors.js';
import { placeEvent } from '../sessions/place-event.js';
import type { Session } from '../sessions/session.js';
import { TurnLock, type NoTurn, type TurnSend } from '../sessions/turn-lock.js';
import type { Ask } from './ask.js';

export interface WriterRules {
  /** `sessions.writers`. */
  readonly mode: 'queue' | 'reject' | 'free';
  /** `sessions.writers_wait`, milliseconds. */
  readonly wait: number;
}

export class Writers {
  /** Sessions whose lock somebody has or waits for. */
  private readonly locked = new Set<Session>();

  /** @param now milliseconds on a clock that never goes back */
  constructor(
    public rules: WriterRules,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Calls `go` when the client may open a turn: at once as a rule. The call may be refused instead. */
  admit(ask: Ask, session: Session, go: () => void): void {
    if (this.rules.mode === 'free') {
      go();
      return;
    }
    const lock = (session.turnLock ??= new TurnLock(session));
    this.locked.add(session);
    let gone = false;
    const send: TurnSend = {
      go: () => {
        const waited = gone;
        gone = true;
        if (waited && ask.client.services.draining) ask.refuse(refuse('SKYPORT_SHUTTING_DOWN'));
        else go();
      },
      refused: (reason, heldBy) => ask.refuse(this.refusal(ask, reason, heldBy)),
      moved: (place, heldBy) => ask.client.attachments.get(session.id)?.tell(placeEvent(session.id, place, heldBy)),
    };
    const before = ask.onEnd;
    ask.onEnd = (ok) => {
      lock.ended(send, ok, ask.scan.paramKeys.includes('wait'));
      before?.(ok);
    };
    lock.acquire(ask.client, send, { reject: this.rules.mode === 'reject', now: this.now() });
    if (!gone) ask.keep();
    gone = true;
  }

  /** Janitor: ends waits that took too long, and frees what nobody holds any more. */
  tick(draining: boolean): void {
    for (const session of [...this.locked]) {
      const lock = session.turnLock;
      lock?.tick(this.now(), draining ? 0 : this.rules.wait);
      if (lock && !lock.free) continue;
      session.turnLock = undefined;
      this.locked.delete(session);
    }
  }

  private refusal({ client }: Ask, reason: NoTurn, heldBy: string): Refusal {
    if (client.services.draining) return refuse('SKYPORT_SHUTTING_DOWN');
    if (reason === 'store') return refuse('SKYPORT_STORE_UNAVAILABLE', 'The store did not say whose turn it is');
    const text = `Session is in use by ${heldBy}`;
    return refuse('SKYPORT_SESSION_IN_USE', reason === 'waited' ? `${text}; waited ${this.rules.wait} ms in vain` : text);
  }
}
