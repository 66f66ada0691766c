/**
 * Users with servers of their own (`fleet.isolation: per_user`): whoever calls has his server started first, if
 * it does not run, and waits for it. Calls of one user that come meanwhile wait together.
 */
import type { Pool } from '../backends/pool.js';
import { refuse, type Refusal } from '../protocol/errors.js';
import type { Ask } from './ask.js';

/** What the fleet says to a user who wants his server. */
export type Claimed =
  | { readonly name: string }
  | { readonly refused: 'full' | 'waited' | 'failed'; readonly reason: string };

/** Milliseconds after which somebody who waits for a server looks again, whatever he was told. */
const LOOK_AGAIN = 250;

export class OwnServers {
  private readonly underWay = new Map<string, Promise<Refusal | undefined>>();

  /**
   * @param isolated whether a user has a server of his own
   * @param claim has the server of a user started, and resolves when it listens
   * @param patience milliseconds, `fleet.wait`
   */
  constructor(
    private readonly pool: Pool,
    readonly isolated: (user: string) => boolean,
    private readonly claim: (user: string) => Promise<Claimed>,
    private readonly patience: () => number,
  ) {}

  /** Whether the user's calls have to wait for his server. */
  lacks(user: string): boolean {
    return this.isolated(user) && !this.pool.ownOf(user)?.eligible;
  }

  /** Notes that the user's server is used for what belongs to no session. */
  used(user: string): void {
    const own = this.isolated(user) ? this.pool.ownOf(user) : undefined;
    if (own) own.usedAt = Date.now();
  }

  /** Users whose calls wait for their servers now. */
  get waiting(): number {
    return this.underWay.size;
  }

  /** Resolves when the user's server can be used, or tells why it cannot. */
  ready(user: string): Promise<Refusal | undefined> {
    let waiting = this.underWay.get(user);
    if (!waiting) {
      waiting = this.start(user).finally(() => this.underWay.delete(user));
      this.underWay.set(user, waiting);
    }
    return waiting;
  }

  private async start(user: string): Promise<Refusal | undefined> {
    const deadline = performance.now() + this.patience();
    while (this.lacks(user)) {
      if (this.pool.ownOf(user)?.draining) return refuse('SKYPORT_NO_BACKEND', 'Your CLI server is being drained');
      const claimed = await this.claim(user);
      if ('refused' in claimed) return refusalOf(claimed.refused, claimed.reason);
      if (!this.lacks(user)) break;
      const left = deadline - performance.now();
      if (left <= 0) return refuse('SKYPORT_NO_BACKEND', 'Your CLI server did not become ready in time');
      await this.pool.nextUp(Math.min(left, LOOK_AGAIN));
    }
    this.used(user);
    return undefined;
  }
}

function refusalOf(refused: 'full' | 'waited' | 'failed', reason: string): Refusal {
  if (refused === 'failed') return refuse('SKYPORT_SERVER_FAILED', `Your CLI server does not start: ${reason}`);
  return refuse('SKYPORT_FLEET_FULL');
}

/**
 * Has a call wait for the server of a user, where he has one of his own that does not run now.
 * @param go what the call does then
 * @returns false when there is nothing to wait for
 */
export function waitsForServer(ask: Ask, user: string, go: () => Refusal | undefined): boolean {
  const { tenants } = ask.client.services;
  if (!tenants?.lacks(user)) return false;
  ask.keep();
  void tenants.ready(user).then((refusal) => {
    if (ask.done) return;
    const found = refusal ?? go();
    if (found) ask.refuse(found);
  });
  return true;
}
