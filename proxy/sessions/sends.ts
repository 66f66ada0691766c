/**
 * The messages that clients have sent to one session and whose `user.message` was not seen yet. A server
 * that has accepted one has it in its memory only until then: when it dies, they are sent again, in
 * order, and none that the history has.
 */

/** A message that a client has sent to the session. */
export interface Send {
  readonly method: string;
  readonly params: Record<string, unknown>;
  /** What the server has called it; undefined until it has answered. */
  messageId: string | undefined;
  /** A server is being given it. */
  underWay: boolean;
  /** Counts all that clients have sent. */
  readonly order: number;
  /** Messages that had been seen to begin when it was passed on. */
  since: number;
}

/** A message that was seen to begin before the answer that names it. */
interface Begun {
  readonly id: string;
  readonly text: unknown;
  /** Counts all of them. */
  readonly number: number;
}

/** Messages whose answer may still come. */
const REMEMBERED = 8;

export class Sends {
  private open: Send[] = [];
  private begun: Begun[] = [];
  private count = 0;
  private orders = 0;

  /** One is passed on. Gives what `accepted` and `refused` want back. */
  sent(method: string, params: Record<string, unknown>): Send {
    const send: Send = { method, params, messageId: undefined, underWay: true, order: ++this.orders, since: this.count };
    this.open.push(send);
    return send;
  }

  /** The same message is passed on to another server. */
  sentAgain(send: Send): void {
    send.messageId = undefined;
    send.underWay = true;
    send.since = this.count;
    if (!this.open.includes(send)) this.open.push(send);
  }

  /** @param messageId of the server's answer */
  accepted(send: Send, messageId: unknown): void {
    // An answer that names nothing cannot be followed: it is trusted.
    if (typeof messageId !== 'string') return this.refused(send);
    send.messageId = messageId;
    send.underWay = false;
    if (this.begun.some(({ id }) => id === messageId)) this.claimed(messageId);
  }

  refused(send: Send): void {
    this.open = this.open.filter((other) => other !== send);
  }

  /** A message has begun: its event has come. */
  seen(messageId: unknown, text: unknown): void {
    if (typeof messageId !== 'string') return;
    this.begun = [...this.begun.slice(1 - REMEMBERED), { id: messageId, text, number: ++this.count }];
    this.claimed(messageId);
  }

  /** What was accepted and not begun is not wanted any more. */
  abort(): void {
    this.open = this.open.filter(({ messageId }) => messageId === undefined);
  }

  /**
   * Holds them against the history that a dead server has left.
   * @param begun the messages of which it tells, in order
   * @returns those that were accepted and are not in it, in order; they stay known. `claimed`: one that was
   *   under way is in it; it has its `messageId` now
   */
  settle(begun: readonly string[]): { lost: Send[]; claimed: boolean } {
    const known = new Set(this.open.map(({ messageId }) => messageId));
    // One is under way at a time; a message that is nobody else's is its.
    const open = this.open.find(({ underWay }) => underWay);
    // Another Skyport's clients, or the agent itself, may have sent others: it must be newer, and say the same.
    const own = open && this.begun.findLast(({ id, text, number }) =>
      begun.includes(id) && !known.has(id) && number > open.since && (open.params['prompt'] === undefined || open.params['prompt'] === text));
    if (open && own) open.messageId = own.id;
    for (const send of this.open) send.underWay = false;
    this.begun = [];
    // Of those without an answer their callers take care.
    this.open = this.open.filter(({ messageId }) => messageId !== undefined && !begun.includes(messageId));
    return { lost: [...this.open].sort((a, b) => a.order - b.order), claimed: own !== undefined };
  }

  clear(): void {
    this.open = [];
    this.begun = [];
  }

  /** The message of a send whose answer has come. */
  private claimed(messageId: string): void {
    const send = this.open.find((one) => one.messageId === messageId);
    if (!send) return;
    this.refused(send);
    this.begun = this.begun.filter(({ id }) => id !== messageId);
  }
}
