/**
 * Sessions whose links to one server were closed under them. The server lets go of a session within
 * milliseconds once nobody is connected to it; but one that hung may come back with sessions as they were
 * then, whatever has become of them elsewhere, and whoever loads such a one anew is attached to it as it was.
 */
import { isRefusal, type Refusal } from '../protocol/errors.js';
import type { Answer } from '../sessions/attachment.js';

/** Milliseconds that a server has to let go of one session, and between two looks. */
const LETS_GO = 5_000;
const LOOK_AGAIN = 25;

/** Sessions that a server is asked about at one time. */
const AT_ONCE = 50;

export class LeftSessions {
  private readonly ids = new Set<string>();

  /** @param ask a call to the server */
  constructor(private readonly ask: (method: string, params: object) => Promise<Answer | Refusal>) {}

  add(ids: readonly string[]): void {
    for (const id of ids) this.ids.add(id);
  }

  /** It is another process by now, or none. */
  clear(): void {
    this.ids.clear();
  }

  /** Waits until the server has let go of a session. @returns false when it has it all the same */
  async hasUnloaded(sessionId: string): Promise<boolean> {
    const deadline = performance.now() + LETS_GO;
    while (this.ids.has(sessionId) && (await this.hasLoaded(sessionId))) {
      if (performance.now() >= deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN));
    }
    this.ids.delete(sessionId);
    return true;
  }

  /** Asks the server about all of them, and has it close what it still has. @returns how many it had */
  async check(): Promise<number> {
    for (const ids = [...this.ids]; ids.length > 0;) {
      await Promise.all(ids.splice(0, AT_ONCE).map(async (sessionId) => {
        if (!(await this.hasLoaded(sessionId))) this.ids.delete(sessionId);
        else await this.ask('sessions.close', { sessionId });
      }));
    }
    return this.ids.size;
  }

  private async hasLoaded(sessionId: string): Promise<boolean> {
    const answer = await this.ask('session.metadata.activity', { sessionId });
    return !isRefusal(answer) && answer.ok;
  }
}
