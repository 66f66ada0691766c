/**
 * What must arrive, and what did: every event once, in order, at the client that has the session; every
 * request answered once, to the client that asked, about the session it asked for.
 */

export interface Mistakes {
  lost: number;
  repeated: number;
  reordered: number;
  misrouted: number;
  unanswered: number;
  refused: number;
  /** Frames that nobody asked for, or that cannot be read. */
  strange: number;
}

export function noMistakes(): Mistakes {
  return { lost: 0, repeated: 0, reordered: 0, misrouted: 0, unanswered: 0, refused: 0, strange: 0 };
}

/** In words, the kinds that happened. */
export function inWords(mistakes: Mistakes): string[] {
  return Object.entries(mistakes).filter(([, count]) => (count as number) > 0).map(([kind, count]) => `${count as number} ${kind}`);
}

export class Ledger {
  readonly mistakes = noMistakes();
  /** Events that came where they should, in this round and before. */
  events = 0;
  private readonly owner: Int32Array;
  private readonly expected: Float64Array;
  /** Places of a session that were jumped over: lost, or late. */
  private readonly gaps = new Map<number, Set<number>>();

  constructor(readonly sessions: number) {
    this.owner = new Int32Array(sessions).fill(-1);
    this.expected = new Float64Array(sessions);
  }

  own(session: number, client: number): void {
    this.owner[session] = client;
  }

  ownerOf(session: number): number {
    return this.owner[session]!;
  }

  event(client: number, session: number, place: number): void {
    if (session < 0 || session >= this.sessions || place < 0) {
      this.mistakes.strange++;
      return;
    }
    if (this.owner[session] !== client) {
      this.mistakes.misrouted++;
      return;
    }
    this.events++;
    const expected = this.expected[session]!;
    if (place === expected) this.expected[session] = expected + 1;
    else this.outOfOrder(session, place, expected);
  }

  private outOfOrder(session: number, place: number, expected: number): void {
    const gaps = this.gaps.get(session) ?? new Set();
    this.gaps.set(session, gaps);
    if (place > expected) {
      for (let missing = expected; missing < place; missing++) gaps.add(missing);
      this.expected[session] = place + 1;
    } else if (gaps.delete(place)) this.mistakes.reordered++;
    else this.mistakes.repeated++;
  }

  /** Whether all that was sent has come. @param sent events of each session since the beginning */
  complete(sent: readonly number[]): boolean {
    return sent.every((count, session) => this.expected[session]! >= count);
  }

  /** Nothing more will come. @param sent events of each session since the beginning */
  settle(sent: readonly number[]): void {
    for (const [session, count] of sent.entries()) {
      this.mistakes.lost += Math.max(0, count - this.expected[session]!) + (this.gaps.get(session)?.size ?? 0);
      this.expected[session] = Math.max(count, this.expected[session]!);
    }
    this.gaps.clear();
  }
}

/** The requests of one client that wait for their answers. Ids go up by one. */
export class Calls {
  waiting = 0;
  private readonly ids: Float64Array;
  private readonly since: Float64Array;

  /** @param most that may wait at one time */
  constructor(most: number) {
    this.ids = new Float64Array(most);
    this.since = new Float64Array(most);
  }

  /** @param at when it is sent, or should have been */
  asked(id: number, at: number): void {
    const slot = id % this.ids.length;
    if (this.ids[slot] === 0) this.waiting++;
    this.ids[slot] = id;
    this.since[slot] = at;
  }

  /** @returns when it was asked; undefined when it was not, or is answered already */
  answered(id: number): number | undefined {
    const slot = id % this.ids.length;
    if (this.ids[slot] !== id) return undefined;
    this.ids[slot] = 0;
    this.waiting--;
    return this.since[slot];
  }

  /** Forgets what waits. @returns how many */
  give(): number {
    const { waiting } = this;
    this.ids.fill(0);
    this.waiting = 0;
    return waiting;
  }
}
