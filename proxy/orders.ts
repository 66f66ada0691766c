/** `skyport drain`, `move` and `sessions prune`: what the control socket asks for, done. */
import type { MoveReport, MoveRequest, OrderRefused, PruneReport, PruneRequest, UnknownBackend, UnknownSession } from './admin/actions.js';
import { channels } from './channels.js';
import type { Mover } from './clients/moving.js';
import type { Services } from './clients/services.js';
import type { Session } from './sessions/session.js';

/** Sessions that are deleted at one time, so that no server and no disk is flooded. */
const STEP = 20;

/** Gives a backend no sessions any more, or again. */
export function setDraining({ pool }: Services, name: string, draining: boolean): UnknownBackend | undefined {
  const backend = pool.get(name);
  if (!backend) return { unknownBackend: name, names: pool.names() };
  if (backend.draining !== draining) {
    backend.draining = draining;
    const [from, to] = draining ? [backend.health.state, 'draining'] : ['draining', backend.health.state];
    channels.backendState.publish({ backend: name, from, to, reason: draining ? 'skyport drain' : 'skyport undrain' });
  }
  return undefined;
}

/** Moves one session to a backend that can take it. */
export async function move(
  { directory, pool, moves }: Services,
  mover: Mover,
  { session: id, backend: name, wait }: MoveRequest,
): Promise<MoveReport | UnknownSession | UnknownBackend | OrderRefused> {
  if (!moves) {
    return { orderRefused: 'With sessions.state: server the history of a session is on its server\'s own disk: it cannot be moved' };
  }
  const session = directory.get(id);
  if (!session) return { unknownSession: id };
  if (session.foreign) return { orderRefused: `${id} is held by the Skyport ${session.holder}: order it there` };
  const target = name === undefined ? undefined : pool.get(name);
  if (name !== undefined && !target) return { unknownBackend: name, names: pool.names() };
  if (target && !target.eligible) {
    const why = target.draining ? 'draining' : target.restarting ? 'being restarted' : target.health.state;
    return { orderRefused: `${name} takes no sessions: it is ${why}` };
  }
  if (target && !pool.serves(target, session.owner)) {
    return { orderRefused: `${target.name} is not for sessions of ${session.owner}: see fleet.isolation` };
  }
  const outcome = await mover.move(session, target, wait);
  if (!('reason' in outcome)) return { session: id, ...outcome };
  if (session.deleted) return { unknownSession: id };
  return outcome.final ? { orderRefused: outcome.reason } : { session: id, waitsFor: outcome.reason };
}

/** Deletes sessions that nobody has attached and nobody has used for a while; their state, too. */
export async function prune({ directory }: Services, { sessions, unusedFor }: PruneRequest): Promise<PruneReport> {
  const before = Date.now() - unusedFor;
  const found = sessions.flatMap((id) => directory.get(id) ?? []);
  const deleted: string[] = [];
  for (let at = 0; at < found.length; at += STEP) {
    const step = await directory.expire(before, STEP, found.slice(at, at + STEP));
    tellDeleted(step, 'prune');
    deleted.push(...step.map(({ id }) => id));
  }
  // One that was gone already is not there any more, which is what was wanted.
  return { deleted, kept: sessions.filter((id) => directory.get(id)) };
}

/** Tells of sessions that no client has deleted. */
export function tellDeleted(sessions: readonly Session[], reason: string): void {
  for (const { id: sessionId, owner, backend, epoch } of sessions) channels.sessionDeleted.publish({ sessionId, owner, backend, epoch, reason });
}
