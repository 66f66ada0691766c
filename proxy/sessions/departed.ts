/** Sessions that were deleted a moment ago: their last news come late. */
import type { Session } from './session.js';

/** Milliseconds that one is remembered. */
const REMEMBERED = 5_000;

export class Departed {
  private readonly sessions = new Map<string, { readonly session: Session; readonly at: number }>();

  add(session: Session): void {
    this.sessions.set(session.id, { session, at: Date.now() });
  }

  get(id: string): Session | undefined {
    return this.sessions.get(id)?.session;
  }

  /** Janitor. */
  sweep(now: number): void {
    for (const [id, { at }] of this.sessions) {
      if (now - at < REMEMBERED) break;
      this.sessions.delete(id);
    }
  }
}
