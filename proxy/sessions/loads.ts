/** What each backend has: sessions with an attachment, those that its server has loaded, those with an open turn. */
import type { Session } from './session.js';

interface Load {
  readonly attached: Set<Session>;
  readonly loaded: Set<Session>;
  readonly busy: Set<Session>;
}

const NONE: ReadonlySet<Session> = new Set();

/** Where a session is counted: a backend of another Skyport may have the name of one of ours. */
export function placeOf({ foreign, holder, backend }: Session): string {
  return foreign ? `skyport:${holder}` : backend;
}

export class Loads {
  private readonly places = new Map<string, Load>();

  loaded(place: string): ReadonlySet<Session> {
    return this.places.get(place)?.loaded ?? NONE;
  }

  turnsOpen(place: string): number {
    return this.places.get(place)?.busy.size ?? 0;
  }

  /** Sessions with attachments, over all of them. */
  *live(): IterableIterator<Session> {
    for (const { attached } of this.places.values()) yield* attached;
  }

  began(session: Session): void {
    this.of(session).busy.add(session);
  }

  /** @returns false when its turn was not counted when it began */
  ended(session: Session): boolean {
    return this.of(session).busy.delete(session);
  }

  changed(session: Session): void {
    const { attached, loaded } = this.of(session);
    set(attached, session, !session.deleted && (session.attachments.length > 0 || session.creating));
    set(loaded, session, !session.deleted && session.loaded);
  }

  /** @param change after which the session is somewhere else, perhaps */
  move(session: Session, change: () => void): void {
    const busy = this.of(session).busy.has(session);
    this.drop(session);
    change();
    if (busy) this.began(session);
  }

  drop(session: Session): void {
    const { attached, loaded, busy } = this.of(session);
    for (const sessions of [attached, loaded, busy]) sessions.delete(session);
  }

  private of(session: Session): Load {
    const place = placeOf(session);
    let load = this.places.get(place);
    if (!load) this.places.set(place, (load = { attached: new Set(), loaded: new Set(), busy: new Set() }));
    return load;
  }
}

function set(sessions: Set<Session>, session: Session, member: boolean): void {
  if (member) sessions.add(session);
  else sessions.delete(session);
}
