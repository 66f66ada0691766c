/**
 * Questions that every backend answers for all of its users at once: how one is put to the backends of a
 * user, and how the answers become the one answer of a server that has only this user. Pure.
 *
 *   list     asked as it came; entries merged, newest first, as a server orders them
 *   derived  computed from sessions.list, because a server would pick or cut among all users' sessions
 *   each     lists of ids: every backend is asked about its own, nobody about somebody else's
 */
import type { MethodSpec } from '../protocol/method.js';
import { keepOwned } from './carriers.js';

type Fields = Record<string, unknown>;

export interface FanoutCall {
  /** The method to send; not always the one that was called. */
  readonly method: string;
  readonly params: Fields;
}

type Owns = (id: string) => boolean;

interface Entry extends Fields {
  readonly sessionId: string;
}

/** What a server answers to sessions.listNonEmptySessionIds without a limit (measured on 1.0.85). */
const DEFAULT_LIMIT = 2;

/** What is left of an entry beyond `metadataLimit` (measured on 1.0.85). */
const BASIC = ['sessionId', 'startTime', 'modifiedTime', 'isRemote', 'isDetached'];

const ANSWERS: Readonly<Record<string, (params: Fields, results: unknown[], owns: Owns) => unknown>> = {
  'session.list': (_params, results, owns) => ({ sessions: entries(results, owns) }),
  'sessions.list': listed,
  'session.getLastId': (_params, results, owns) => answerId(entries(results, owns)[0]),
  'sessions.getLastForContext': (params, results, owns) => answerId(mostRelevant(entries(results, owns), params['context'])),
  'sessions.findByPrefix': (params, results, owns) => answerId(byPrefix(entries(results, owns), params['prefix'])),
  'sessions.findByTaskId': (_params, results, owns) => answerId(results.filter(isFields).find((r) => isOwned(r, owns))),
  'sessions.listNonEmptySessionIds': nonEmpty,
  'sessions.getSizes': (_params, results, owns) => ({ sizes: maps(results, 'sizes', owns) }),
  'sessions.checkInUse': checkInUse,
  'sessions.getClientMetadata': clientMetadata,
  'sessions.enrichMetadata': enriched,
  'sessions.bulkDelete': bulkDelete,
};

const DERIVED = new Set(['sessions.getLastForContext', 'sessions.findByPrefix', 'sessions.listNonEmptySessionIds']);

/** The fanout methods that can be answered. */
export const FANOUT_METHODS: readonly string[] = Object.keys(ANSWERS);

/**
 * What to send to whom.
 * @param owns whether a session is the caller's to see
 * @param backendOf where a session is bound; one without a binding is looked for on the first backend
 * @param backends those to ask: all that may hold a session of the caller
 * @returns calls by backend; empty when there is nothing to ask (mergeFanout then answers from nothing)
 */
export function planFanout(
  spec: MethodSpec,
  params: Readonly<Fields>,
  owns: Owns,
  backendOf: (id: string) => string | undefined,
  backends: readonly string[],
): Map<string, FanoutCall> {
  if (spec.carriers.length > 0) return planEach(spec, params, owns, backendOf, backends);
  return new Map(backends.map((backend) => [backend, callFor(spec, params)]));
}

/**
 * The one answer, in the shape of the method that was called.
 * @param results what the backends answered to their calls; those that failed are left out
 */
export function mergeFanout(
  spec: MethodSpec,
  params: Readonly<Fields>,
  results: ReadonlyMap<string, unknown>,
  owns: Owns,
): unknown {
  return ANSWERS[spec.name]?.(params, [...results.values()], owns);
}

function callFor(spec: MethodSpec, params: Readonly<Fields>): FanoutCall {
  if (spec.name === 'session.getLastId') return { method: 'session.list', params: {} };
  if (DERIVED.has(spec.name)) return { method: 'sessions.list', params: {} };
  // The limit would be used up by other users' sessions; it is applied to the merged list.
  const { metadataLimit: _limit, ...rest } = params;
  return { method: spec.name, params: spec.name === 'sessions.list' ? rest : { ...params } };
}

function planEach(
  spec: MethodSpec,
  params: Readonly<Fields>,
  owns: Owns,
  backendOf: (id: string) => string | undefined,
  backends: readonly string[],
): Map<string, FanoutCall> {
  const calls = new Map<string, FanoutCall>();
  const at = (id: string) => backendOf(id) ?? backends[0];
  for (const backend of backends) {
    const mine = keepOwned(spec, params, (id) => owns(id) && at(id) === backend);
    if (spec.carriers.some(({ path }) => listOf(mine, path.split('[]')[0]).length > 0)) {
      calls.set(backend, { method: spec.name, params: mine });
    }
  }
  return calls;
}

/** A server lists sessions by modification, newest first; a shared disk lists one on every backend. */
function entries(results: readonly unknown[], owns: Owns): Entry[] {
  const newest = new Map<string, Entry>();
  for (const entry of results.flatMap((result) => (isFields(result) ? listOf(result, 'sessions') : []))) {
    if (!isOwned(entry, owns)) continue;
    const known = newest.get(entry.sessionId);
    if (known === undefined || modified(entry) > modified(known)) newest.set(entry.sessionId, entry);
  }
  return [...newest.values()].sort((a, b) => modified(b) - modified(a));
}

