/** `skyport share` and `unshare`: what the control socket asks for, done. */
import type { SessionRow, ShareRefused, ShareRequest, UnknownSession, UnshareReport, UnshareRequest } from './admin/actions.js';
import type { Services } from './clients/services.js';
import { changeShares, unfitSharer } from './clients/sharing.js';
import { sessionRow } from './report.js';
import type { Session } from './sessions/session.js';
import { missingIn, withShares, withoutShares, type Shares } from './sessions/shares.js';

type Outcome<T> = Promise<T | UnknownSession | ShareRefused>;

/** Resolves when the share outlives a crash. */
export async function share(services: Services, { session: id, as, ...named }: ShareRequest): Outcome<SessionRow> {
  const session = services.directory.get(id);
  if (!session) return { unknownSession: id };
  const unfit = unfitSharer(named, session.owner);
  if (unfit !== undefined) return { shareRefused: unfit };
  return await change(services, session, withShares(session.shares, named, as)) ?? sessionRow(session, services.sharing);
}

/** Resolves when nobody has the access any more, also after a crash. */
export async function unshare(services: Services, { session: id, ...named }: UnshareRequest): Outcome<UnshareReport> {
  const session = services.directory.get(id);
  if (!session) return { unknownSession: id };
  const { users, roles } = missingIn(session.shares, named);
  return await change(services, session, withoutShares(session.shares, named))
    ?? { session: sessionRow(session, services.sharing), missing: { users: [...users], roles: [...roles] } };
}

async function change(services: Services, session: Session, shares: Shares | undefined): Promise<UnknownSession | ShareRefused | undefined> {
  try {
    await changeShares(services, session, shares);
  } catch {
    return { shareRefused: 'The registry could not be written; the log has the details' };
  }
  return session.deleted ? { unknownSession: session.id } : undefined;
}
