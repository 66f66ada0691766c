/**
 * What a client gave when it attached: enough to attach again on another link. Kept in memory only,
 * for it may hold provider keys.
 */
import { isRefusal, refuse, type Refusal } from '../protocol/errors.js';
import type { Attachment, SessionLink } from './attachment.js';
import { onlookerParams } from './onlooker.js';
import { START_OF_A_LOAD } from './repeats.js';

/** In the params of an attach that goes to another Skyport: who it is for, and with what access. */
export const ON_BEHALF = 'skyportFor';

export interface Recipe {
  readonly method: 'session.create' | 'session.resume';
  /** JSON text of the params. */
  readonly params: Buffer;
}

/** Milliseconds a server has to load a session. */
const RESUME_DEADLINE = 60_000;

/** Params that only a resume has; a create in its place goes without. */
const RESUME_ONLY = ['disableResume', 'continuePendingWork', 'openCanvases'];

/** True when a server says that it has nothing of the session on disk (measured, runtime 1.0.85). */
export function isNotFound(message: string): boolean {
  return /session not found/i.test(message);
}

/** A resume's params as those of a create, for a session that was never used and so never stored. */
export function createParams(params: Record<string, unknown>): Record<string, unknown> {
  const rest = { ...params };
  for (const key of RESUME_ONLY) delete rest[key];
  return rest;
}

/**
 * Attaches again what its link has lost, silently: `disableResume` emits nothing but the answer
 * (PROTOCOL: State on disk). Model and reasoning effort are left out where the server has them stored,
 * because replaying the original ones would revert a later switch; what it forgets is set again. The attachment has taken its place on the link.
 * @returns a refusal for the call that needed the attachment
 */
export async function reattach(attachment: Attachment, link: SessionLink): Promise<Refusal | undefined> {
  const { session, recipe } = attachment;
  if (!recipe) {
    attachment.failed();
    return refuse('SKYPORT_SESSION_LOST');
  }
  const params = JSON.parse(recipe.params.toString('utf8')) as Record<string, unknown>;
  const unloaded = !session.attachments.some((other) => other !== attachment && other.live);
  const resume: Record<string, unknown> = { ...params, sessionId: session.id, disableResume: true, continuePendingWork: false };
  if (session.turns > 0) {
    delete resume['model'];
    delete resume['reasoningEffort'];
  }
  if (session.foreign) resume[ON_BEHALF] = behalfOf(attachment);
  const amended = session.amendments.resumeParams();
  Object.assign(resume, amended, attachment.access === 'reader' ? onlookerParams(session, attachment) : {});
  if (unloaded) session.journal?.ghosts.expect('hook.start', START_OF_A_LOAD);
  let answer = await link.call('session.resume', resume, RESUME_DEADLINE);
  // A reader makes no sessions: one of his would be without its owner's directory.
  const makes = session.turns === 0 && attachment.access !== 'reader' && !session.foreign;
  if (!isRefusal(answer) && !answer.ok && makes && isNotFound(answer.error.message)) {
    answer = await link.call('session.create', { ...createParams({ ...params, ...amended }), sessionId: session.id }, RESUME_DEADLINE);
  }
  if (!isRefusal(answer) && answer.ok) {
    if (unloaded) await session.amendments.replay(session.id, link);
    attachment.attached();
    // A turn that runs on for a client that vanished goes on being held.
    if (!attachment.client) attachment.holdAgain();
    return undefined;
  }
  attachment.failed();
  if (isRefusal(answer)) return answer;
  return refuse('SKYPORT_SESSION_LOST', `The session could not be attached again: ${answer.error.message}`);
}

/** What another Skyport is told of an attachment that it is to make. */
export function behalfOf({ holder, access }: Pick<Attachment, 'holder' | 'access'>): object {
  return { user: holder?.user, key: holder?.key, access };
}

/**
 * What takes a leaving client's tools and capabilities off a session that others share, on a link
 * that cannot be closed: a resume overrides streaming, directory and tool filters for everyone
 * (PROTOCOL: Sessions), so it repeats those of who stays. Hooks and commands cannot be taken off so;
 * Skyport answers the hooks in the client's place.
 * @returns undefined when the client had registered nothing of the kind
 */
export function stripParams(sessionId: string, leaving: Recipe | undefined, staying: Recipe | undefined): object | undefined {
  const left = leaving && (JSON.parse(leaving.params.toString('utf8')) as Record<string, unknown>);
  if (!left) return undefined;
  const hadTools = Array.isArray(left['tools']) && left['tools'].length > 0;
  if (!hadTools && left['requestElicitation'] !== true && left['requestUserInput'] !== true) return undefined;
  const kept = staying ? (JSON.parse(staying.params.toString('utf8')) as Record<string, unknown>) : {};
  const shared: Record<string, unknown> = {};
  for (const key of OVERRIDES) if (kept[key] !== undefined) shared[key] = kept[key];
  return { ...shared, sessionId, disableResume: true, tools: [], requestElicitation: false, requestUserInput: false, hooks: false };
}

/** What a resume overrides for everyone. */
export const OVERRIDES = [
  'streaming', 'includeSubAgentStreamingEvents', 'workingDirectory', 'availableTools', 'excludedTools',
  'toolFilterPrecedence', 'requestPermission', 'envValueMode',
];
