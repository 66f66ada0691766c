/**
 * The order of the calls on each session: a write waits for every call before it, a read for the
 * writes before it.
 */
export class SessionOrder {
  private readonly tails = new Map<string, { writes: Promise<unknown>; all: Promise<unknown> }>();

  read<T>(id: string, call: () => Promise<T>): Promise<T> {
    const tail = this.tailOf(id);
    const result = tail.writes.then(call);
    this.settle(id, tail, Promise.allSettled([tail.all, result]));
    return result;
  }

  write<T>(id: string, call: () => Promise<T>): Promise<T> {
    const tail = this.tailOf(id);
    const result = tail.all.then(call);
    tail.writes = result.catch(() => undefined);
    this.settle(id, tail, tail.writes);
    return result;
  }

  /** Resolves when every call so far has ended. */
  async idle(): Promise<void> {
    await Promise.all([...this.tails.values()].map(({ all }) => all));
  }

  private tailOf(id: string): { writes: Promise<unknown>; all: Promise<unknown> } {
    let tail = this.tails.get(id);
    if (tail === undefined) this.tails.set(id, (tail = { writes: Promise.resolve(), all: Promise.resolve() }));
    return tail;
  }

  private settle(id: string, tail: { all: Promise<unknown> }, end: Promise<unknown>): void {
    tail.all = end;
    void end.then(() => {
      if (tail.all === end) this.tails.delete(id);
    });
  }
}
