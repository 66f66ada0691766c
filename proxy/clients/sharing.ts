/**
 * Sessions that are somebody else's: what a client may do on them, and the end of that. Access is
 * asked anew at each call; when shares, rules or roles have changed, `review` ends what went on
 * meanwhile because of access that is gone.
 */
import { includes, type Access } from '../protocol/access.js';
import { readerResume } from '../guard/sharing.js';
import { leastAccess } from '../protocol/classification/sharing.js';
import { refuse, refuseSession } from '../protocol/errors.js';
import { isRoleName, isService, isUserName, mayUse, type Principal } from '../identity/principal.js';
import { accessEndedEvents } from '../sessions/lost-turn.js';
import type { Attachment } from '../sessions/attachment.js';
import { onlookerParams } from '../sessions/onlooker.js';
import type { Session } from '../sessions/session.js';
import type { Sharers, Shares } from '../sessions/shares.js';
import { channels } from '../channels.js';
import type { Ask } from './ask.js';
import type { Client } from './client.js';
import { rewrite } from './requests.js';
import type { Services } from './services.js';

/**
 * What a principal may do on a session, deleted or not; undefined when it does not exist for him. A
 * service speaks for users by its pattern and has nothing by shares: its name is no user's.
 */
export function accessOf(principal: Principal, session: Session, { sharing }: Pick<Services, 'sharing'>): Access | undefined {
  if (mayUse(principal, session.id, session.owner)) return 'owner';
  return isService(principal) ? undefined : sharing.access(principal, session);
}

/** Whose attachment to the session a client is to have, and with what access; undefined when it may not have one. */
export function standingOf(client: Client, session: Session): { readonly who: Principal; readonly access: Access } | undefined {
  const access = client.access(session);
  if (!access) return undefined;
  const behalf = client.isPeer ? client.behalf?.get(session.id) : undefined;
  if (!behalf) return { who: client.principal!, access };
  return { who: { ...client.principal!, user: behalf.user, key: behalf.key }, access: behalf.access };
}

/** All sessions that a client may use; another Skyport asks for none. */
export function* sessionsOf(client: Client): IterableIterator<Session> {
  const { principal, services: { directory, sharing } } = client;
  if (!principal || client.isPeer) return;
  if (principal.sessionPattern || sharing.ruling) {
    // Whom an id names is asked of each.
    for (const session of directory.all()) if (client.access(session)) yield session;
    return;
  }
  yield* directory.ownedBy(principal.user);
  for (const session of directory.shared()) if (session.owner !== principal.user && client.access(session)) yield session;
}

/** Whether a held turn waits for this principal: its owner, by whatever token, or the very user with whom it is shared. */
export function isSamePerson(held: Attachment, principal: { readonly user: string }, access: Access): boolean {
  if (held.access === 'owner' || access === 'owner') return held.access === access;
  return held.holder?.user === principal.user;
}

/** The parameters of a create or resume as they are sent on: those of a reader change nothing for anybody. */
export function attachParams(ask: Ask, session: Session, access: Access): Record<string, unknown> {
  if (access !== 'reader') return ask.params();
  rewrite(ask, { ...readerResume(ask.params()), ...onlookerParams(session) });
  return ask.params();
}

/** Whether a held turn need not be held any more, now that somebody has attached. */
export function isSuperseded(held: Attachment, by: Attachment): boolean {
  if (held.access === 'reader' && by.access !== 'reader') return true;
  return by.holder !== undefined && isSamePerson(held, by.holder, by.access);
}

/** Why a session cannot be shared with these; undefined when it can. */
export function unfitSharer({ users, roles }: Sharers, owner: string): string | undefined {
  const user = users.find((name) => !isUserName(name));
  if (user !== undefined) return `${JSON.stringify(user)} is not a user name`;
  const role = roles.find((name) => !isRoleName(name));
  if (role !== undefined) return `${JSON.stringify(role)} is not a role name`;
  return users.includes(owner) ? `The session is ${owner}'s own` : undefined;
}

/**
 * Shares a session so from now on, durably when the promise resolves. What is taken away ends at once.
 * @throws when the registry refuses the write; access is as it was before then
 */
export async function changeShares(services: Services, session: Session, shares: Shares | undefined): Promise<void> {
  const before = session.shares;
  services.directory.reshare(session, shares);
  reviewSession(services, session);
  try {
    await services.directory.keep(session);
  } catch (error) {
    if (session.shares === shares) services.directory.reshare(session, before);
    channels.registryError.publish({ operation: 'put', message: String(error) });
    throw error;
  }
}

/** Access to a session has changed for some: ends what they had because of it, held turns of those who vanished, too. */
export function reviewSession(services: Services, session: Session): void {
  for (const client of [...services.roster.all()]) client.review(session);
  for (const attachment of [...session.attachments]) {
    if (attachment.state !== 'held' || attachment.access === 'owner' || !attachment.holder) continue;
    const principal = services.authenticator.current(attachment.holder as Principal);
    const now = principal && accessOf(principal, session, services);
    if (!includes(now, attachment.access)) void attachment.release();
  }
}

/** After a reload: rules, roles and tokens may be others. */
export function reviewAll(services: Services): void {
  for (const session of [...services.directory.live()]) {
    if (session.attachments.some((attachment) => attachment.access !== 'owner')) reviewSession(services, session);
  }
  // Calls on sessions that their caller has not attached.
  for (const client of [...services.roster.all()]) {
    for (const id of client.sessionsAsked()) {
      const session = services.directory.get(id);
      if (session) client.review(session);
    }
  }
}

/** What is under way of a client on a session goes on only as far as its access does. */
export function review(client: Client, session: Session, asks: Iterable<Ask>): void {
  // Another Skyport asks so itself, of its own clients.
  if (client.isPeer) return;
  const access = client.access(session);
  const attachment = client.attachments.get(session.id);
  if (attachment && includes(access, attachment.access)) attachment.access = access!;
  for (const ask of [...asks]) {
    if (ask.scan.sessionId !== session.id || includes(access, leastAccess(ask.spec.name))) continue;
    // What a server is at work on is answered; a read that waits there would tell what happens from now on.
    if (!ask.sent || ask.spec.order === 'none') ask.refuse(access ? refuse('SKYPORT_READ_ONLY') : refuseSession(session.id));
  }
  if (attachment && !includes(access, attachment.access)) cutOff(client, attachment);
}

/** Tells the client, and takes its attachment off the session; with a turn that nobody else attends to, as if it had left. */
function cutOff(client: Client, attachment: Attachment): void {
  const { session } = attachment;
  for (const text of accessEndedEvents(session.id)) client.deliverText(text);
  client.detached(session.id);
  attachment.vanished(Date.now(), 0, client.takeRequests(attachment));
  channels.sessionDetached.publish({
    sessionId: session.id, owner: session.owner, backend: session.backend, epoch: session.epoch, clientId: client.id, reason: 'access ended',
  });
}
