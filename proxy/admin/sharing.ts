/** The control socket's part in sharing: reads what is asked, and puts the outcome into words. */
import type { AdminActions, UnshareRequest } from './actions.js';
import type { Reply } from './server.js';

/** @param body of the request, not looked at yet */
export async function performSharing(action: 'share' | 'unshare', body: Record<string, unknown>, actions: AdminActions): Promise<Reply> {
  const request = requestIn(body);
  const { as } = body;
  if (!request || (action === 'share' && as !== 'reader' && as !== 'writer')) {
    const more = action === 'share' ? ', "as": "reader" or "writer"' : '';
    return { status: 400, body: { error: `The body must be {"session": "<id>", "users": [], "roles": []${more}} and name somebody` } };
  }
  const outcome = action === 'share'
    ? await actions.share({ ...request, as: as === 'writer' ? 'writer' : 'reader' })
    : await actions.unshare(request);
  if ('unknownSession' in outcome) return { status: 404, body: { error: `There is no session ${outcome.unknownSession}` } };
  if ('shareRefused' in outcome) return { status: 400, body: { error: outcome.shareRefused } };
  return { status: 200, body: outcome };
}

function requestIn({ session, users, roles }: Record<string, unknown>): UnshareRequest | undefined {
  if (typeof session !== 'string' || session === '' || !isNames(users) || !isNames(roles)) return undefined;
  return users.length + roles.length > 0 ? { session, users, roles } : undefined;
}

function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string');
}
