/**
 * The way of one request of a client: may it, on this session, with these parameters; then where to.
 */
import { isRefusal, refuse, refuseSession, type Refusal } from '../protocol/errors.js';
import { lookup, type MethodSpec } from '../protocol/catalogue.js';
import { errorReply } from '../protocol/errors.js';
import { channels } from '../channels.js';
import { sessionIdsIn } from '../guard/carriers.js';
import { readerResume, refuseByAccess } from '../guard/sharing.js';
import type { Session } from '../sessions/session.js';
import type { Frame } from '../wire/frame.js';
import { scan, type Scan } from '../wire/scan.js';
import { withParams } from '../wire/rewrite.js';
import { Ask, readAskId } from './ask.js';
import type { Client } from './client.js';
import { create, detach, resume, remove } from './life.js';
import { answerLocally } from './local.js';
import { fanOut } from './fanout.js';
import { fork, passOn, passToAny } from './passage.js';
import { answerPeer, peerMethod, takeBehalf } from './peers.js';
import { answerStored } from './stored.js';

/** @param frame not kept after the call, unless the request has to wait */
export function dispatch(client: Client, frame: Frame, scanned: Scan): void {
  const id = readAskId(frame.buffer, scanned.idStart, scanned.idEnd);
  const spec = lookup(scanned.method) ?? (client.isPeer ? peerMethod(scanned.method) : undefined);
  if (!spec) {
    // A client may name anything here; the name goes back to it, and into no label.
    const refusal = refuse('SKYPORT_METHOD_UNKNOWN', `Unhandled method ${scanned.method}`);
    channels.refusal.publish({ name: refusal.name, user: client.user });
    client.deliverText(errorReply(String(id), refusal));
    channels.requestDone.publish({ method: scanned.method, outcome: refusal.name, durationMs: 0 });
    return;
  }
  const ask = new Ask(client, id, spec, frame, scanned);
  begin(ask, spec);
  ask.settle();
}

function begin(ask: Ask, spec: MethodSpec): void {
  const { client } = ask;
  const overload = client.begin(ask) ?? (client.crowded ? refuse('SKYPORT_TOO_MANY_REQUESTS') : undefined);
  if (overload) {
    ask.refuse(overload);
    return;
  }
  if (client.isPeer && answerPeer(ask)) return;
  // Another Skyport takes what it uses of this one's sessions as soon as it hears of the end.
  if (client.services.draining && !client.isPeer && (spec.life === 'create' || spec.opensTurn)) {
    ask.refuse(refuse('SKYPORT_SHUTTING_DOWN'));
    return;
  }
  // What is under way goes on as far as it can; what would begin now could not be kept.
  if ((spec.life === 'create' || spec.life === 'resume' || spec.opensTurn) && client.services.storeAway()) {
    ask.refuse(refuse('SKYPORT_STORE_UNAVAILABLE'));
    return;
  }
  const refusal = route(ask, spec);
  if (refusal) ask.refuse(refusal);
}

function route(ask: Ask, spec: MethodSpec): Refusal | undefined {
  const { client } = ask;
  // It asks for nothing else, and owns nothing itself.
  if (client.isPeer && (spec.life === 'create' || spec.route === 'fanout' || spec.route === 'any')) return refuse('SKYPORT_METHOD_REFUSED');
  switch (spec.route) {
    case 'session':
      return spec.life === 'create' ? create(ask) : onSession(ask, spec);
    case 'fanout':
      return strayId(ask) ?? permit(ask, client.user ?? '') ?? fanOut(ask);
    case 'any':
      return strayId(ask) ?? ownsAll(ask, spec) ?? permit(ask, client.user ?? '') ?? passToAny(ask);
    case 'local':
    case 'handshake':
      return permit(ask, client.user ?? '') ?? answerLocally(ask);
    default:
      return permit(ask, client.user ?? '') ?? refuse('SKYPORT_METHOD_REFUSED', `${spec.name} is never passed on`);
  }
}

