/** `skyport share` and `unshare`: what the control socket asks for, done. */
import type { SessionRow, ShareRefused, ShareRequest, UnknownSession, UnshareReport, UnshareRequest } from './admin/actions.js';
import { SHARE, UNSHARE } from './clients/cluster.js';
import { home } from './clients/loading.js';
import type { Services } from './clients/services.js';
import { changeShares, reviewSession, unfitSharer } from './clients/sharing.js';
import { sessionRow } from './report.js';
import type { Session } from './sessions/session.js';
import { missingIn, withShares, withoutShares, type Sharers, type Shares } from './sessions/shares.js';

type Outcome<T> = Promise<T | UnknownSession | ShareRefused>;

/** Resolves when the share outlives a crash. */
export async function share(services: Services, { session: id, as, ...named }: ShareRequest): Outcome<SessionRow> {
  const session = services.directory.get(id);
  if (!session) return { unknownSession: id };
  const unfit = unfitSharer(named, session.owner);
  if (unfit !== undefined) return { shareRefused: unfit };
  const failed = await change(services, session, SHARE, { ...named, as }, (shares) => withShares(shares, named, as));
  return failed ?? sessionRow(session, services.sharing);
}

/** Resolves when nobody has the access any more, also after a crash. */
export async function unshare(services: Services, { session: id, ...named }: UnshareRequest): Outcome<UnshareReport> {
  const session = services.directory.get(id);
  if (!session) return { unknownSession: id };
  const { users, roles } = missingIn(session.shares, named);
  const failed = await change(services, session, UNSHARE, named, (shares) => withoutShares(shares, named));
  return failed ?? { session: sessionRow(session, services.sharing), missing: { users: [...users], roles: [...roles] } };
}

/** Only a session's holder changes its record: another Skyport is asked, and what a dead one had is taken over. */
async function change(
  services: Services, session: Session, method: string, request: Sharers & { readonly as?: string }, shares: (before: Shares | undefined) => Shares | undefined,
): Promise<UnknownSession | ShareRefused | undefined> {
  const asked = await services.cluster?.ask(session, method, request);
  if (asked && 'ok' in asked && asked.ok) {
    // It is heard of anyway, a moment later.
    services.directory.reshare(session, (asked.result as { shares?: Shares | null }).shares ?? undefined);
    reviewSession(services, session);
    return undefined;
  }
  if (session.foreign) await session.alone(() => home(services, session));
  if (session.foreign) return { shareRefused: 'The Skyport that has the session did not answer; try again in a moment' };
  try {
    await changeShares(services, session, shares(session.shares));
  } catch {
    return { shareRefused: 'The registry could not be written; the log has the details' };
  }
  return session.deleted ? { unknownSession: session.id } : undefined;
}
