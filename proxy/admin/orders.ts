/** The control socket's part in moving, restarting and pruning: reads what is asked, and puts the outcome into words. */
import { isUnknownBackend, type AdminActions, type UnknownBackend } from './actions.js';
import type { Reply } from './server.js';

/** Sessions that one call may delete: it should not take long. */
const MOST = 100;

/** Milliseconds that one answer may be waited for. */
const LONGEST = 20_000;

/** @param body of the request, not looked at yet */
export async function performMove({ session, backend, wait = 0 }: Record<string, unknown>, actions: AdminActions): Promise<Reply> {
  const named = backend === undefined || (typeof backend === 'string' && backend !== '');
  if (typeof session !== 'string' || session === '' || !named || !isMilliseconds(wait)) {
    return { status: 400, body: { error: 'The body must be {"session": "<id>", "backend": "<name, or left out>", "wait": <milliseconds>}' } };
  }
  const outcome = await actions.move({ session, backend: backend as string | undefined, wait: Math.min(wait, LONGEST) });
  if ('unknownSession' in outcome) return { status: 404, body: { error: `There is no session ${outcome.unknownSession}` } };
  if (isUnknownBackend(outcome)) return unknownBackend(outcome);
  return answer(outcome);
}

/** @param body of the request, not looked at yet */
export async function performRestart({ timeout }: Record<string, unknown>, actions: AdminActions): Promise<Reply> {
  if (!isMilliseconds(timeout)) return { status: 400, body: { error: 'The body must be {"timeout": <milliseconds>}' } };
  return answer(await actions.restart(timeout));
}

/** @param body of the request, not looked at yet */
export async function performPrune({ sessions, unusedFor }: Record<string, unknown>, actions: AdminActions): Promise<Reply> {
  const named = Array.isArray(sessions) && sessions.length <= MOST && sessions.every((id) => typeof id === 'string');
  if (!named || !isMilliseconds(unusedFor)) {
    return { status: 400, body: { error: `The body must be {"sessions": [<at most ${MOST} ids>], "unusedFor": <milliseconds>}` } };
  }
  return { status: 200, body: await actions.prune({ sessions: sessions as string[], unusedFor }) };
}

function answer(outcome: object): Reply {
  return 'orderRefused' in outcome ? { status: 409, body: { error: outcome.orderRefused } } : { status: 200, body: outcome };
}

export function unknownBackend({ unknownBackend: name, names }: UnknownBackend): Reply {
  const known = names.length === 0 ? 'there are none' : `there are ${names.join(', ')}`;
  return { status: 404, body: { error: `No backend is called ${name}; ${known}`, names } };
}

export function isMilliseconds(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
