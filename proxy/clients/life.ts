/**
 * A session's life as clients steer it: create, resume, detach, destroy, delete, close.
 */
import { randomUUID } from 'node:crypto';
import { isRefusal, refuse, refuseSession, type Refusal } from '../protocol/errors.js';
import type { Backend } from '../backends/backend.js';
import { parseAnswer, type Link } from '../backends/link.js';
import type { Pool } from '../backends/pool.js';
import { namesSomebodyElse, ownerFor } from '../identity/principal.js';
import { Attachment, clear, type Residue } from '../sessions/attachment.js';
import { behalfOf, createParams, isNotFound, ON_BEHALF } from '../sessions/recipe.js';
import { IdTaken } from '../sessions/others.js';
import type { Session } from '../sessions/session.js';
import { channels } from '../channels.js';
import { Stopwatch } from '../backends/latency.js';
import { frameOf } from '../wire/frame.js';
import { peek } from '../wire/peek.js';
import type { Ask } from './ask.js';
import type { Client } from './client.js';
import { changeOf, home, isAsleep, ready, rebind, restore } from './loading.js';
import { afterRestart, awaitsSuccessor, passOn, settled } from './passage.js';
import { permit, rename, rewrite } from './requests.js';
import { waitsForServer } from './tenants.js';
import { attachParams, isSamePerson, isSuperseded, standingOf } from './sharing.js';

/** What every CLI server takes (PROTOCOL: Sessions). */
const SESSION_ID = /^[A-Za-z0-9_-]{1,128}$/;

/** Backends that are tried for one create or resume. */
const MOST_TRIES = 8;

/**
 * A create of a session that its owner already has becomes a resume: a server would attach silently
 * or start a second history (PROTOCOL: Sessions).
 */
export function create(ask: Ask): Refusal | undefined {
  const { client } = ask;
  const { admission, directory, pool, limits, authenticator } = client.services;
  const given = ask.scan.sessionId;
  // The server replaces an empty id by one of its own; the binding must be known before it answers.
  const sessionId = given === undefined || given === '' ? randomUUID() : given;
  if (!SESSION_ID.test(sessionId)) return refuse('SKYPORT_SESSION_ID_INVALID');
  const wiped = directory.wiped(sessionId);
  if (wiped) {
    ask.keep();
    void wiped.then(() => {
      const refusal = ask.done ? undefined : create(ask);
      if (refusal) ask.refuse(refusal);
    });
    return undefined;
  }
  const existing = directory.get(sessionId);
  if (existing && !client.owns(existing)) {
    return client.access(existing) ? refuse('SKYPORT_OWNER_ONLY', 'This session is shared with you: resume it') : refuseSession(sessionId);
  }
  const owner = ownerFor(client.principal!, sessionId);
  if (owner === undefined || namesSomebodyElse(client.principal!, sessionId, authenticator.patterns)) {
    return refuse('SKYPORT_SESSION_ID_REFUSED');
  }
  const placed = ask.scan.paramKeys.includes('workingDirectory');
  const refusal = permit(ask, owner);
  if (refusal) return refusal;
  if (given === undefined || given === '') rewrite(ask, { ...ask.params(), sessionId });
  if (existing) {
    // The guard's choice is for new sessions: on a resume, a directory would move the session there.
    if (!placed) rewrite(ask, { ...ask.params(), workingDirectory: undefined });
    return attach(ask, existing);
  }
  const tooMany = admission.refuseSessions(owner, client.principal!.roles, limits.sessions_per_user);
  if (tooMany) return tooMany;
  if (waitsForServer(ask, owner, () => create(ask))) return undefined;
  const backend = pool.place({ user: owner, sessionId, protocolVersion: client.protocolVersion });
  if (isRefusal(backend)) return afterRestart(ask, backend, () => create(ask));
  ask.keep();
  const registered = directory.register(sessionId, owner, backend.name, true);
  const session = directory.get(sessionId)!;
  ask.line(session, 'write', () => {
    ask.sent = true;
    registered.then(
      () => attachNow(ask, session),
      (error: unknown) => {
        if (error instanceof IdTaken) return createdElsewhere(ask, sessionId);
        channels.registryError.publish({ operation: 'put', message: String(error) });
        ask.refuse(refuse('SKYPORT_STORE_UNAVAILABLE'));
      },
    );
  });
  return undefined;
}

