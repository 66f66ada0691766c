/**
 * Calls that a CLI server answers from its disk, answered from the files that Skyport keeps: a server
 * with a session file system lists nothing, deletes nothing, and forks nothing (measured, 1.0.85).
 */
import { randomUUID } from 'node:crypto';
import { isRefusal, refuse, refuseSession, type Refusal } from '../protocol/errors.js';
import { mergeFanout } from '../guard/fanout.js';
import type { Link } from '../backends/link.js';
import { channels } from '../channels.js';
import type { Session } from '../sessions/session.js';
import { clientMetadata, keyFault } from '../state/client-metadata.js';
import { appendNote, isForkFault, noteFork, planFork, writeFork, type ForkPlan } from '../state/fork.js';
import { Listing, matches } from '../state/listing.js';
import { isReadFault, PersistedEvents } from '../state/persisted-events.js';
import { EVENTS, each, type StoredEvent } from '../state/reading.js';
import { FileFault, type SessionFiles } from '../store/session-files.js';
import type { Ask } from './ask.js';
import { changeOf, home } from './loading.js';
import { settled } from './passage.js';
import type { Services } from './services.js';
import { sessionsOf } from './sharing.js';

export interface Stored {
  readonly files: SessionFiles;
  readonly listing: Listing;
  readonly persisted: PersistedEvents;
}

export function storedIn(files: SessionFiles): Stored {
  return { files, listing: new Listing(files), persisted: new PersistedEvents(files) };
}

type Fields = Readonly<Record<string, unknown>>;

/** Milliseconds that a server has to unload a session, or to store what it has not stored yet. */
const DEADLINE = 10_000;

/** Sessions that one call deletes, and whose notes it reads, at a time. */
const AT_ONCE = 8;

/** Calls answered from one list of the caller's sessions. */
const FROM_LIST = new Set([
  'session.list', 'sessions.list', 'session.getLastId', 'sessions.getLastForContext', 'sessions.findByPrefix',
  'sessions.listNonEmptySessionIds',
]);

/** Answers a call on one session. @returns false when a server has to */
export function answerStored(ask: Ask, stored: Stored, session: Session): Refusal | boolean {
  const { listing, persisted } = stored;
  switch (ask.spec.name) {
    case 'session.getMetadata':
    case 'sessions.getMetadata':
      return from(ask, async () => {
        const entry = await listing.entry(session.id);
        ask.result(entry ? { session: entry } : {});
      });
    case 'sessions.getPersistedRemoteSteerable':
      return from(ask, async () => ask.result(await listing.remoteSteerable(session.id)));
    case 'sessions.readPersistedEvents':
      return from(ask, async () => {
        const page = await persisted.read(ask.client.user ?? '', session.id, ask.params(), (id) => session.hidden.has(id));
        if (isReadFault(page)) ask.refuse(faulty(ask, page));
        else ask.result(page);
      });
    case 'session.delete':
    case 'sessions.delete':
      return inLine(ask, session, () => atHolder(ask, session, () => remove(ask, stored, session)));
    case 'sessions.fork':
      return fork(ask, stored, session);
    default:
      return false;
  }
}

/**
 * Answers a call about many sessions.
 * @param owns the sessions that the call may see
 * @returns false when the servers have to
 */
export function answerStoredOfMany(ask: Ask, stored: Stored, owns: (id: string) => boolean): boolean {
  const { spec, client } = ask;
  const { files, listing } = stored;
  const ids = (): string[] => [...sessionsOf(client)].map(({ id }) => id).filter(owns);
  const params: Fields = ask.params();
  if (FROM_LIST.has(spec.name)) {
    return from(ask, async () => {
      const all = await listing.entries(ids(), params['includeDetached'] === true);
      const lists = spec.name.endsWith('.list');
      const shown = params['source'] === 'remote' ? [] : all.filter((entry) => !lists || matches(entry, params['filter']));
      ask.result(mergeFanout(spec, params, new Map([['', { sessions: shown }]]), owns));
    });
  }
  switch (spec.name) {
    case 'sessions.findByTaskId':
      return from(ask, async () => {
        const { taskId } = params;
        const found = (await listing.entries(ids(), true)).find(({ mcTaskId }) => mcTaskId !== undefined && mcTaskId === taskId);
        ask.result(found ? { sessionId: found.sessionId } : {});
      });
    case 'sessions.getSizes':
      return from(ask, async () => ask.result({ sizes: await listing.sizes(ids()) }));
    case 'sessions.enrichMetadata':
      return from(ask, async () => ask.result({ sessions: await enriched(listing, params, owns) }));
    case 'sessions.getClientMetadata':
      return from(ask, async () => {
        const wrong = keyFault(params['keys']);
        if (wrong !== undefined) return ask.refuse(refuse('SKYPORT_INVALID_PARAMS', failed(ask, `client metadata is invalid: ${wrong}`)));
        const keys = Array.isArray(params['keys']) ? (params['keys'] as string[]) : undefined;
        ask.result(await each(idsIn(params), AT_ONCE, (id) =>
          owns(id) ? clientMetadata(files, id, keys) : Promise.resolve({ sessionId: id, status: 'notFound' })));
      });
    case 'sessions.bulkDelete':
      return from(ask, async () => ask.result({ freedBytes: await bulkDelete(ask, stored, idsIn(params), owns) }));
    default:
      return false;
  }
}

