/** What somebody may call on a session that is not his own. */
import { includes, type Access } from '../protocol/access.js';
import { leastAccess } from '../protocol/classification/sharing.js';
import { refuse, type Refusal } from '../protocol/errors.js';
import type { MethodSpec } from '../protocol/method.js';

/**
 * @param access what the caller has on the session; somebody without any is not to come here, for he
 *   must not learn that there is a session
 */
export function refuseByAccess(access: Access, spec: MethodSpec): Refusal | undefined {
  const needed = leastAccess(spec.name);
  if (includes(access, needed)) return undefined;
  if (needed === 'owner') return refuse('SKYPORT_OWNER_ONLY', `Only the owner of a session may call ${spec.name}`);
  return refuse('SKYPORT_READ_ONLY', `This session is shared with you for reading; ${spec.name} is refused`);
}

/**
 * What is left of a reader's session.resume: which session, and what the guard itself puts in. Everything else would change the session
 * for everybody, or register something that a server then asks (PROTOCOL: Sessions). Nothing of it is
 * refused, so that a program resumes a session in the same words whatever it may do there.
 */
export function readerResume(params: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const name of ['sessionId', 'traceparent', 'tracestate', 'enableFileHooks']) if (params[name] !== undefined) kept[name] = params[name];
  return kept;
}
