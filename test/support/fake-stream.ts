/** Many event streams of a fake server on one clock: a thousand of them cost one timer, not a thousand. */

interface Running {
  readonly count: number;
  /** Events a millisecond. */
  readonly pace: number;
  readonly began: number;
  readonly write: (sequence: number) => boolean;
  sent: number;
  done(): void;
}

const TICK_MS = 10;

export class FakeStream {
  private readonly running = new Set<Running>();
  private clock: NodeJS.Timeout | undefined;

  /**
   * Calls `write` with 0 to count-1.
   * @param ratePerSecond without one, everything in this tick
   * @param write says false when the peer's buffer is full: the rest waits for the next tick
   */
  run(count: number, ratePerSecond: number | undefined, write: (sequence: number) => boolean): Promise<void> {
    if (ratePerSecond === undefined) {
      for (let sequence = 0; sequence < count; sequence++) write(sequence);
      return Promise.resolve();
    }
    return new Promise((done) => {
      this.running.add({ count, pace: ratePerSecond / 1000, began: Date.now(), write, sent: 0, done });
      this.clock ??= setInterval(() => this.tick(Date.now()), TICK_MS);
    });
  }

  stop(): void {
    clearInterval(this.clock);
    this.clock = undefined;
    for (const stream of this.running) stream.done();
    this.running.clear();
  }

  private tick(now: number): void {
    for (const stream of this.running) {
      const due = Math.min(stream.count, Math.floor((now - stream.began) * stream.pace));
      while (stream.sent < due && stream.write(stream.sent++));
      if (stream.sent < stream.count) continue;
      this.running.delete(stream);
      stream.done();
    }
    if (this.running.size === 0) this.stop();
  }
}

/**
 * The text of a delta event, shaped like the runtime's: `data.sequence` counts from 0.
 * @param bytes length of the text; a shorter one than the envelope's (about 300) is not possible
 */
export function streamEvent(sessionId: string, sequence: number, bytes: number): string {
  const id = `00000000-0000-4000-8000-${String(sequence).padStart(12, '0')}`;
  const before = `{"jsonrpc":"2.0","method":"session.event","params":{"sessionId":"${sessionId}","event":{"type":"assistant.message_delta","data":{"sequence":${sequence},"deltaContent":"`;
  const after = `"},"ephemeral":true,"id":"${id}","timestamp":"2026-01-01T00:00:00.000Z","parentId":"${id}"}}}`;
  return before + 'x'.repeat(Math.max(0, bytes - before.length - after.length)) + after;
}
