/**
 * The order of one session's writes. A CLI server runs the requests of a connection concurrently
 * (five pipelined sends were reordered in ten of ten trials), so whoever wants order sends the
 * next write after the previous answer.
 *
 *   write      waits for everything before it; everything after waits for its answer
 *   long       waits its turn, but holds nobody: its answer may need the client, or take minutes
 *   interrupt  waits only for earlier short writes, so that an abort is never stuck behind the
 *              very thing that it should end
 *
 * Reads do not come here.
 */
export type OrderKind = 'write' | 'long' | 'interrupt';

export class Ticket {
  state: 'waiting' | 'running' | 'done' = 'waiting';
  constructor(
    readonly kind: OrderKind,
    readonly start: () => void,
  ) {}
}

export class WriteOrder {
  /** Tickets that wait, and the running ones that hold others; in order of arrival. */
  private readonly line: Ticket[] = [];
  private advancing = false;

  /** Number of writes that wait or hold others. */
  get length(): number {
    return this.line.length;
  }

  /**
   * Takes a place in the line. `start` is called at once when nothing is in the way, else when the
   * last obstacle has left. A ticket must be given back with `leave`, however its call ended.
   */
  enter(kind: OrderKind, start: () => void): Ticket {
    const ticket = new Ticket(kind, start);
    this.line.push(ticket);
    this.advance();
    return ticket;
  }

  /** The call was answered, refused, lost or given up while waiting. Calling it twice does nothing. */
  leave(ticket: Ticket): void {
    if (ticket.state === 'done') return;
    ticket.state = 'done';
    this.remove(ticket);
    this.advance();
  }

  private begin(ticket: Ticket): void {
    ticket.state = 'running';
    if (ticket.kind === 'long') this.remove(ticket);
    ticket.start();
  }

  private remove(ticket: Ticket): void {
    const at = this.line.indexOf(ticket);
    if (at >= 0) this.line.splice(at, 1);
  }

  /**
   * Starts whatever may start now. `start` may enter or leave, so every step looks afresh; one that
   * leaves at once does not start the next from within, or a long line would exhaust the stack.
   */
  private advance(): void {
    if (this.advancing) return;
    this.advancing = true;
    try {
      for (let next = this.firstFree(); next; next = this.firstFree()) this.begin(next);
    } finally {
      this.advancing = false;
    }
  }

  private firstFree(): Ticket | undefined {
    let shortAhead = false;
    for (let i = 0; i < this.line.length; i++) {
      const ticket = this.line[i]!;
      if (ticket.state === 'waiting') {
        const free = ticket.kind === 'interrupt' ? !shortAhead : i === 0;
        if (free) return ticket;
      }
      if (ticket.kind === 'write') shortAhead = true;
    }
    return undefined;
  }
}
