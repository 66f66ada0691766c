/**
 * Brings a session that no server has loaded onto one: which, and everybody's attachments.
 *
 * Where state is kept by Skyport or shared, that may be any backend: the session is rebound first,
 * with a higher epoch, so that whoever had it before cannot write to it any more. Otherwise it is
 * the one that it was created on.
 */
import { isRefusal, refuse, refuseSession, type Refusal } from '../protocol/errors.js';
import type { Backend } from '../backends/backend.js';
import type { DialFailure } from '../backends/dial.js';
import type { Link } from '../backends/link.js';
import { speaks } from '../backends/placing.js';
import { PLAIN, type Profile } from '../backends/profile.js';
import { channels } from '../channels.js';
import type { Attachment } from '../sessions/attachment.js';
import { reattach } from '../sessions/recipe.js';
import type { Session } from '../sessions/session.js';
import type { Client } from './client.js';
import type { Services } from './services.js';

/** Milliseconds that a call waits for a backend that can take its session. */
const PATIENCE = 10_000;

/** Milliseconds after which it looks again, whatever it was told. */
const LOOK_AGAIN = 250;

/** Backends that may fail with one attachment; those that are merely not there any more do not count. */
const MOST_TRIES = 3;

const NONE: ReadonlySet<string> = new Set();

/**
 * The backend to load a session on; the session is bound to it when this resolves. While somebody is
 * attached it is the one that has the session.
 * @param tried backends that have just failed
 */
export async function home(services: Services, session: Session, tried: ReadonlySet<string> = NONE): Promise<Backend | Refusal> {
  const { pool, cluster } = services;
  const begun = Date.now();
  for (;;) {
    if (session.deleted) return refuseSession(session.id);
    const foreign = cluster?.isForeign(session) === true;
    const deadline = begun + PATIENCE + (foreign ? services.lease : 0);
    const own = foreign ? pool.peer(session.holder) : pool.bound(session.backend, session.primary?.link);
    if (session.primary) return own?.up ? own : refuse('SKYPORT_BACKEND_UNAVAILABLE');
    const way = foreign ? await cluster.way(session) : 'ours';
    if (typeof way === 'object') return way;
    const late = way === 'ours' && !own?.up && services.tenants?.lacks(session.owner) ? await services.tenants.ready(session.owner) : undefined;
    if (late) return late;
    if (!(services.moves || foreign)) return boundTo(services, session);
    const found = way === 'ours' ? choose(services, session, foreign ? undefined : own, tried) : undefined;
    if (found && found === own && (session.server ?? found.id) === found.id && services.directory.isFenced(session)) {
      session.server = found.id;
      return found;
    }
    const refusal = found && await rebind(services, session, found);
    // Another Skyport may have been faster; then the way is to that one.
    if (found && !(refusal && cluster?.isForeign(session))) return refusal ?? found;
    if (Date.now() >= deadline) return refuse('SKYPORT_BACKEND_UNAVAILABLE');
    await pool.nextUp(LOOK_AGAIN);
    // What failed a moment ago may have been started again.
    tried = NONE;
  }
}

/** Where its state is on its server's own disk, and so nowhere else. */
function boundTo({ pool }: Services, session: Session): Backend | Refusal {
  const own = pool.bound(session.backend, session.primary?.link);
  if (!own?.up) return refuse('SKYPORT_BACKEND_UNAVAILABLE');
  session.server = own.id;
  return own;
}

/** The own backend with a free place, then another one with one, then whoever makes room. */
function choose(services: Services, session: Session, own: Backend | undefined, tried: ReadonlySet<string>): Backend | undefined {
  const { pool, places } = services;
  // What is on a server's own disk is on none of another name.
  if (!services.moves) return pool.get(session.backend);
  const { protocolVersion } = session;
  const suits = own !== undefined && pool.serves(own, session.owner) && speaks(own, protocolVersion);
  const mine = suits && own.eligible && !tried.has(own.name) ? own : undefined;
  if (mine && places.room(mine.name, session)) return mine;
  // A backend of another Skyport may have the name of one of ours.
  const except = new Set(own ? [...tried, session.backend] : tried);
  let full: Backend | undefined;
  for (;;) {
    const other = pool.place({ user: session.owner, sessionId: session.id, protocolVersion }, except);
    if (isRefusal(other)) break;
    except.add(other.name);
    if (!other.mayTake(session.id)) continue;
    if (places.room(other.name, session)) return other;
    full ??= other;
  }
  if (mine ?? full) return mine ?? full;
  // It drains, and nothing else could take the session; unless it is to be empty for a restart.
  const last = suits && own.up && !own.restarting && !tried.has(own.name) && !pool.mayDoWithout(own);
  return last ? own : undefined;
}