async function enriched(listing: Listing, params: Fields, owns: (id: string) => boolean): Promise<object[]> {
  const records = Array.isArray(params['sessions']) ? (params['sessions'] as unknown[]) : [];
  const sound = records.filter((one): one is Fields => typeof one === 'object' && one !== null && !Array.isArray(one));
  const found = await each(sound, AT_ONCE, async (record) => {
    const { sessionId } = record;
    return typeof sessionId === 'string' && owns(sessionId) ? listing.enriched(record, sessionId) : { ...record, isDetached: false };
  });
  return found.filter((one): one is object => one !== undefined);
}

/** Nothing is freed by deleting what does not exist, and that is no error (measured). What could not be deleted is left out. */
async function bulkDelete(ask: Ask, stored: Stored, ids: readonly string[], owns: (id: string) => boolean): Promise<Record<string, number>> {
  const { services } = ask.client;
  const freed = await each([...new Set(ids)], AT_ONCE, async (id): Promise<[string, number] | undefined> => {
    const session = owns(id) ? services.directory.get(id) : undefined;
    if (!session) return [id, 0];
    try {
      return [id, await alone(session, () => destroy(services, stored, session, ask))];
    } catch (error) {
      storeFault(error);
      return undefined;
    }
  });
  return Object.fromEntries(freed.filter((one) => one !== undefined));
}

async function remove(ask: Ask, stored: Stored, session: Session): Promise<void> {
  await destroy(ask.client.services, stored, session, ask);
  if (ask.spec.name === 'sessions.delete') return ask.result({});
  // As a server tells every connection of it, before it answers (measured).
  const notice = JSON.stringify({ jsonrpc: '2.0', method: 'session.lifecycle', params: { type: 'session.deleted', sessionId: session.id } });
  for (const client of ask.client.services.roster.all()) {
    if (!client.closed && client.concerns(session)) client.deliverText(notice);
  }
  ask.result({ success: true });
}

/**
 * Ends a session for everybody: its server unloads it, its files are wiped, and nobody knows it any more.
 * @returns bytes that its files had
 */
async function destroy(services: Services, stored: Stored, session: Session, by: Ask): Promise<number> {
  if (session.deleted) return 0;
  const size = session.foreign ? await stored.files.size(session.id) : 0;
  if (await destroyElsewhere(services, session)) return size;
  // What ends with its attachments must not be taken for one that was never used, and be wiped twice.
  session.used = true;
  // Before the files go, or its last write would fail and it would stay loaded (measured).
  await linkOf(session, by)?.call('sessions.close', { sessionId: session.id }, DEADLINE);
  for (const attachment of [...session.attachments]) attachment.gone();
  const bytes = await stored.files.size(session.id);
  stored.listing.forget(session.id);
  try {
    // From here on no server has a lease of it; the files go before the registry's record.
    await services.directory.remove(session);
  } catch (error) {
    channels.registryError.publish({ operation: 'remove', message: String(error) });
    throw error;
  }
  channels.sessionDeleted.publish({ ...changeOf(session), clientId: by.client.id });
  return bytes;
}

function fork(ask: Ask, stored: Stored, source: Session): Refusal | true {
  const { admission, limits } = ask.client.services;
  const tooMany = admission.refuseFork(source, limits.sessions_per_user);
  if (tooMany) return tooMany;
  return inLine(ask, source, () => atHolder(ask, source, () => forkNow(ask, stored, source)));
}

/** What only a session's holder does is done here when that is this Skyport, or can be. */
async function atHolder(ask: Ask, session: Session, here: () => Promise<void>): Promise<void> {
  const { client } = ask;
  const holder = session.foreign ? await home(client.services, session) : undefined;
  if (holder && isRefusal(holder)) return ask.refuse(holder);
  if (!holder || !session.foreign) return here();
  const link = linkOf(session, ask) ?? settled(client, holder, await holder.links.borrow(client.profile));
  if (isRefusal(link)) return ask.refuse(link);
  ask.forward(link, session.backend);
}

/** @returns true when the session's holder, another Skyport, has deleted it */
async function destroyElsewhere(services: Services, session: Session): Promise<boolean> {
  const holder = session.foreign ? await home(services, session) : undefined;
  if (!holder || (!isRefusal(holder) && !session.foreign)) return false;
  const answer = isRefusal(holder) ? holder : await holder.ask('session.delete', { sessionId: session.id }, DEADLINE);
  const done = !isRefusal(answer) && answer.ok && (answer.result as { success?: unknown } | null)?.success === true;
  if (!done) throw new FileFault('EIO', 'the Skyport that has the session did not delete it');
  return true;
}

