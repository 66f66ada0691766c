/**
 * What other Skyports ask of this one, besides what clients ask: to let go of a session, and to change
 * what only a session's holder changes. Nobody else can ask so: to a client these methods do not exist.
 */
import { refuse } from '../protocol/errors.js';
import { onSession, type MethodSpec } from '../protocol/method.js';
import type { Access } from '../protocol/access.js';
import { channels } from '../channels.js';
import type { Link } from '../backends/link.js';
import type { Session } from '../sessions/session.js';
import { missingIn, withShares, withoutShares } from '../sessions/shares.js';
import { ON_BEHALF } from '../sessions/recipe.js';
import type { Ask } from './ask.js';
import { RELEASE, SHARE, UNSHARE } from './cluster.js';
import { rewrite } from './requests.js';
import type { Services } from './services.js';
import { changeShares } from './sharing.js';

/** Milliseconds a server of ours has to unload what it cannot store any more. */
const DEADLINE = 5_000;

const SPECS: ReadonlyMap<string, MethodSpec> = new Map([RELEASE, SHARE, UNSHARE].map((name) => [name, onSession(name)]));

/** For whom another Skyport attaches, as that one has found out. */
export interface Behalf {
  readonly user: string;
  /** As of a principal. */
  readonly key: string;
  readonly access: Access;
}

/** Of the methods that Skyports have among themselves. */
export function peerMethod(name: string): MethodSpec | undefined {
  return SPECS.get(name);
}

/** @returns true when it was one of these methods */
export function answerPeer(ask: Ask): boolean {
  if (SPECS.get(ask.spec.name) !== ask.spec) return false;
  ask.keep();
  const answer = ask.spec.name === RELEASE ? release(ask) : reshare(ask);
  answer.catch((error: unknown) => {
    channels.registryError.publish({ operation: ask.spec.name, message: String(error) });
    ask.refuse(refuse('SKYPORT_STORE_UNAVAILABLE'));
  });
  return true;
}

/** Another Skyport wants a session: it may have what nobody here uses. */
async function release(ask: Ask): Promise<void> {
  const { directory } = ask.client.services;
  const { instance } = ask.params();
  const session = directory.get(ask.scan.sessionId ?? '');
  if (!session || !directory.holds(session)) {
    ask.result({ released: false, held: false });
    // One of the two is mistaken.
    if (session) await directory.refresh(session.id);
    return;
  }
  if (isInUse(session)) return ask.result({ released: false, held: true });
  // Whoever is about to load it has taken his place in this line.
  const released = typeof instance === 'string' && await session.alone(async () => !isInUse(session) && directory.cede(session, instance));
  ask.result({ released, held: directory.holds(session) });
}

async function reshare(ask: Ask): Promise<void> {
  const { services } = ask.client;
  const session = services.directory.get(ask.scan.sessionId ?? '');
  if (!session || !services.directory.holds(session)) return ask.refuse(refuse('SKYPORT_BACKEND_UNAVAILABLE'));
  const { users, roles, as } = ask.params();
  const named = { users: namesIn(users), roles: namesIn(roles) };
  const missing = missingIn(session.shares, named);
  const shares = ask.spec.name === SHARE && (as === 'reader' || as === 'writer')
    ? withShares(session.shares, named, as) : withoutShares(session.shares, named);
  await changeShares(services, session, shares);
  ask.result({ shares: session.shares ?? null, missing });
}

/** Another Skyport says for whom it attaches; a CLI server need not know. */
export function takeBehalf(ask: Ask, sessionId: string): void {
  const { [ON_BEHALF]: given, ...params } = ask.params();
  const { user, key, access } = (given ?? {}) as Partial<Record<keyof Behalf, unknown>>;
  if (typeof user === 'string' && typeof key === 'string' && (access === 'reader' || access === 'writer' || access === 'owner')) {
    (ask.client.behalf ??= new Map()).set(sessionId, { user, key, access });
  }
  rewrite(ask, params);
}

/**
 * A session has another holder: what was used here was used through a Skyport, or a server, that has no say in it
 * any more. Its clients go on by the new way; calls that are not answered yet are made again.
 */
export function letGo(services: Services, session: Session): void {
  // A server that has been left alone with it must not be taken for one that has let go of it.
  session.slept = false;
  for (const client of [...services.roster.all()]) client.displaced(session);
  for (const attachment of [...session.attachments]) {
    const { link } = attachment;
    attachment.onLinkLost();
    if (!link?.open) continue;
    services.pool.serving(link)?.leaveWith(session.id);
    // Its server is to unload what it cannot store any more.
    void (link as Link).call('session.detach', { sessionId: session.id }, DEADLINE);
  }
}

/** Somebody here has it attached, or is about to, or waits for an answer. */
function isInUse(session: Session): boolean {
  return session.attachments.length > 0 || session.creating || session.order.length > 0 || session.calls > 0
    || session.recovering !== undefined || session.dozing !== undefined;
}

function namesIn(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
}