/** Another Skyport has given the id away first: to this client's user, or to somebody else. */
function createdElsewhere(ask: Ask, sessionId: string): void {
  ask.client.services.directory.learn(sessionId).then(
    (session) => {
      if (ask.client.owns(session)) attachNow(ask, session);
      else ask.refuse(refuseSession(sessionId));
    },
    () => ask.refuse(refuse('SKYPORT_STORE_UNAVAILABLE')),
  );
}

export function resume(ask: Ask, session: Session): Refusal | undefined {
  return attach(ask, session);
}

function attach(ask: Ask, session: Session): undefined {
  ask.line(session, 'write', () => attachNow(ask, session));
  return undefined;
}

function attachNow(ask: Ask, session: Session): void {
  // From here on it holds its place in the line to the end: two that look for a place at once would both find it.
  ask.sent = true;
  ask.keep();
  const { message, scan } = ask;
  const bug = (error: unknown): void => {
    channels.bug.publish({ where: 'clients/life', error });
    ask.refuse(refuse('SKYPORT_INTERNAL_ERROR'));
  };
  if (ask.client.services.recovery && !session.foreign) {
    ask.again = () => {
      // Without what the first server was to get.
      ask.replace(message, scan);
      attachElsewhere(ask, session).catch(bug);
    };
  }
  attachInSteps(ask, session).catch(bug);
}

/** The server was lost before it had answered: what it has begun to write of a new session is nobody's. */
async function attachElsewhere(ask: Ask, session: Session): Promise<void> {
  const { services } = ask.client;
  if (session.creating && !session.deleted) {
    const refusal = await session.alone(async () => {
      const { epoch } = session;
      await services.recovery?.clear(session);
      const backend = await home(services, session, new Set([session.backend]));
      if (isRefusal(backend)) return backend;
      return session.epoch === epoch ? rebind(services, session, backend) : undefined;
    });
    if (refusal) return ask.refuse(refusal);
  }
  await attachInSteps(ask, session);
}

/** Finds the attachment's place, then passes the create or resume on. */
async function attachInSteps(ask: Ask, session: Session): Promise<void> {
  const { client } = ask;
  const fresh = session.creating;
  if (session.deleted) return ask.refuse(refuseSession(session.id));
  const { workingDirectory } = ask.params();
  if (typeof workingDirectory === 'string') await client.services.makeDirectory(workingDirectory, session.owner);
  ask.onEnd = (ok) => {
    if (!ok && fresh && session.creating) void forgetNew(session, ask);
  };
  if (client.closed) return ask.giveUp();
  session.seenAt = Date.now();
  await session.dozing;
  // A turn that is held goes on being held after that, and may be taken over.
  await session.recovering;
  // Whoever else is attached must not miss what the newcomer begins.
  if (isAsleep(session)) await restore(client.services, session, undefined, client.attachments.get(session.id));
  const chosen = fresh || session.primary ? undefined : await session.alone(() => home(client.services, session));
  if (chosen && isRefusal(chosen)) return ask.refuse(chosen);
  const room = await client.services.places.take(session);
  if (isRefusal(room)) return ask.refuse(room);
  const place = await takePlace(ask, session).finally(room);
  if (isRefusal(place)) return ask.refuse(place);
  const { attachment, link } = place;
  const standing = standingOf(client, session);
  if (client.closed || !standing) {
    place.giveBack();
    return client.closed ? ask.giveUp() : ask.refuse(refuseSession(session.id));
  }
  const { access } = standing;
  attachment.access = access;
  session.protocolVersion = client.protocolVersion ?? session.protocolVersion;
  attachment.holder = standing.who;
  const params = attachParams(ask, session, access);
  let method: 'session.create' | 'session.resume' = fresh ? 'session.create' : 'session.resume';
  const recipe = { method: ask.spec.name as typeof method, params: Buffer.from(JSON.stringify(params)) };
  if (session.foreign) rewrite(ask, { ...params, [ON_BEHALF]: behalfOf(attachment) });
  const watch = new Stopwatch();
  ask.hook = (frame, peeked) => {
    if (peeked.isError) {
      const answer = parseAnswer(frame, peeked);
      const unknown = !isRefusal(answer) && !answer.ok && isNotFound(answer.error.message);
      // Created, never used, and unloaded: the server has nothing of it on its disk (PROTOCOL: Sessions).
      if (unknown && method === 'session.resume' && session.turns === 0 && !client.closed && access !== 'reader' && !session.foreign) {
        method = 'session.create';
        rewrite(ask, createParams(params), method);
        ask.forward(link, session.backend);
        return false;
      }
      place.giveBack();
      return true;
    }
    if (fresh) client.services.pool.bound(session.backend, link)?.latency.create(performance.now(), watch.read());
    session.creating = false;
    // What a server could load it has on its disk, whatever was counted before a crash.
    if (method === 'session.resume') session.stored();
    attachment.attached();
    attachment.recipe = recipe;
    session.changed();
    client.services.directory.touched(session);
    announce(ask, session, fresh, place.kind);
    // The server now counts a client that has left meanwhile.
    if (client.closed) attachment.vanished(Date.now(), client.services.linger, []);
    else if (attachment.client !== client) return endedMeanwhile(ask, attachment);
    else queueMicrotask(() => settle(session, attachment));
    return true;
  };
  if (method !== ask.spec.name) rename(ask, method);
  ask.forward(link, session.backend);
}

