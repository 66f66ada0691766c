/**
 * Several Skyports on one store. Each session is served by one of them, its *holder*; the others reach it
 * through that one, as they would reach a CLI server, so that all of a session's turns are ordered in
 * one place. What its holder does not use, another one takes; what a dead holder had, too, as soon as
 * its lease is over.
 *
 *   whose? ── ours, or nobody's ─────────────────▶ loaded on a backend of ours
 *        └─── another's ── alive ── not in use ──▶ it lets go: ours
 *                     │       └──── in use ──────▶ through a link to that Skyport
 *                     └─── gone ─────────────────▶ ours
 */
import { isRefusal } from '../protocol/errors.js';
import type { Address } from '../backends/dial.js';
import type { Backend, BackendSettings } from '../backends/backend.js';
import { PLAIN } from '../backends/profile.js';
import type { Link } from '../backends/link.js';
import type { Session } from '../sessions/session.js';
import type { Ask } from './ask.js';
import type { Services } from './services.js';

/** What one Skyport asks another one, besides what clients ask: to let go of a session that it does not use. */
export const RELEASE = 'skyport.release';

/** In the params of a peer's attach: the user that it is for. */
export const ON_BEHALF = 'skyportUser';

/** Milliseconds another Skyport has to answer. */
const DEADLINE = 5_000;

/** The other Skyports, as the store tells of them. */
export interface Others {
  readonly self: string;
  alive(instance: string): boolean;
}

export class Cluster {
  constructor(
    private readonly services: Services,
    private readonly others: Others,
  ) {}

  /** True for a session that another Skyport has, as far as is known. */
  isForeign(session: Session): boolean {
    return session.holder !== '' && session.holder !== this.others.self;
  }

  /** The link to the Skyport that has the session; undefined when that is this one, or is not there. */
  peerOf(session: Session): Backend | undefined {
    return this.isForeign(session) ? this.services.pool.peer(session.holder) : undefined;
  }

  /**
   * Where a session of another Skyport is to be used.
   * @returns the way to that Skyport; `ours` when it is to be bound here; `wait` when neither is known yet
   */
  async way(session: Session): Promise<Backend | 'ours' | 'wait'> {
    const { holder } = session;
    if (!this.others.alive(holder)) return 'ours';
    const peer = this.services.pool.peer(holder);
    if (!peer?.up) return 'wait';
    if (session.primary) return peer;
    const link = await peer.links.borrow(PLAIN);
    if (isRefusal(link) || 'kind' in link) return 'wait';
    const answer = await link.call(RELEASE, { sessionId: session.id, epoch: session.epoch }, DEADLINE);
    if (isRefusal(answer)) return 'wait';
    const released = answer.ok && (answer.result as { released?: unknown } | null)?.released === true;
    return released ? 'ours' : peer;
  }

  /** Brings the ways to the other Skyports in line with those that are there. */
  update(instances: ReadonlyMap<string, Address>, settings: BackendSettings): void {
    this.services.pool.setPeers(instances, settings);
  }
}

/** Answers another Skyport that wants a session: it may have what nobody here has attached. */
export function release(ask: Ask): void {
  const { directory } = ask.client.services;
  const session = directory.get(ask.scan.sessionId ?? '');
  const used = session !== undefined && directory.holds(session)
    && (session.attachments.length > 0 || session.creating || session.order.length > 0 || session.calls > 0);
  ask.result({ released: !used });
}

/** A session of ours has gone to another Skyport, which took us for dead: our servers have no say in it any more. */
export function letGo(session: Session): void {
  for (const attachment of [...session.attachments]) {
    const { link } = attachment;
    attachment.onLinkLost();
    // Its server is to unload what it cannot store any more.
    if (link?.open) void (link as Link).call('session.detach', { sessionId: session.id }, DEADLINE);
  }
}

