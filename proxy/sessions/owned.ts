/** Sessions by their owners, and those that owners share. */
import type { Session } from './session.js';

const NONE: ReadonlySet<Session> = new Set();

export class Owned {
  private readonly owners = new Map<string, Set<Session>>();
  /** And some that are not shared any more. */
  readonly shared = new Set<Session>();
  /** Is told of each session that is there from now on (1), or not any more (-1). */
  counted: (session: Session, change: 1 | -1) => void = () => undefined;

  by(owner: string): ReadonlySet<Session> {
    return this.owners.get(owner) ?? NONE;
  }

  add(session: Session): void {
    let owned = this.owners.get(session.owner);
    if (!owned) this.owners.set(session.owner, (owned = new Set()));
    if (!owned.has(session)) this.counted(session, 1);
    owned.add(session);
    this.look(session);
  }

  /** It may be shared now. */
  look(session: Session): void {
    if (session.shares) this.shared.add(session);
  }

  delete(session: Session): void {
    const owned = this.owners.get(session.owner);
    if (owned?.delete(session)) this.counted(session, -1);
    if (owned?.size === 0) this.owners.delete(session.owner);
    this.shared.delete(session);
  }
}