interface Place {
  readonly kind: 'new' | 'same' | 'held';
  readonly attachment: Attachment;
  readonly link: Link;
  /** The server did not take it. */
  giveBack(): void;
}

/** A held turn of the same user is taken over on its link; otherwise a link without this session. */
async function takePlace(ask: Ask, session: Session): Promise<Place | Refusal> {
  const { client } = ask;
  // A read may be bringing it back at this moment.
  await client.attachments.get(session.id)?.reattaching;
  const own = client.attachments.get(session.id);
  if (own?.link && own.state === 'attached') {
    return { kind: 'same', attachment: own, link: own.link as Link, giveBack: () => undefined };
  }
  const standing = standingOf(client, session);
  if (!standing) return refuseSession(session.id);
  const { who, access } = standing;
  const held = session.attachments.find((a) => a.state === 'held' && a.link?.open && isSamePerson(a, who, access));
  if (held) {
    held.adopt(client, who.key);
    client.isAttached(held);
    own?.gone();
    const giveBack = (): void => {
      client.detached(session.id);
      held.holdOn();
    };
    return { kind: 'held', attachment: held, link: held.link as Link, giveBack };
  }
  const attachment = new Attachment(session, client);
  const take = (link: Link): void => {
    attachment.resumes(who.key);
    attachment.take(link);
    session.add(attachment);
  };
  // What it left on a link when it detached it may register anew there, and nowhere else.
  const residue = client.reclaim(session);
  if (residue) take(residue.link as Link);
  const link = residue ? (residue.link as Link) : await newLink(ask, session, take);
  if (isRefusal(link)) return link;
  if (!client.closed) client.isAttached(attachment);
  own?.gone();
  const giveBack = (): void => {
    attachment.gone();
    if (residue) leaveAgain(client, residue);
  };
  return { kind: 'new', attachment, link, giveBack };
}

/** The server refused to attach the client anew, so what it had left there is still there. */
function leaveAgain(client: Client, residue: Residue): void {
  const { link, session } = residue;
  if (!link.open || !session.attachments.some((a) => a.live)) return;
  link.leaveResidue(session);
  if (client.closed) void clear(residue);
  else client.leaves(residue);
}

/** A session that its backend cannot take goes to another one, where it may. */
function newLink(ask: Ask, session: Session, take: (link: Link) => void): Promise<Link | Refusal> {
  const { client } = ask;
  const { pool, moves } = client.services;
  const tried = new Set<string>();
  return session.alone(async () => {
    for (;;) {
      const backend = session.creating ? bornOn(pool, session) : await home(client.services, session, tried);
      if (backend && isRefusal(backend)) return backend;
      const shared = session.attachments.some((a) => a.live);
      const unready = backend?.up ? await ready(client.services, session, backend) : undefined;
      const link = unready ?? (backend?.up
        ? settled(client, backend, await backend.links.acquire(client.profile, session.id, shared, take))
        : refuse('SKYPORT_BACKEND_UNAVAILABLE'));
      if (!isRefusal(link) || shared || tried.size >= MOST_TRIES) return link;
      if (session.creating && (await awaitsSuccessor(pool, session.backend))) continue;
      if (!session.creating && !moves) return link;
      tried.add(session.backend);
      if (!session.creating) continue;
      const other = pool.place({ user: session.owner, sessionId: session.id, protocolVersion: client.protocolVersion }, tried);
      if (isRefusal(other)) return other;
      const refusal = await rebind(client.services, session, other);
      if (refusal) return refusal;
    }
  });
}

