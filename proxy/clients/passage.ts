/**
 * The last steps of a request: the session's order of writes, the link, and what its answer changes.
 */
import { isRefusal, refuse, refuseSession, type Refusal } from '../protocol/errors.js';
import { orderOf } from '../protocol/catalogue.js';
import type { DialFailure } from '../backends/dial.js';
import { parseAnswer, type Link } from '../backends/link.js';
import type { Backend } from '../backends/backend.js';
import type { Pool } from '../backends/pool.js';
import type { Attachment } from '../sessions/attachment.js';
import type { OrderKind } from '../sessions/order.js';
import type { Session } from '../sessions/session.js';
import { channels } from '../channels.js';
import { frameOf, type Frame } from '../wire/frame.js';
import { peek, type Peek } from '../wire/peek.js';
import { follow, isRepeatable, rememberAnswer, traitsOf, type Traits } from './again.js';
import type { Ask } from './ask.js';
import type { Client } from './client.js';
import { waitsForServer } from './tenants.js';
import { changeOf, home, isAsleep, readable, restore } from './loading.js';

/** Passes a call on to where its session lives, when its turn among the session's writes has come. */
export function passOn(ask: Ask, session: Session): undefined {
  const { spec } = ask;
  const order = orderOf(spec, ask.scan.paramKeys);
  if (spec.order !== 'none') ask.client.services.directory.touched(session);
  if (spec.life === undefined) session.used = true;
  session.seenAt = Date.now();
  if (spec.order !== 'none') session.stirred = true;
  if (order === 'none' && !session.creating) {
    send(ask, session);
    return undefined;
  }
  // A read that overtakes the create of its session would find nothing.
  inLine(ask, session, order === 'none' ? 'long' : order);
  return undefined;
}

/** Apart from `passOn`, most of whose calls need no closures. */
function inLine(ask: Ask, session: Session, order: OrderKind): void {
  const line = (): void => ask.line(session, order, () => send(ask, session));
  if (ask.spec.opensTurn) admit(ask, session, line);
  else line();
}

/** The user's limits first: whoever waits for the lock of a session has what his turn needs. */
function admit(ask: Ask, session: Session, go: () => void): void {
  const { admission, writers } = ask.client.services;
  admission.admit(ask, session, () => writers.admit(ask, session, go));
}

function send(ask: Ask, session: Session): void {
  if (session.deleted) {
    ask.refuse(refuseSession(session.id));
    return;
  }
  const attachment = ask.client.attachments.get(session.id);
  if (session.dozing || session.recovering) sendLater(ask, session);
  else if (attachment && attachment.state !== 'lost' && attachment.link && !attachment.reattaching) {
    dispatchOn(ask, session, attachment.link as Link);
  } else sendElsewhere(ask, session, attachment);
}

function sendLater(ask: Ask, session: Session): void {
  // Nobody wants a turn completed that its client ends meanwhile.
  if (session.recovering && ask.spec.name === 'session.abort') session.journal?.abort();
  ask.keep();
  void (session.dozing ?? session.recovering)!.then(() => send(ask, session));
}

function sendElsewhere(ask: Ask, session: Session, attachment: Attachment | undefined): void {
  ask.keep();
  void findLink(ask.client, session, attachment).then((link) => {
    if (isRefusal(link)) ask.refuse(link);
    else dispatchOn(ask, session, link);
  });
}

function dispatchOn(ask: Ask, session: Session, link: Link): void {
  if (ask.done) return;
  const { spec } = ask;
  if (ask.again) {
    ask.forward(link, session.backend);
    return;
  }
  const traits = traitsOf(spec);
  if (traits.abort) session.stall?.abort();
  const params = traits.amendment ? ask.params() : undefined;
  session.calls++;
  ask.counted = session;
  if (params || spec.opensTurn) noteEnd(ask, session, params);
  if (traits.history && session.hidden.any) strip(ask, session);
  if (session.journal) outlive(ask, session, traits);
  ask.forward(link, session.backend);
}

/** What the end of the call means for its session. @param params of an amendment */
function noteEnd(ask: Ask, session: Session, params: Record<string, unknown> | undefined): void {
  const { spec } = ask;
  const idles = spec.opensTurn ? session.turn.sent() : 0;
  const before = ask.onEnd;
  ask.onEnd = (ok) => {
    if (ok && params) session.amendments.note(spec.name, params);
    if (spec.opensTurn) session.turn.answered(ok, idles);
    // Nobody is attached any more: the server ends the turn, and nobody would see that.
    if (spec.opensTurn && !session.primary && !session.recovering) session.turn.end('client_gone');
    before?.(ok);
  };
}

/** The call may have to be made again, when its server is lost. */
function outlive(ask: Ask, session: Session, traits: Traits): void {
  const { spec } = ask;
  if (traits.abort && session.turn.open) session.journal!.abort();
  if (!isRepeatable(spec, orderOf(spec, ask.scan.paramKeys))) return;
  if (traits.answer) rememberAnswer(ask, session);
  ask.again = traits.send ? followed(ask, session) : repeat;
}

function followed(ask: Ask, session: Session): (ask: Ask) => void {
  const asItIs = follow(ask, session, () => send(ask, session));
  return asItIs ? () => repeat(ask, asItIs) : repeat;
}

