/**
 * A line of tasks of which one runs at a time. Owners take turns, however many tasks each of them has in
 * it; those of one owner run in order of arrival.
 */
export class OwnersLine {
  /** By owner; who was served is put last. */
  private readonly waiting = new Map<string, (() => Promise<void>)[]>();
  private running = false;
  private last: string | undefined;

  /** @param emptied is told when nobody runs or waits any more */
  constructor(private readonly emptied: () => void = () => undefined) {}

  /** @returns what the task returns, when it has had its turn */
  run<T>(owner: string, task: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const tasks = this.waiting.get(owner) ?? [];
      tasks.push(() => task().then(resolve, reject));
      this.waiting.set(owner, tasks);
      if (!this.running) void this.advance();
    });
  }

  private async advance(): Promise<void> {
    this.running = true;
    for (let owner = this.next(); owner !== undefined; owner = this.next()) {
      const tasks = this.waiting.get(owner)!;
      const task = tasks.shift()!;
      this.last = owner;
      this.waiting.delete(owner);
      if (tasks.length > 0) this.waiting.set(owner, tasks);
      await task();
    }
    this.running = false;
    this.emptied();
  }

  /** Another one than the last, if any waits: he may have had his only task run, and come again. */
  private next(): string | undefined {
    for (const owner of this.waiting.keys()) if (owner !== this.last) return owner;
    return this.waiting.size > 0 ? this.last : undefined;
  }
}