/** Binds a session that nobody has loaded to another backend. */
export async function rebind(services: Services, session: Session, { name: backend, id }: Backend): Promise<Refusal | undefined> {
  const { backend: from, holder } = session;
  const taken = services.cluster?.isForeign(session) === true;
  try {
    await services.directory.rebind(session, backend, id);
  } catch (error) {
    channels.registryError.publish({ operation: 'rebind', message: String(error) });
    return refuse('SKYPORT_STORE_UNAVAILABLE');
  }
  if (taken) channels.sessionTaken.publish({ sessionId: session.id, from: holder, to: session.holder, direction: 'in' });
  channels.sessionMoved.publish({ ...changeOf(session), from, reason: session.slept ? 'asleep' : 'lost' });
  return undefined;
}

/** Everybody's attachment was lost with a link, or was put to sleep. */
export function isAsleep(session: Session): boolean {
  return session.attachments.length > 0 && session.attachments.every((a) => a.state === 'lost');
}

/**
 * Attaches again everybody whose attachment was lost, one after the other.
 * @param first the caller's own: whether that one succeeds is what the result tells
 * @param except one that is about to be replaced by a new attach
 */
export function restore(services: Services, session: Session, first?: Attachment, except?: Attachment): Promise<Refusal | undefined> {
  return session.alone(async () => {
    const lost = session.attachments.filter((a) => a.state === 'lost' && a !== except);
    // Readers last: with a turn to be taken up, the first brings the provider and answers what is pending.
    lost.sort((a, b) => Number(a.access === 'reader') - Number(b.access === 'reader') || Number(b === first) - Number(a === first));
    // None of them has asked for the session to be loaded again.
    if (!session.primary) for (const attachment of lost) attachment.hush.begin(session.heard);
    let refusal: Refusal | undefined;
    for (const attachment of lost) {
      if (attachment.state !== 'lost') continue;
      attachment.reattaching = restoreOne(services, attachment).finally(() => (attachment.reattaching = undefined));
      const result = await attachment.reattaching;
      if (attachment === (first ?? lost[0])) refusal = result;
      if (refusal) break;
    }
    return refusal;
  });
}

async function restoreOne(services: Services, attachment: Attachment): Promise<Refusal | undefined> {
  const { session } = attachment;
  const deadline = Date.now() + PATIENCE;
  const tried = new Set<string>();
  let failures = 0;
  for (;;) {
    if (attachment.state !== 'lost' || session.deleted) return undefined;
    const backend = await home(services, session, tried);
    if (isRefusal(backend)) return backend;
    const place = await services.places.take(session);
    if (isRefusal(place)) return place;
    const refusal = (await ready(services, session, backend)) ?? (await restoreOn(attachment, backend));
    place();
    tried.add(backend.name);
    // A turn that is being taken up begins anew with all of it (recovery.ts).
    const once = session.recovering !== undefined || !services.moves;
    if (!refusal || once || session.primary) return refusal;
    const again = isUnavailable(refusal) ? Date.now() < deadline : ++failures < MOST_TRIES && session.budget.take();
    if (!again) return refusal;
  }
}

/**
 * What has to be so before a session is loaded: its history is whole, and where it was lost with its link
 * only, the server has let go of it.
 */
export async function ready(services: Services, session: Session, backend: Backend): Promise<Refusal | undefined> {
  if (session.primary || session.creating || session.foreign) return undefined;
  const left = !session.slept && (services.moves || session.abandoned);
  if (left && !(await backend.hasUnloaded(session.id))) return refuse('SKYPORT_BACKEND_UNAVAILABLE');
  return session.recovering ? undefined : services.recovery?.tidy(session);
}

/** The backend could not be reached, so it cannot have been the session's doing. */
export function isUnavailable({ name }: Refusal): boolean {
  return name === 'SKYPORT_BACKEND_UNAVAILABLE';
}

async function restoreOn(attachment: Attachment, backend: Backend): Promise<Refusal | undefined> {
  const { session } = attachment;
  const reason = session.slept ? 'woken by a call' : 'its backend was lost';
  const owner = attachment.client as Client | undefined;
  const shared = session.attachments.some((a) => a !== attachment && a.live);
  const take = (found: Link): void => {
    if (attachment.state === 'lost') attachment.take(found);
  };
  const link = readable(await backend.links.acquire(profileOf(attachment), session.id, shared, take));
  if (isRefusal(link)) return link;
  if (attachment.link !== link) return undefined;
  owner?.settle(backend, link);
  const refusal = await reattach(attachment, link);
  if (!refusal) channels.sessionResumed.publish({ ...changeOf(session), clientId: owner?.id, reason });
  return refusal;
}

function profileOf(attachment: Attachment): Profile {
  return (attachment.client as Client | undefined)?.profile ?? PLAIN;
}

/** Why no link could be had, in the client's terms. */
export function readable(found: Link | Refusal | DialFailure): Link | Refusal {
  if (isRefusal(found) || !('kind' in found)) return found;
  if (found.kind === 'network') return refuse('SKYPORT_BACKEND_UNAVAILABLE');
  return refuse('SKYPORT_BACKEND_PROTOCOL', `The CLI server refused a connection: ${found.message}`);
}

export function changeOf(session: Session): { sessionId: string; owner: string; backend: string; epoch: number } {
  return { sessionId: session.id, owner: session.owner, backend: session.backend, epoch: session.epoch };
}
