/**
 * The links of one backend: which one a call or a new attachment gets, and when one more is opened.
 */
import { isRefusal, refuse, type Refusal } from '../protocol/errors.js';
import type { DialFailure } from './dial.js';
import type { Link } from './link.js';
import type { Profile } from './profile.js';
import { addTraffic, noTraffic, type Traffic } from '../wire/traffic.js';

/** What the links need of their backend. */
export interface LinkHost {
  readonly up: boolean;
  readonly limits: { readonly base: number; readonly max: number };
  /** Opens a link of the profile; adds it before the promise resolves. */
  open(profile: Profile): Promise<Link | DialFailure>;
}

export class Links {
  private readonly links = new Set<Link>();
  private readonly opening = new Map<Promise<Link | DialFailure>, string>();
  /** Bytes and frames of links that are closed. */
  private readonly past: Traffic = noTraffic();

  constructor(private readonly host: LinkHost) {}

  get count(): number {
    return this.links.size;
  }

  /** Attachments on all of them. */
  get attached(): number {
    let attached = 0;
    for (const link of this.links) attached += link.attached;
    return attached;
  }

  /** Calls that wait for an answer. */
  get waiting(): number {
    let waiting = 0;
    for (const link of this.links) waiting += link.waiting;
    return waiting;
  }

  /** When the server was last heard on any of them, monotonic milliseconds. */
  get heardAt(): number {
    let heardAt = -Infinity;
    for (const link of this.links) heardAt = Math.max(heardAt, link.heardAt);
    return heardAt;
  }

  /** Reads nothing of what the server sends, until `resume`. */
  pause(): void {
    for (const link of this.links) link.transport.pause();
  }

  resume(): void {
    for (const link of this.links) link.transport.resume();
  }

  has(link: unknown): boolean {
    return this.links.has(link as Link);
  }

  add(link: Link): void {
    this.links.add(link);
  }

  /** The link is closed; its traffic stays counted. False when it was none of these. */
  delete(link: Link): boolean {
    addTraffic(this.past, link.transport);
    return this.links.delete(link);
  }

  /** A link for a call that belongs to no attachment; not one on which `sessionId` is attached. */
  async borrow(profile: Profile, sessionId = ''): Promise<Link | Refusal | DialFailure> {
    for (;;) {
      if (!this.host.up) return refuse('SKYPORT_BACKEND_UNAVAILABLE');
      const link = this.pick(profile.key, sessionId);
      if (link) return link;
      const opened = await this.more(profile);
      if (isRefusal(opened) || 'kind' in opened) return this.pickAny(profile, sessionId) ?? opened;
    }
  }

  /**
   * A link for a new attachment. Alone on its link where possible: when its client leaves a shared
   * session, closing that link is the only thing that makes a CLI server forget its hooks and
   * commands (measured, runtime 1.0.85: a detach does not, while others are attached).
   * @param shared the session has other attachments
   * @param take is called with the link at the moment it is found, and takes the session's place on
   *   it: a caller that did so only after waiting for the promise might find somebody else there
   */
  async acquire(
    profile: Profile,
    sessionId: string,
    shared: boolean,
    take: (link: Link) => void,
  ): Promise<Link | Refusal | DialFailure> {
    const { base, max } = this.host.limits;
    const limit = shared ? max : Math.min(base, max);
    for (;;) {
      if (!this.host.up) return refuse('SKYPORT_BACKEND_UNAVAILABLE');
      let link = this.pick(profile.key, sessionId);
      if (!link || (link.attached > 0 && this.total < limit)) {
        const opened = await this.more(profile);
        if (!isRefusal(opened) && !('kind' in opened)) continue;
        link = this.pick(profile.key, sessionId) ?? this.pickAny(profile, sessionId);
        if (!link) return opened;
      }
      take(link);
      return link;
    }
  }

  /** Closes links that nobody has used for a while; the last one of a profile goes, too. */
  closeIdle(now: number, idleMs: number): void {
    for (const link of this.links) {
      if (link.attached === 0 && link.waiting === 0 && now - link.idleSince > idleMs) link.close('idle');
    }
  }

  /** Those that were opened beforehand are about to be used. @param now monotonic milliseconds */
  keep(now: number): void {
    for (const link of this.links) link.idleSince = now;
  }

  close(reason: string): void {
    for (const link of [...this.links]) link.close(reason);
  }

  /** Totals, also of those that are closed. */
  traffic(): Traffic {
    const sum = { ...this.past };
    for (const link of this.links) addTraffic(sum, link.transport);
    return sum;
  }

  /** Connections that the server counts, but for the control link. */
  private get total(): number {
    let total = this.opening.size;
    for (const link of this.links) if (!link.transport.closed) total++;
    return total;
  }

  private pick(profileKey: string, sessionId: string): Link | undefined {
    let best: Link | undefined;
    for (const link of this.links) {
      if (link.profile !== profileKey || !link.free(sessionId)) continue;
      if (!best || link.attached < best.attached) best = link;
    }
    return best;
  }

  /**
   * No further link can be had: one of another profile that can decode the same tasks will do, and
   * at worst one on which a client that left has left something of the session behind.
   */
  private pickAny(profile: Profile, sessionId: string): Link | undefined {
    const wanted = JSON.stringify(profile.params.supportedTaskKinds);
    const links = [...this.links].filter((link) => link.vacant(sessionId) && taskKindsOf(link.profile) === wanted);
    links.sort((a, b) => Number(b.free(sessionId)) - Number(a.free(sessionId)) || a.attached - b.attached);
    return links[0];
  }

  /** One more link of the profile, or one that is just being opened. */
  private async more(profile: Profile): Promise<Link | Refusal | DialFailure> {
    const { total } = this;
    const underWay = [...this.opening].find(([, key]) => key === profile.key)?.[0];
    const ofProfile = [...this.opening.values()].filter((key) => key === profile.key).length;
    if (underWay && (total >= this.host.limits.base || ofProfile >= this.host.limits.base)) return underWay;
    if (total >= this.host.limits.max) {
      if (underWay) return underWay;
      // All places are taken, some by links that are being opened for others: one of those may do.
      if (!this.makeRoom()) return this.opening.keys().next().value ?? refuse('SKYPORT_SESSION_BUSY');
    }
    const opening = this.host.open(profile);
    this.opening.set(opening, profile.key);
    try {
      return await opening;
    } finally {
      this.opening.delete(opening);
    }
  }

  /** Closes a link that nobody uses, for one of another profile. */
  private makeRoom(): boolean {
    for (const link of this.links) {
      if (!link.usable || link.attached > 0 || link.waiting > 0) continue;
      link.close('its place is needed');
      return true;
    }
    return false;
  }
}

function taskKindsOf(profileKey: string): string | undefined {
  if (profileKey === '') return undefined;
  return JSON.stringify((JSON.parse(profileKey) as { supportedTaskKinds?: string[] }).supportedTaskKinds);
}
