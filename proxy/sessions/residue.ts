/**
 * What a server keeps of a client that detached while others stayed: its tools, hooks and commands
 * stay registered until the session is unloaded, and its hooks are asked until the connection
 * closes (measured, runtime 1.0.85).
 */
import type { SessionLink } from './attachment.js';
import { stripParams, type Recipe } from './recipe.js';
import type { Session } from './session.js';

export interface Residue {
  readonly session: Session;
  readonly link: SessionLink;
  readonly recipe: Recipe | undefined;
}

/** The client of a residue has closed its connection: the server is to see that, as far as it can. */
export async function clear({ session, link, recipe }: Residue): Promise<void> {
  if (!link.open || !session.residues.has(link)) return;
  if (link.attached === 0) {
    link.retire();
    return;
  }
  if (!(await strip(session, link, recipe))) return;
  // Somebody may have attached there meanwhile: what was left is his now.
  if (session.residues.has(link)) await link.call('session.detach', { sessionId: session.id }, DETACH_DEADLINE);
}

/**
 * Takes tools and capabilities off a shared session, where the link cannot be closed. It attaches
 * again, so a detach has to follow; not before this is answered, for a server runs the two at once
 * and in any order (PROTOCOL: Ids).
 * @returns false when there was nothing to take off
 */
export async function strip(session: Session, link: SessionLink, recipe: Recipe | undefined): Promise<boolean> {
  const staying = session.attachments.findLast((a) => a.live && a.link !== link);
  const params = stripParams(session.id, recipe, staying?.recipe);
  if (!params) return false;
  await link.call('session.resume', params, DETACH_DEADLINE);
  return true;
}

/** Milliseconds a server has for a detach. */
export const DETACH_DEADLINE = 10_000;