function modified(entry: Entry): number {
  const time = entry['modifiedTime'];
  return typeof time === 'string' ? Date.parse(time) || 0 : 0;
}

function listed(params: Fields, results: unknown[], owns: Owns): unknown {
  const all = entries(results, owns);
  const limit = params['metadataLimit'];
  if (typeof limit !== 'number') return { sessions: all };
  const basic = (entry: Entry) => Object.fromEntries(BASIC.filter((name) => name in entry).map((name) => [name, entry[name]]));
  return { sessions: all.map((entry, index) => (index < limit ? entry : basic(entry))) };
}

/** Measured: the newest session of the same repository, best of the same branch; then of the same directory; then of all. */
function mostRelevant(all: readonly Entry[], context: unknown): Entry | undefined {
  if (!isFields(context)) return all[0];
  const same = (entry: Entry, name: string): boolean =>
    context[name] !== undefined && isFields(entry['context']) && entry['context'][name] === context[name];
  for (const names of [['repository', 'branch'], ['repository'], ['gitRoot'], ['cwd']]) {
    const match = all.find((entry) => names.every((name) => same(entry, name)));
    if (match !== undefined) return match;
  }
  return all[0];
}

/** Seven to 35 characters of a UUID, in any case, that begin exactly one id (schema, and measured). */
function byPrefix(all: readonly Entry[], prefix: unknown): Entry | undefined {
  if (typeof prefix !== 'string' || !/^[0-9a-f-]{7,35}$/i.test(prefix)) return undefined;
  const matches = all.filter((entry) => entry.sessionId.toLowerCase().startsWith(prefix.toLowerCase()));
  return matches.length === 1 ? matches[0] : undefined;
}

/** A session without a user's message has no summary. */
function nonEmpty(params: Fields, results: unknown[], owns: Owns): unknown {
  const limit = typeof params['limit'] === 'number' ? params['limit'] : DEFAULT_LIMIT;
  const full = entries(results, owns).filter((entry) => typeof entry['summary'] === 'string' && entry['summary'] !== '');
  return { sessionIds: full.slice(0, Math.max(0, limit)).map((entry) => entry.sessionId) };
}

function checkInUse(params: Fields, results: unknown[], owns: Owns): unknown {
  const used = new Set(results.flatMap((result) => (isFields(result) ? listOf(result, 'inUse') : [])));
  return { inUse: idsIn(params).filter((id) => owns(id) && used.has(id)) };
}

/** In the order of the question; what is not the caller's is like what does not exist. */
function clientMetadata(params: Fields, results: unknown[], owns: Owns): unknown {
  const known = byId(results.flatMap((result) => (Array.isArray(result) ? (result as unknown[]) : [])), owns);
  return idsIn(params).map((id) => known.get(id) ?? { sessionId: id, status: 'notFound' });
}

/** An unknown record comes back as it was, with isDetached; an owned one that is left out is empty (schema). */
function enriched(params: Fields, results: unknown[], owns: Owns): unknown {
  const known = byId(results.flatMap((result) => (isFields(result) ? listOf(result, 'sessions') : [])), owns);
  const sessions = listOf(params, 'sessions').flatMap((record) => {
    if (!isFields(record)) return [];
    if (isOwned(record, owns)) return known.get(record.sessionId) ?? [];
    return { ...record, isDetached: false };
  });
  return { sessions };
}

/** Nothing is freed by deleting what does not exist, and that is no error (measured). */
function bulkDelete(params: Fields, results: unknown[], owns: Owns): unknown {
  const freed = maps(results, 'freedBytes', owns);
  const all = idsIn(params).filter((id) => Object.hasOwn(freed, id) || !owns(id));
  return { freedBytes: Object.fromEntries(all.map((id) => [id, freed[id] ?? 0])) };
}

function maps(results: readonly unknown[], name: string, owns: Owns): Record<string, unknown> {
  const pairs = results.flatMap((result) => (isFields(result) && isFields(result[name]) ? Object.entries(result[name]) : []));
  return Object.fromEntries(pairs.filter(([id]) => owns(id)));
}

function byId(items: readonly unknown[], owns: Owns): Map<string, Entry> {
  return new Map(items.filter((item): item is Entry => isOwned(item, owns)).map((item) => [item.sessionId, item]));
}

function answerId(entry: Fields | undefined): { sessionId?: unknown } {
  return entry === undefined ? {} : { sessionId: entry['sessionId'] };
}

function isOwned(value: unknown, owns: Owns): value is Entry {
  return isFields(value) && typeof value['sessionId'] === 'string' && owns(value['sessionId']);
}

function idsIn(params: Fields): string[] {
  return listOf(params, 'sessionIds').filter((id): id is string => typeof id === 'string');
}

function listOf(value: Fields, name = ''): unknown[] {
  const list = value[name];
  return Array.isArray(list) ? (list as unknown[]) : [];
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
