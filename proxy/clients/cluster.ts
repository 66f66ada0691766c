/**
 * Several Skyports on one store. Each session is served by one of them, its *holder*; the others reach it
 * through that one, as they would reach a CLI server, so that all of a session's turns are ordered in
 * one place (docs/decisions/0011). What its holder does not use, another one takes; what a dead holder
 * had, too, as soon as its lease is over.
 *
 *   whose? ── ours, or nobody's ─────────────────▶ loaded on a backend of ours
 *        └─── another's ── there ── not in use ──▶ it lets go: ours
 *                     │       ├──── in use ──────▶ through a link to that Skyport
 *                     │       └──── not its ─────▶ the store is asked whose it is, and then again
 *                     └─── gone ─────────────────▶ ours
 *
 * What is not ours is bound here by a claim in the store, which only one of several gets.
 */
import { isRefusal, type Refusal } from '../protocol/errors.js';
import type { Backend } from '../backends/backend.js';
import type { Answer } from '../sessions/attachment.js';
import type { Session } from '../sessions/session.js';
import type { Services } from './services.js';

/** What Skyports ask each other, besides what clients ask. */
export const RELEASE = 'skyport.release';
export const SHARE = 'skyport.share';
export const UNSHARE = 'skyport.unshare';

/** What one tells the others: it is about to stop, and they are to take what they use of its sessions. */
export const DRAINING = 'skyport.draining';

/** Milliseconds another Skyport has to answer. */
const DEADLINE = 5_000;

/** The other Skyports, as the store tells of them. */
export interface Others {
  readonly self: string;
  /** What it had may be taken over. @throws when the store cannot be asked */
  gone(instance: string): Promise<boolean>;
}

/** `elsewhere`: it does not have the session (any more). */
type Verdict = 'released' | 'used' | 'elsewhere' | 'unknown';

export class Cluster {
  constructor(
    private readonly services: Services,
    private readonly others: Others,
  ) {}

  /** True for a session that another Skyport has, as far as is known. */
  isForeign(session: Session): boolean {
    return session.holder !== '' && session.holder !== this.others.self;
  }

  /** The way to the Skyport that has the session; undefined when that is this one, or is not there. */
  peerOf(session: Session): Backend | undefined {
    return this.isForeign(session) ? this.services.pool.peer(session.holder) : undefined;
  }

  /**
   * Where a session of another Skyport that nobody here has attached is to be used.
   * @returns the way to that Skyport; `ours` when it is to be bound here; `wait` when neither is known yet
   */
  async way(session: Session): Promise<Backend | 'ours' | 'wait'> {
    const { holder } = session;
    const peer = this.peerOf(session);
    const verdict = peer?.up ? await this.release(session, peer) : 'unknown';
    if (session.holder !== holder) return 'wait';
    try {
      switch (verdict) {
        case 'released':
          return 'ours';
        case 'used':
          // One that is about to stop takes nobody new, and lets go of it soon.
          return peer!.draining ? 'wait' : peer!;
        case 'elsewhere':
          await this.services.directory.refresh(session.id);
          return 'wait';
        default:
          return (await this.others.gone(holder)) ? 'ours' : 'wait';
      }
    } catch {
      // That the store is away is told by its client.
      return 'wait';
    }
  }

  /** Asks the session's holder for something that only a holder does. @returns undefined when it is to be done here */
  async ask(session: Session, method: string, params: object): Promise<Answer | Refusal | undefined> {
    const peer = this.peerOf(session);
    if (peer?.up) return peer.ask(method, { ...params, sessionId: session.id }, DEADLINE);
    return undefined;
  }

  private async release({ id, epoch }: Session, peer: Backend): Promise<Verdict> {
    const answer = await peer.ask(RELEASE, { sessionId: id, epoch, instance: this.others.self }, DEADLINE);
    if (isRefusal(answer) || !answer.ok) return 'unknown';
    const { released, held } = (answer.result ?? {}) as { released?: unknown; held?: unknown };
    if (released === true) return 'released';
    return held === true ? 'used' : 'elsewhere';
  }
}
