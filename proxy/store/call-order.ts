/**
 * Calls of one session take effect in the order they were made. One that finds nothing before it is
 * carried out at once, before the method that makes it returns; others wait.
 */
export class CallOrder {
  private readonly last = new Map<string, Promise<void>>();

  isIdle(sessionId: string): boolean {
    return !this.last.has(sessionId);
  }

  /** @param call is not called before all earlier ones of these sessions have ended, well or badly */
  run<T>(sessionIds: readonly string[], call: () => T | Promise<T>): Promise<T> {
    const before = sessionIds.map((id) => this.last.get(id)).filter((end) => end !== undefined);
    if (before.length > 0) return this.hold(sessionIds, Promise.all(before).then(call));
    try {
      const result = call();
      return result instanceof Promise ? this.hold(sessionIds, result) : Promise.resolve(result);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  /** Resolves when nothing is under way any more. */
  async ended(): Promise<void> {
    while (this.last.size > 0) await Promise.all(this.last.values());
  }

  private hold<T>(sessionIds: readonly string[], running: Promise<T>): Promise<T> {
    const free = (): void => {
      for (const id of sessionIds) if (this.last.get(id) === end) this.last.delete(id);
    };
    const end = running.then(free, free);
    for (const id of sessionIds) this.last.set(id, end);
    return running;
  }
}
