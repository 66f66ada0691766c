/**
 * Takes sessions off their backend: off one that drains, leaves the configuration or is to be started
 * anew, and one by one where an operator wants it (`skyport move`).
 *
 *   quiet ──vacate──▶ asleep ──its next call: loading.ts──▶ loaded elsewhere
 *   busy: the same in the moment in which its turn is over, before its client can begin the next one
 *
 * Only where a session can be loaded on any backend.
 */
import { isRefusal } from '../protocol/errors.js';
import type { Backend } from '../backends/backend.js';
import { channels } from '../channels.js';
import { vacate, workOf } from '../sessions/hibernation.js';
import type { Session } from '../sessions/session.js';
import { changeOf, rebind } from './loading.js';
import type { Services } from './services.js';

/** Sessions that are put to sleep at one time on one backend. */
const AT_ONCE = 20;

/** Milliseconds until a session that its server would not let go is tried again; doubled each time. */
const FIRST_RETRY = 250;
const LAST_RETRY = 5_000;

/** Milliseconds after which somebody who waits for a session looks again, whatever he was told. */
const LOOK_AGAIN = 500;

/** What a server keeps a session for, when Skyport sees no reason: only the server itself knows. */
const AT_WORK = 'its server says that it is at work in the background, or that something is queued or scheduled';

/** A session that its server would not let go. */
interface Stay {
  readonly retryAt: number;
  readonly delay: number;
}

/** `reason`: why it has not happened yet. */
export type MoveOutcome = { readonly from: string; readonly to: string } | { readonly reason: string; readonly final: boolean };

export class Mover {
  private readonly stays = new Map<Session, Stay>();
  private readonly emptying = new Set<Backend>();
  /** When each backend that is to be empty was first seen so; milliseconds since the epoch. */
  private readonly since = new WeakMap<Backend, number>();
  /** Who waits for the end of a session's turn, to move it. */
  private readonly waiting = new Map<Session, Set<() => void>>();

  constructor(private readonly services: Services) {}

  /** Janitor: goes on emptying the backends that are to be empty. Returns at once. */
  sweep(now: number): void {
    for (const session of this.stays.keys()) if (!this.leaving(session)) this.stays.delete(session);
    const { pool } = this.services;
    for (const backend of [...pool.all(), ...pool.others.values()]) {
      if (!leaves(backend) || this.emptying.has(backend) || !this.mayLeave(backend)) continue;
      this.emptying.add(backend);
      void this.empty(backend, now).finally(() => this.emptying.delete(backend));
    }
    for (const backend of pool.all()) {
      if (!leaves(backend)) this.since.delete(backend);
      else if (!this.since.has(backend)) this.since.set(backend, now);
    }
  }

  /** To be called in the moment in which a turn is over. */
  turnEnded(session: Session): void {
    const waiting = this.waiting.get(session);
    if (waiting) for (const go of [...waiting]) go();
    else if (this.leaving(session)) void this.rest(session, Date.now());
  }

  /** Since when a backend is to be empty; milliseconds since the epoch. */
  drainingSince(backend: Backend): number | undefined {
    return this.since.get(backend);
  }

  /** How many sessions of a backend stay on it, though nothing keeps them there that Skyport could see. */
  staying(backend: Backend): number {
    let staying = 0;
    for (const session of this.stays.keys()) if (backend.links.has(session.primary?.link)) staying++;
    return staying;
  }

  /**
   * Moves one session: at once when it is idle, else when its turn is over. It is loaded by its next call.
   * @param to where it can go, or nothing to have that chosen
   * @param patience milliseconds
   */
  async move(session: Session, to: Backend | undefined, patience: number): Promise<MoveOutcome> {
    const target = to ?? this.services.pool.place({ user: session.owner, sessionId: session.id, protocolVersion: session.protocolVersion }, new Set([session.backend]));
    if (isRefusal(target)) return { reason: 'no other backend takes sessions now', final: true };
    const from = session.backend;
    const there = this.services.pool.bound(from, session.primary?.link) === target;
    if (there) return { from, to: target.name };
    const deadline = Date.now() + patience;
    let moved = this.take(session, target);
    for (;;) {
      if (await moved) return { from, to: target.name };
      if (session.deleted) return { reason: 'it was deleted', final: true };
      if (!target.eligible) return { reason: `${target.name} takes no sessions any more`, final: true };
      const left = deadline - Date.now();
      if (left <= 0) return { reason: this.reasonOf(session), final: false };
      moved = this.soon(session, Math.min(left, LOOK_AGAIN), () => this.take(session, target));
    }
  }

