/**
 * Calls that concern sessions on several backends: asked of each, merged, and filtered to what the
 * caller may see.
 */
import { isRefusal, refuse, type Refusal } from '../protocol/errors.js';
import { mergeFanout, planFanout } from '../guard/fanout.js';
import { sessionIdsIn } from '../guard/carriers.js';
import type { Backend } from '../backends/backend.js';
import { isService } from '../identity/principal.js';
import { channels } from '../channels.js';
import type { Ask } from './ask.js';
import { settled } from './passage.js';
import { sessionsOf } from './sharing.js';
import { answerStoredOfMany } from './stored.js';

/** Milliseconds that one backend has; the others' results do not wait longer for it. */
const DEADLINE = 10_000;

/**
 * Not asked about sessions that others share with the caller: what picks the session to go on with
 * would pick somebody else's, and what deletes may not.
 */
const OWN_ONLY = new Set(['session.getLastId', 'sessions.getLastForContext', 'sessions.bulkDelete']);

export function fanOut(ask: Ask): Refusal | undefined {
  const { client, spec } = ask;
  const { directory, pool } = client.services;
  const params = ask.params();
  if (spec.carriers.length > 0) {
    const ids = sessionIdsIn(spec, params);
    if (isRefusal(ids)) return ids;
  }
  const owns = OWN_ONLY.has(spec.name)
    ? (id: string) => client.owns(directory.get(id))
    : (id: string) => client.access(directory.get(id)) !== undefined;
  if (client.services.stored && answerStoredOfMany(ask, client.services.stored, owns)) return undefined;
  // A service's users may be anywhere; its answers are filtered like everybody's.
  const may = (backend: Backend): boolean => backend.up && (isService(client.principal!) || pool.serves(backend, client.user ?? ''));
  const names = pool.names().filter((name) => may(pool.get(name)!));
  const plan = planFanout(spec, params, owns, (id) => directory.get(id)?.backend, names);
  gather(ask, plan).then(
    (results) => {
      const lists = [...plan.values()].some(({ method }) => method.endsWith('.list')) || plan.size === 0;
      if (lists && params['filter'] === undefined) results.set('', { sessions: outOfReach(ask, results) });
      const merged = mergeFanout(spec, params, results, owns);
      if (spec.name === 'sessions.bulkDelete') forget(ask, merged as { freedBytes?: Record<string, number> });
      ask.result(merged);
    },
    (error: unknown) => {
      channels.bug.publish({ where: 'clients/fanout', error });
      ask.refuse(refuse('SKYPORT_INTERNAL_ERROR'));
    },
  );
  return undefined;
}

/** The results of the backends that answered. One that failed is left out: it may come back with its sessions. */
async function gather(ask: Ask, plan: ReadonlyMap<string, { method: string; params: object }>): Promise<Map<string, unknown>> {
  const { client } = ask;
  const results = new Map<string, unknown>();
  await Promise.all(
    [...plan].map(async ([name, { method, params }]) => {
      const backend = client.services.pool.get(name);
      if (!backend) return;
      const link = client.home(backend) ?? settled(client, backend, await backend.links.borrow(client.profile));
      if (isRefusal(link)) return;
      const answer = await link.call(method, params, DEADLINE);
      if (!isRefusal(answer) && answer.ok) results.set(name, answer.result);
    }),
  );
  return results;
}

/** What the registry knows of the caller's sessions on backends that did not answer: they are not gone. */
function outOfReach(ask: Ask, answered: ReadonlyMap<string, unknown>): object[] {
  const entries: object[] = [];
  for (const session of sessionsOf(ask.client)) {
    if (answered.has(session.backend) || session.turns === 0) continue;
    entries.push({
      sessionId: session.id,
      startTime: new Date(session.createdAt).toISOString(),
      modifiedTime: new Date(session.usedAt).toISOString(),
      isRemote: false,
      isDetached: false,
    });
  }
  return entries;
}

/** What the servers have deleted nobody owns any more. */
function forget(ask: Ask, { freedBytes = {} }: { freedBytes?: Record<string, number> }): void {
  const { directory } = ask.client.services;
  for (const id of Object.keys(freedBytes)) {
    const session = directory.get(id);
    if (!session || !ask.client.owns(session)) continue;
    for (const attachment of [...session.attachments]) attachment.gone();
    directory.remove(session).catch((error: unknown) => {
      channels.registryError.publish({ operation: 'remove', message: String(error) });
    });
  }
}
