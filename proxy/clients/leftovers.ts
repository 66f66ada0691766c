import type { Link } from '../backends/link.js';
import { clear, type Residue } from '../sessions/attachment.js';
import type { Session } from '../sessions/session.js';

/** What servers keep of one client's sessions that it has detached from. */
export class Leftovers {
  private all: readonly Residue[] = [];

  add(residue: Residue): void {
    // Most sessions are unloaded long before a client of many goes; nothing is left of those.
    this.all = [...this.all.filter(({ session, link }) => session.residues.has(link)), residue];
  }

  /** What is left of the session on a link that can be taken; no longer counted as left. */
  reclaim(session: Session): Residue | undefined {
    const found = this.all.find((one) => one.session === session && session.residues.has(one.link) && (one.link as Link).vacant(session.id));
    if (found) this.all = this.all.filter((one) => one !== found);
    return found;
  }

  /** The client is gone. */
  clear(): void {
    for (const residue of this.all) void clear(residue);
    this.all = [];
  }
}
