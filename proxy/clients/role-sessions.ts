/** How many sessions all users with a role own together. */
import type { Directory } from '../sessions/directory.js';
import type { Session } from '../sessions/session.js';

/** Sessions by the roles of their owners: counted once, when somebody asks, and from then on as they come and go. */
export class RoleSessions {
  private counts: Map<string, number> | undefined;

  /** @param rolesOf the roles of a session's owner */
  constructor(private readonly directory: Directory, private readonly rolesOf: (owner: string, sessionId: string) => ReadonlySet<string>) {}

  count(role: string): number {
    if (!this.counts) {
      this.counts = new Map();
      this.directory.owned.counted = (session, change) => this.add(session, change);
      for (const session of this.directory.all()) this.add(session, 1);
    }
    return this.counts.get(role) ?? 0;
  }

  /** Roles may be others now. */
  forget(): void {
    this.counts = undefined;
    this.directory.owned.counted = () => undefined;
  }

  private add({ id, owner }: Session, change: 1 | -1): void {
    for (const role of this.rolesOf(owner, id)) this.counts?.set(role, (this.counts.get(role) ?? 0) + change);
  }
}