/** The backend that a new session was placed on. */
function bornOn(pool: Pool, session: Session): Backend | undefined {
  const backend = pool.bound(session.backend);
  session.server = backend?.id;
  return backend;
}

/** The client's access to the session ended while a server was attaching it. */
function endedMeanwhile(ask: Ask, attachment: Attachment): false {
  attachment.vanished(Date.now(), 0, []);
  ask.refuse(refuseSession(attachment.session.id));
  return false;
}

/** Others held for this user are superfluous now; what was missed, and questions that waited, are the new client's. */
function settle(session: Session, attachment: Attachment): void {
  attachment.deliverUnanswered();
  for (const other of [...session.attachments]) {
    if (other !== attachment && other.state === 'held' && isSuperseded(other, attachment)) void other.release();
  }
}

/** A create that came to nothing leaves no owner behind. */
async function forgetNew(session: Session, ask: Ask): Promise<void> {
  if (session.deleted) return;
  try {
    await ask.client.services.directory.remove(session);
  } catch (error) {
    channels.registryError.publish({ operation: 'remove', message: String(error) });
  }
}

function announce(ask: Ask, session: Session, fresh: boolean, kind: Place['kind']): void {
  const change = { ...changeOf(session), clientId: ask.client.id };
  if (fresh) channels.sessionCreated.publish(change);
  else if (kind === 'new' && session.attachments.length > 1) channels.sessionAttached.publish(change);
  else channels.sessionResumed.publish(change);
}

/** `session.detach` and `session.destroy`. Without an attachment the answer is the runtime's (measured, 1.0.85). */
export function detach(ask: Ask, session: Session): Refusal | undefined {
  if (session.dozing) {
    ask.keep();
    void session.dozing.then(() => detach(ask, session));
    return undefined;
  }
  const attachment = ask.client.attachments.get(session.id);
  if (!attachment || attachment.state === 'lost') {
    attachment?.gone();
    ask.result({ success: ask.spec.life === 'detach' || attachment !== undefined });
    return undefined;
  }
  // After the answer has gone out; before the next write begins.
  ask.onEnd = (ok) => {
    if (!ok) return;
    attachment.ended();
    channels.sessionDetached.publish({ ...changeOf(session), clientId: ask.client.id, reason: ask.spec.life });
  };
  return passOn(ask, session);
}

/** `session.delete`, `sessions.delete`, `sessions.close`: they end everybody's attachments. */
export function remove(ask: Ask, session: Session): Refusal | undefined {
  const { directory } = ask.client.services;
  ask.hook = (frame, peeked) => {
    const answer = parseAnswer(frame, peeked);
    if (isRefusal(answer) || !answer.ok) return true;
    const success = (answer.result as { success?: boolean } | null)?.success !== false;
    // A session that was never used has no file to delete; it is gone when nobody is attached.
    const neverStored = !success && session.attachments.length === 0;
    if (!success && !neverStored) return true;
    // Its holder has removed it from the registry.
    if (ask.spec.life !== 'delete' || session.foreign) {
      ask.onEnd = () => endAll(session);
      return true;
    }
    // Nobody hears of the end before the registry: a Skyport that is killed now must not know the session again.
    const body = Buffer.from(frame.buffer.subarray(frame.body, frame.end));
    endAll(session);
    channels.sessionDeleted.publish({ ...changeOf(session), clientId: ask.client.id });
    void directory.remove(session)
      .catch((error: unknown) => channels.registryError.publish({ operation: 'remove', message: String(error) }))
      .then(() => {
        const copy = frameOf(body);
        ask.pass(copy, peek(copy.buffer, copy.body, copy.end));
      });
    return false;
  };
  return passOn(ask, session);
}

function endAll(session: Session): void {
  for (const attachment of [...session.attachments]) attachment.gone();
}
