/**
 * Who has a session's turn lock, and who waits for it, in order of arrival. An interface, because
 * the line of a session is either in this process or, where several Skyports share a store, in Redis.
 */

/** One client that wants the lock, from its first message that has to wait until its turn is over. */
export interface TurnTicket {
  /** The user that others are told of. */
  readonly user: string;
  /**
   * The lock is this ticket's now. It may have left meanwhile: then it gives the lock back with `leave`.
   * @param fence higher than that of any holder before
   */
  granted(fence: number): void;
  /**
   * It waits, or has moved up.
   * @param place 1 is next
   * @param heldBy user of the holder
   */
  moved(place: number, heldBy: string): void;
}

/**
 * Each method may settle at once, or later where others have to be asked; a rejection means that the
 * store could not be reached. `granted` and `moved` may be called before `enter` returns.
 */
export interface TurnQueue {
  /** Takes the lock when it is free and nobody waits, otherwise the last place in line. */
  enter(ticket: TurnTicket): void | Promise<void>;
  /** Gives back the lock or the place, whichever is this ticket's; nothing when neither is. */
  leave(ticket: TurnTicket): void | Promise<void>;
  /** The holder's turn still runs. @returns false when the lock is not this ticket's any more */
  renew(ticket: TurnTicket): boolean | Promise<boolean>;
}

/** The line of one session in this process. Everything happens before the call returns. */
export class LocalTurnQueue implements TurnQueue {
  private holder: TurnTicket | undefined;
  private readonly line: TurnTicket[] = [];
  private fence = 0;
  private granting = false;

  enter(ticket: TurnTicket): void {
    this.line.push(ticket);
    this.advance();
  }

  leave(ticket: TurnTicket): void {
    const at = this.line.indexOf(ticket);
    if (at >= 0) {
      this.line.splice(at, 1);
      this.tell(at);
    } else if (this.holder === ticket) {
      this.holder = undefined;
      this.advance();
    }
  }

  renew(ticket: TurnTicket): boolean {
    return this.holder === ticket;
  }

  /** A ticket may leave from within `granted`: the loop goes on to the next, so that a long line costs no stack. */
  private advance(): void {
    if (this.granting) return;
    this.granting = true;
    try {
      while (!this.holder && this.line.length > 0) {
        this.holder = this.line.shift()!;
        this.holder.granted(++this.fence);
      }
    } finally {
      this.granting = false;
    }
    this.tell(0);
  }

  /** Those from a place on have moved up. Who is told may leave, so every step looks afresh. */
  private tell(from: number): void {
    for (const ticket of this.line.slice(from)) {
      const at = this.line.indexOf(ticket);
      if (at >= 0 && this.holder) ticket.moved(at + 1, this.holder.user);
    }
  }
}