async function forkNow(ask: Ask, stored: Stored, source: Session): Promise<void> {
  const { files } = stored;
  const { toEventId, name } = ask.params();
  const link = linkOf(source, ask);
  await link?.call('sessions.save', { sessionId: source.id }, DEADLINE);
  const unsaved = link && !(await files.exists(source.id, EVENTS)) ? await eventsOf(link, source) : undefined;
  const id = randomUUID();
  const plan = await planFork(files, source.id, id, {
    ...(typeof toEventId === 'string' ? { toEventId } : {}),
    ...(typeof name === 'string' ? { name } : {}),
    ...(unsaved ? { unsaved } : {}),
  });
  if (isForkFault(plan)) return ask.refuse(faulty(ask, plan));
  await store(ask, stored, source, id, plan);
  await tell(files, source, plan, link);
  ask.result({ sessionId: id, name: plan.name });
}

/** Tells the source of its fork. The fork is made, whatever becomes of this. */
async function tell(files: SessionFiles, source: Session, plan: ForkPlan, link: Link | undefined): Promise<void> {
  const lease = { sessionId: source.id, epoch: source.epoch };
  try {
    await noteFork(files, plan, lease);
    if (link) await link.call('session.log', { sessionId: source.id, type: 'fork', message: plan.note }, DEADLINE);
    else await appendNote(files, plan, lease);
  } catch (error) {
    if (!(error instanceof FileFault)) throw error;
  }
}

/** The new session: its owner's before anything of it is stored, and nobody's when that fails. */
async function store(ask: Ask, stored: Stored, source: Session, id: string, plan: ForkPlan): Promise<void> {
  const { directory } = ask.client.services;
  const session = await directory.register(id, source.owner, source.backend, false);
  session.used = true;
  try {
    await writeFork(stored.files, plan, { sessionId: id, epoch: session.epoch });
  } catch (error) {
    await directory.remove(session);
    throw error;
  }
  session.stored();
  for (const event of plan.ids) if (typeof event === 'string' && source.hidden.has(event)) session.hidden.add(event);
  directory.touched(session);
  channels.sessionCreated.publish({ ...changeOf(session), clientId: ask.client.id, reason: 'fork' });
}

/** The events of a session whose server has not stored any yet. */
async function eventsOf(link: Link, session: Session): Promise<StoredEvent[]> {
  const answer = await link.call('session.getMessages', { sessionId: session.id }, DEADLINE);
  if (!('ok' in answer) || !answer.ok) return [];
  const { events } = (answer.result ?? {}) as { events?: (StoredEvent & { ephemeral?: unknown })[] };
  return (events ?? []).filter(({ ephemeral }) => ephemeral !== true);
}

/** Where the session is loaded; the caller's own link first, so that what it hears of it comes before the answer. */
function linkOf(session: Session, ask: Ask): Link | undefined {
  const own = ask.client.attachments.get(session.id);
  const link = (own?.live ? own.link : undefined) ?? session.primary?.link;
  return link?.open ? (link as Link) : undefined;
}

/** Carries a call out that reads; what goes wrong is the store's. */
function from(ask: Ask, answer: () => Promise<void>): true {
  ask.keep();
  answer().catch((error: unknown) => ask.refuse(storeFault(error)));
  return true;
}

/** Carries a call out in its place among the session's writes, when nobody is loading or unloading it. */
function inLine(ask: Ask, session: Session, work: () => Promise<void>): true {
  ask.line(session, 'write', () => {
    ask.sent = true;
    from(ask, () => alone(session, () => (session.deleted ? refused(ask, refuseSession(session.id)) : work())));
  });
  return true;
}

async function alone<T>(session: Session, work: () => Promise<T>): Promise<T> {
  await session.dozing;
  await session.recovering;
  return session.alone(work);
}

async function refused(ask: Ask, refusal: Refusal): Promise<void> {
  ask.refuse(refusal);
}

function faulty(ask: Ask, { fault, message }: { fault: 'params' | 'missing' | 'damaged'; message: string }): Refusal {
  const names = { params: 'SKYPORT_INVALID_PARAMS', missing: 'SKYPORT_SESSION_NOT_OWNED', damaged: 'SKYPORT_STORE_UNAVAILABLE' } as const;
  return refuse(names[fault], failed(ask, message));
}

/** The runtime's way to say so. */
function failed(ask: Ask, message: string): string {
  return `Request ${ask.spec.name} failed with message: ${message}`;
}

function storeFault(error: unknown): Refusal {
  if (!(error instanceof FileFault)) {
    channels.bug.publish({ where: 'clients/stored', error });
    return refuse('SKYPORT_INTERNAL_ERROR');
  }
  const what = error.code === 'EDQUOT' ? 'There is no room left for the files of the session' : 'The files of the session could not be read or written';
  return refuse('SKYPORT_STORE_UNAVAILABLE', what);
}

function idsIn(params: Fields): string[] {
  const { sessionIds } = params;
  return Array.isArray(sessionIds) ? sessionIds.filter((id): id is string => typeof id === 'string') : [];
}