  /** Elsewhere its sessions can be loaded again, or on the next server of the same user, which has the same disk. */
  private mayLeave({ tenancy }: Backend): boolean {
    return this.services.moves || tenancy.kind === 'user';
  }

  private async empty(backend: Backend, now: number): Promise<void> {
    const sessions = [...this.services.directory.loadedOn(backend.name)].filter((session) => {
      return this.isDue(session, now) && backend.links.has(session.primary?.link);
    });
    const one = async (): Promise<void> => {
      for (let session = sessions.pop(); session && leaves(backend); session = sessions.pop()) await this.rest(session, now);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
  }

  private isDue(session: Session, now: number): boolean {
    return !session.dozing && workOf(session) === undefined && (this.stays.get(session)?.retryAt ?? 0) <= now;
  }

  private async rest(session: Session, now: number): Promise<void> {
    const reason = this.backendOf(session)?.restarting ? 'restart' : 'drain';
    if (await this.unload(session, reason)) return;
    // Somebody has come before the server's answer: that is no reason to let it alone for long.
    if (workOf(session) !== undefined || !session.resident) return;
    const delay = Math.min(LAST_RETRY, (this.stays.get(session)?.delay ?? FIRST_RETRY / 2) * 2);
    this.stays.set(session, { delay, retryAt: now + delay });
  }

  private async unload(session: Session, reason: string, next?: () => Promise<unknown>): Promise<boolean> {
    try {
      if (!(await vacate(session, next))) return false;
    } catch (error) {
      channels.bug.publish({ where: 'clients/moving', error });
      return false;
    }
    this.stays.delete(session);
    channels.sessionDetached.publish({ ...changeOf(session), reason });
    return true;
  }

  /** Brings it under the target's name. @returns false when that cannot be done now */
  private async take(session: Session, target: Backend): Promise<boolean> {
    let bound = false;
    const bind = async (): Promise<void> => {
      bound = target.eligible && target.mayTake(session.id) && !(await rebind(this.services, session, target));
    };
    if (session.resident) return (await this.unload(session, 'move', bind)) && bound;
    // Whoever is about to load it has taken his place in this line, or finds it bound anew.
    await session.alone(async () => {
      if (!session.resident && !session.creating && !session.deleted && !session.dozing && !session.recovering) await bind();
    });
    return bound;
  }

  /** Runs an attempt the moment that the session's turn is over, or after `ms`. */
  private soon(session: Session, ms: number, attempt: () => Promise<boolean>): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const go = (): void => {
        clearTimeout(timer);
        const waiting = this.waiting.get(session);
        waiting?.delete(go);
        if (waiting?.size === 0) this.waiting.delete(session);
        attempt().then(resolve, reject);
      };
      const timer = setTimeout(go, ms);
      const waiting = this.waiting.get(session);
      if (waiting) waiting.add(go);
      else this.waiting.set(session, new Set([go]));
    });
  }

  private reasonOf(session: Session): string {
    if (session.recovering) return 'its turn is being taken up after the loss of its server';
    if (!session.resident) return 'it is being loaded, or the store does not take its new binding';
    return workOf(session) ?? AT_WORK;
  }

  private leaving(session: Session): boolean {
    const backend = this.backendOf(session);
    // Another backend may have the same name: one that has taken its place, or one of another Skyport.
    return backend !== undefined && leaves(backend) && this.mayLeave(backend) && backend.links.has(session.primary?.link);
  }

  private backendOf(session: Session): Backend | undefined {
    return this.services.pool.bound(session.backend, session.primary?.link);
  }
}

/** It is to be empty. */
function leaves(backend: Backend): boolean {
  return backend.draining || backend.removed || backend.restarting;
}
