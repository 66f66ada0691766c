/** What a test started, stopped again when the test (or the suite) is over, newest first. */
import { afterAll, afterEach, beforeEach } from 'vitest';

export interface Stoppable {
  stop(): Promise<unknown>;
}

export class Scope {
  private readonly held: (() => Promise<unknown>)[] = [];
  private closed = false;

  /** Keeps a thing until the scope closes. @returns the thing itself */
  own<T extends Stoppable>(thing: T): T {
    this.after(() => thing.stop());
    return thing;
  }

  /** Runs a function when the scope closes; at once where it is closed, as after a test that timed out in a start. */
  after(action: () => Promise<unknown> | unknown): void {
    this.held.push(async () => action());
    if (this.closed) void this.close().catch(() => undefined);
  }

  /** Begins anew, for another test. */
  open(): void {
    this.closed = false;
  }

  /** Stops everything, newest first; a thing that fails to stop does not keep the others alive. */
  async close(): Promise<void> {
    this.closed = true;
    const errors: unknown[] = [];
    for (let stop = this.held.pop(); stop; stop = this.held.pop()) {
      await stop().catch((error: unknown) => errors.push(error));
    }
    if (errors.length > 0) throw errors[0];
  }
}

/** A scope that closes after each test of the surrounding suite. */
export function scopeOfEachTest(): Scope {
  const scope = new Scope();
  beforeEach(() => scope.open());
  afterEach(() => scope.close());
  return scope;
}

/** A scope that closes after the last test of the surrounding suite. */
export function scopeOfSuite(): Scope {
  const scope = new Scope();
  afterAll(() => scope.close());
  return scope;
}
