/**
 * Calls of one session take effect in the order they were made. One that finds nothing before it is
 * carried out at once, before the method that makes it returns; others wait.
 */
import { promised, type Soon } from './soon.js';

export class CallOrder {
  private readonly last = new Map<string, Promise<void>>();

  isIdle(sessionId: string): boolean {
    return !this.last.has(sessionId);
  }

  /** @param call is not called before all earlier ones of these sessions have ended, well or badly */
  run<T>(sessionIds: readonly string[], call: () => Soon<T>): Promise<T> {
    return promised(() => this.soon(sessionIds, call));
  }

  /** As `run`; when nothing had to be waited for it gives the result itself, or throws. */
  soon<T>(sessionIds: readonly string[], call: () => Soon<T>): Soon<T> {
    if (this.last.size > 0) {
      const before = sessionIds.map((id) => this.last.get(id)).filter((end) => end !== undefined);
      if (before.length > 0) return this.hold(sessionIds, Promise.all(before).then(call));
    }
    const result = call();
    return result instanceof Promise ? this.hold(sessionIds, result) : result;
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