/** Makes a call again whose server was lost. No closure: nearly every call could need it, and next to none does. */
function repeat(ask: Ask, asItIs?: () => void): void {
  const { spec, client } = ask;
  const session = ask.counted!;
  const recovered = session.recovering ?? Promise.resolve(!spec.opensTurn);
  void recovered.then((ok) => {
    // What has brought one server after the other down is not tried on the next one.
    if (!ok && spec.opensTurn) ask.refuse(refuse(client.services.draining ? 'SKYPORT_SHUTTING_DOWN' : 'SKYPORT_BACKEND_LOST'));
    else if (asItIs) asItIs();
    else send(ask, session);
  });
}

function strip(ask: Ask, session: Session): void {
  ask.hook = (frame, peeked) => stripHidden(ask, session, frame, peeked);
}

/** A history without what is there only because Skyport unloaded the session meanwhile. */
function stripHidden(ask: Ask, session: Session, frame: Frame, peeked: Peek): boolean {
  const answer = parseAnswer(frame, peeked);
  if (isRefusal(answer) || !answer.ok) return true;
  ask.result(session.hidden.strip(answer.result));
  return false;
}

async function findLink(client: Client, session: Session, attachment: Attachment | undefined): Promise<Link | Refusal> {
  const { services } = client;
  if (attachment) {
    const refusal = await restore(services, session, attachment);
    return refusal ?? (attachment.link as Link | undefined) ?? refuse('SKYPORT_SESSION_LOST');
  }
  // Others have it attached, so on a server it would be loaded: it has to be, for this call as well.
  if (isAsleep(session)) await restore(services, session);
  const backend = await session.alone(() => home(services, session));
  if (isRefusal(backend)) return backend;
  const usual = client.home(backend);
  if (usual?.free(session.id)) return usual;
  return settled(client, backend, await backend.links.borrow(client.profile, session.id));
}

/** Milliseconds that a call waits for the only backend, while that is started anew. */
const RESTART_PATIENCE = 10_000;

/** No backend can take the call. While one is being started anew by `skyport restart`, that is worth a wait. */
export function afterRestart(ask: Ask, refusal: Refusal, again: () => Refusal | undefined): Refusal | undefined {
  const { pool } = ask.client.services;
  if (ask.looked || !pool.all().some((backend) => backend.restarting || isBeingSucceeded(pool, backend.name))) return refusal;
  ask.keep();
  ask.looked = true;
  void pool.nextUp(RESTART_PATIENCE).then(() => {
    const found = ask.done ? undefined : again();
    if (found) ask.refuse(found);
  });
  return undefined;
}

/** A server that has been succeeded leaves at once, and its successor is up a moment later. */
function isBeingSucceeded(pool: Pool, name: string): boolean {
  return pool.get(name)?.health.state === 'starting' && pool.all().some((backend) => backend.removed && backend.name === name);
}

/** Waits for the successor of a backend. @returns false when there is none to wait for */
export async function awaitsSuccessor(pool: Pool, name: string): Promise<boolean> {
  if (!isBeingSucceeded(pool, name)) return false;
  await pool.nextUp(RESTART_PATIENCE);
  return true;
}

/** For a call that any backend may answer; one that the client already uses, if there is one. */
export function passToAny(ask: Ask): Refusal | undefined {
  const { client } = ask;
  const user = client.user ?? '';
  if (waitsForServer(ask, user, () => passToAny(ask))) return undefined;
  client.services.tenants?.used(user);
  const backend = client.services.pool.anyUp(user);
  if (!backend) return afterRestart(ask, refuse('SKYPORT_NO_BACKEND'), () => passToAny(ask));
  const home = client.home(backend);
  if (home) {
    ask.forward(home, backend.name);
    return undefined;
  }
  ask.keep();
  void backend.links.borrow(client.profile).then((found) => {
    const link = settled(client, backend, found);
    if (isRefusal(link)) ask.refuse(link);
    else ask.forward(link, backend.name);
  });
  return undefined;
}

/** A call whose result names a new session: it is the owner's before the client hears of it. */
export function fork(ask: Ask, source: Session): Refusal | undefined {
  const { admission, directory, limits } = ask.client.services;
  const tooMany = admission.refuseFork(source, limits.sessions_per_user);
  if (tooMany) return tooMany;
  // Whoever makes the new session is its holder.
  if (source.foreign) return passOn(ask, source);
  const path = ask.spec.registers!;
  ask.hook = (frame, peeked) => {
    const answer = parseAnswer(frame, peeked);
    if (isRefusal(answer) || !answer.ok) return true;
    const id = (answer.result as Record<string, unknown> | null)?.[path];
    if (typeof id !== 'string') return true;
    const body = Buffer.from(frame.buffer.subarray(frame.body, frame.end));
    void directory.register(id, source.owner, source.backend, false).then(
      (session) => {
        session.turns = Math.max(1, session.turns);
        directory.touched(session);
        channels.sessionCreated.publish({ ...changeOf(session), clientId: ask.client.id, reason: 'fork' });
        const copy = frameOf(body);
        ask.pass(copy, peek(copy.buffer, copy.body, copy.end));
      },
      (error: unknown) => {
        channels.registryError.publish({ operation: 'put', message: String(error) });
        ask.refuse(refuse('SKYPORT_STORE_UNAVAILABLE'));
      },
    );
    return false;
  };
  return passOn(ask, source);
}

/** Remembers the first link that a client uses on a backend. */
export function settled(client: Client, backend: Backend, found: Link | Refusal | DialFailure): Link | Refusal {
  const link = readable(found);
  if (!isRefusal(link)) client.settle(backend, link);
  return link;
}