function onSession(ask: Ask, spec: MethodSpec): Refusal | undefined {
  const { client } = ask;
  const { directory } = client.services;
  const sessionId = ask.scan.sessionId;
  if (sessionId === undefined) return refuse('SKYPORT_INVALID_PARAMS', `Missing sessionId in ${spec.name} request`);
  const session = directory.get(sessionId);
  const access = client.access(session);
  if (!session && client.services.cluster && !ask.looked) return lookElsewhere(ask, spec, sessionId);
  if (!session || !access) return unknownSession(ask, spec, sessionId);
  if (client.isPeer && session.foreign) return notHeld(ask, spec);
  const closed = access === 'owner' ? undefined : refuseByAccess(access, spec);
  if (closed) return closed;
  // Before the guard looks: it need not refuse what is not passed on.
  if (access === 'reader' && spec.life === 'resume') rewrite(ask, readerResume(ask.params()));
  const refusal = ownsAll(ask, spec, session) ?? permit(ask, session.owner);
  if (refusal) return refusal;
  if (client.isPeer && spec.life === 'resume') takeBehalf(ask, sessionId);
  const { stored } = client.services;
  const answered = stored && answerStored(ask, stored, session);
  if (answered) return answered === true ? undefined : answered;
  switch (spec.life) {
    case 'resume':
      return resume(ask, session);
    case 'detach':
    case 'destroy':
      return detach(ask, session);
    case 'delete':
    case 'close':
      return remove(ask, session);
    default:
      return spec.registers === undefined ? passOn(ask, session) : fork(ask, session);
  }
}

/** Another Skyport may have made the session a moment ago. */
function lookElsewhere(ask: Ask, spec: MethodSpec, sessionId: string): undefined {
  ask.keep();
  ask.looked = true;
  ask.client.services.directory.learn(sessionId).then(
    () => {
      const refusal = ask.done ? undefined : onSession(ask, spec);
      if (refusal) ask.refuse(refusal);
    },
    () => ask.refuse(refuse('SKYPORT_STORE_UNAVAILABLE')),
  );
  return undefined;
}

/**
 * Another Skyport takes this one for the holder of a session, and is about to hear that it is not: what it
 * has asked for it asks again then. It is never passed on to a third.
 */
function notHeld(ask: Ask, spec: MethodSpec): Refusal | undefined {
  if (spec.life === 'resume') return refuse('SKYPORT_BACKEND_UNAVAILABLE');
  ask.giveUp();
  return undefined;
}

/** Somebody else's session answers like one that does not exist, as a CLI server answers that. */
function unknownSession(ask: Ask, spec: MethodSpec, sessionId: string): Refusal | undefined {
  switch (spec.unknownSession) {
    case 'empty':
      ask.result({});
      return undefined;
    case 'detached':
      ask.result({ success: true });
      return undefined;
    case 'destroyed':
      ask.result({ success: false });
      return undefined;
    default:
      return refuseSession(sessionId);
  }
}

/** A session id where the method has none to take: whatever a server makes of it, it must be the caller's. */
function strayId(ask: Ask): Refusal | undefined {
  const { sessionId } = ask.scan;
  if (sessionId === undefined || ask.client.owns(ask.client.services.directory.get(sessionId))) return undefined;
  return refuseSession(sessionId);
}

/** Every other place where a session id travels in the parameters: the caller's own, or `session` once more. */
function ownsAll(ask: Ask, spec: MethodSpec, session?: Session): Refusal | undefined {
  if (spec.carriers.length === 0) return undefined;
  const ids = sessionIdsIn(spec, ask.params());
  if (isRefusal(ids)) return ids;
  for (const { id } of ids) {
    if (id !== session?.id && !ask.client.owns(ask.client.services.directory.get(id))) return refuseSession(id);
  }
  return undefined;
}

/**
 * Method and parameters by the guard's rules. Parameters that the guard replaces are replaced here.
 * @param owner whose session it is, or would be
 */
export function permit(ask: Ask, owner: string): Refusal | undefined {
  const { client, spec } = ask;
  const principal = client.principal!;
  // It has asked its own guard.
  if (client.isPeer) return undefined;
  const { guard } = client.services;
  const refusal = guard.method(principal, owner, spec);
  if (refusal) return refusal;
  const verdict = guard.params(principal, owner, spec, ask.scan.paramKeys, () => ask.params());
  if (isRefusal(verdict)) return verdict;
  if (verdict.replace) rewrite(ask, verdict.replace);
  return undefined;
}

/** Puts other parameters, and another method if given, into the message. */
export function rewrite(ask: Ask, params: Record<string, unknown>, method?: string): void {
  patch(ask, { params: JSON.stringify(params), method });
}

/** Puts another method into the message; the parameters stay as they came, to the byte. */
export function rename(ask: Ask, method: string): void {
  patch(ask, { method });
}

function patch(ask: Ask, change: { method?: string; params?: string }): void {
  const frame = withParams(ask.message, ask.scan, change);
  ask.replace(frame, scan(frame.buffer, frame.body, frame.end) as Scan);
}

