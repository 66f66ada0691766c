/**
 * What a reader's attachment says to a CLI server. A resume overrides streaming, directory and tool
 * filters for everyone, and without a word on streaming it switches that off (PROTOCOL: Sessions); so
 * a reader's repeats what is in force. The rest it leaves out, and that changes nothing: model,
 * provider, system message and the others' tools stay, live; and who loads the session before its
 * owner comes leaves nothing behind that the owner's own resume does not set (measured, runtime 1.0.85).
 */
import type { Attachment } from './attachment.js';
import { OVERRIDES } from './recipe.js';
import type { Session } from './session.js';

type Params = Record<string, unknown>;

/**
 * @param reader the attachment itself, which is not asked; undefined when there is none yet
 * @returns to be put over the reader's own parameters
 */
export function onlookerParams(session: Session, reader?: Attachment): Params {
  const others = session.attachments.filter((a) => a !== reader && a.live && a.recipe);
  const model = others.findLast((a) => a.access !== 'reader') ?? others.at(-1);
  const kept = model?.recipe ? (JSON.parse(model.recipe.params.toString('utf8')) as Params) : {};
  const params: Params = {};
  for (const key of [...OVERRIDES, 'enableFileHooks']) if (kept[key] !== undefined) params[key] = kept[key];
  return { ...params, sessionId: session.id, disableResume: true, continuePendingWork: false };
}
