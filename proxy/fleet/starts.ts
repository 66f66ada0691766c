/**
 * How many servers start at one time. Two hundred at once would share the processors so finely that
 * none of them listened within its start time-out.
 *
 *   enter() ──room──▶ begun ──leave()──▶ over
 *      └── waiting ────▲ │
 *             └──────────┴──leave()──▶ over
 */

export interface StartSlot {
  /** Somebody waits for this one now: it goes before those that nobody waits for. */
  urge(): void;
  /** The server listens, has died, or is not wanted any more. May be called again. */
  leave(): void;
}

interface Entry {
  state: 'waiting' | 'begun' | 'over';
  begin(): void;
}

export class Starts {
  readonly #most: number;
  readonly #urgent = new Set<Entry>();
  readonly #others = new Set<Entry>();
  #begun = 0;
  #closed = false;

  /** @param most that may be under way at one time */
  constructor(most: number) {
    this.#most = most;
  }

  /** How many wait for room. */
  get waiting(): number {
    return this.#urgent.size + this.#others.size;
  }

  /**
   * Waits for room, in order of arrival.
   * @param urgent goes before all that are not
   * @param begin called once, before `enter` returns when there is room; not after `leave`
   */
  enter(urgent: boolean, begin: () => void): StartSlot {
    const entry: Entry = { state: 'waiting', begin };
    (urgent ? this.#urgent : this.#others).add(entry);
    const slot: StartSlot = {
      urge: () => { if (this.#others.delete(entry)) this.#urgent.add(entry); },
      leave: () => this.#leave(entry),
    };
    this.#advance();
    return slot;
  }

  /** Nothing is begun any more. */
  close(): void {
    this.#closed = true;
  }

  #leave(entry: Entry): void {
    if (entry.state === 'begun') this.#begun--;
    this.#urgent.delete(entry);
    this.#others.delete(entry);
    entry.state = 'over';
    this.#advance();
  }

  #advance(): void {
    while (this.#begun < this.#most && !this.#closed) {
      const queue = this.#urgent.size > 0 ? this.#urgent : this.#others;
      const [next] = queue;
      if (next === undefined) return;
      queue.delete(next);
      next.state = 'begun';
      this.#begun++;
      next.begin();
    }
  }
}
