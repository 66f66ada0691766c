/**
 * Claims that have not been answered, by user: all of a user's claims have the same answer. Users who
 * need a place for a server that is not there yet stand in a line, each once, in order of arrival.
 */

/** The user's own server listens, or why not: `full` too many wait, `waited` for too long, `failed` it does not start. */
export type Claim =
  | { readonly name: string }
  | { readonly refused: 'full' | 'waited' | 'failed'; readonly reason: string };

interface Caller {
  readonly resolve: (claim: Claim) => void;
  readonly deadline: NodeJS.Timeout;
}

export class Line {
  readonly #callers = new Map<string, Set<Caller>>();
  readonly #line = new Set<string>();

  /** Users who wait for a place. */
  get length(): number {
    return this.#line.size;
  }

  /** In order; users may leave while it is gone through. */
  users(): Iterable<string> {
    return this.#line;
  }

  /** Whether anybody waits for this user's server. */
  isAwaited(user: string): boolean {
    return this.#callers.has(user);
  }

  /** Whether the user waits for a place. */
  has(user: string): boolean {
    return this.#line.has(user);
  }

  enter(user: string): void {
    this.#line.add(user);
  }

  leave(user: string): void {
    this.#line.delete(user);
  }

  /**
   * @param ms the caller's patience
   * @param why the reason, when it is over
   */
  wait(user: string, ms: number, why: () => string): Promise<Claim> {
    return new Promise((resolve) => {
      const deadline = setTimeout(() => {
        const reason = why();
        this.#forget(user, caller);
        resolve({ refused: 'waited', reason });
      }, ms);
      const caller: Caller = { resolve, deadline };
      const callers = this.#callers.get(user);
      if (callers) callers.add(caller);
      else this.#callers.set(user, new Set([caller]));
    });
  }

  /** Answers all claims of a user. */
  answer(user: string, claim: Claim): void {
    const callers = this.#callers.get(user);
    this.#callers.delete(user);
    this.#line.delete(user);
    for (const { resolve, deadline } of callers ?? []) {
      clearTimeout(deadline);
      resolve(claim);
    }
  }

  answerAll(claim: Claim): void {
    for (const user of [...this.#callers.keys()]) this.answer(user, claim);
  }

  #forget(user: string, caller: Caller): void {
    const callers = this.#callers.get(user);
    callers?.delete(caller);
    if (callers?.size !== 0) return;
    this.#callers.delete(user);
    this.#line.delete(user);
  }
}
