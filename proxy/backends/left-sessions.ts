/**
 * Sessions whose links to one server were closed under them. The server lets go of a session within
 * milliseconds once nobody is connected to it; but one that hung may come back with sessions as they were
 * then, whatever has become of them elsewhere. Whoever loads such a one anew is attached to it as it was; and
 * while the server unloads it, it stores what it still has of it (measured, runtime 1.0.85: within 20 ms of
 * waking up, several times over), which must not happen under a lease that it was given for a fresh one.
 */
import { isRefusal, type Refusal } from '../protocol/errors.js';
import type { Answer } from '../sessions/attachment.js';

/** Milliseconds that a server has to let go of one session, and between two looks. */
const LETS_GO = 5_000;
const LOOK_AGAIN = 25;

/** Milliseconds after which a server that does not have a session loaded any more has stored all that it had of it. */
const SETTLES = 3_000;

/** Sessions that a server is asked about at one time. */
const AT_ONCE = 50;

export class LeftSessions {
  /** By id: since when the server has been left alone with it, or is known to have let it go. */
  private readonly since = new Map<string, number>();
  /** Those that it may still have loaded. */
  private readonly unsure = new Set<string>();
  /** Those that another Skyport has meanwhile. */
  private readonly stale = new Set<string>();
  /** Those that the server is being asked about because somebody wants them back. */
  private readonly asked = new Set<string>();

  /**
   * @param ask a call to the server
   * @param now of the monotonic clock, milliseconds
   * @param stuck is told when the server does not let go of a session that another Skyport has
   */
  constructor(
    private readonly ask: (method: string, params: object) => Promise<Answer | Refusal>,
    private readonly now: () => number = () => performance.now(),
    private readonly stuck: () => void = () => undefined,
  ) {}

  /** @param stale another Skyport has them now */
  add(ids: readonly string[], stale = false): void {
    if (stale) for (const id of ids) this.stale.add(id);
    for (const [id, since] of this.since) if (!this.unsure.has(id) && this.now() - since >= SETTLES) this.since.delete(id);
    for (const id of ids) {
      this.unsure.add(id);
      this.since.set(id, this.now());
    }
  }

  /** It is another process by now, or none. */
  clear(): void {
    this.unsure.clear();
    this.since.clear();
    this.stale.clear();
  }

  /** Whether a session that has been elsewhere meanwhile may come back. When it is not certain, the server is asked. */
  mayTake(sessionId: string): boolean {
    const since = this.since.get(sessionId);
    if (since === undefined) return true;
    if (!this.unsure.has(sessionId)) return this.now() - since >= SETTLES;
    if (!this.asked.has(sessionId)) {
      this.asked.add(sessionId);
      void this.hasUnloaded(sessionId).finally(() => this.asked.delete(sessionId));
    }
    return false;
  }

  /**
   * Waits until the server has let go of a session.
   * @returns false when it has it all the same; true also when it does not answer, for then it is lost again
   */
  async hasUnloaded(sessionId: string): Promise<boolean> {
    const unloaded = await this.hasLetGo(sessionId);
    // It cannot store what it has, and so would keep it for ever (measured, runtime 1.0.85).
    if (!unloaded && this.stale.has(sessionId)) this.stuck();
    this.stale.delete(sessionId);
    return unloaded;
  }

  private async hasLetGo(sessionId: string): Promise<boolean> {
    const deadline = this.now() + LETS_GO;
    while (this.unsure.has(sessionId)) {
      const loaded = await this.hasLoaded(sessionId);
      if (loaded === undefined) return true;
      if (!loaded) this.letGo(sessionId);
      else if (this.now() >= deadline) return false;
      else await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN));
    }
    return true;
  }

  /** Asks the server about all of them, and has it close what it still has. @returns of how many it is not certain that they are gone */
  async check(): Promise<number> {
    for (const ids = [...this.unsure]; ids.length > 0;) {
      await Promise.all(ids.splice(0, AT_ONCE).map(async (sessionId) => {
        const loaded = await this.hasLoaded(sessionId);
        if (loaded === false) this.letGo(sessionId);
        else if (loaded) await this.ask('sessions.close', { sessionId });
      }));
    }
    return this.unsure.size;
  }

  private letGo(sessionId: string): void {
    this.unsure.delete(sessionId);
    this.since.set(sessionId, this.now());
  }

  /** Undefined when the server does not answer. */
  private async hasLoaded(sessionId: string): Promise<boolean | undefined> {
    const answer = await this.ask('session.metadata.activity', { sessionId });
    return isRefusal(answer) ? undefined : answer.ok;
  }
}
