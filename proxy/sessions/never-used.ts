/**
 * Sessions that were created and never used, and were not noticed when they were left, because Skyport
 * was killed: no list shows them, and without a history no server can load them.
 */
import type { SessionFiles } from '../store/session-files.js';
import type { Directory } from './directory.js';
import { isUnused } from './session.js';
import type { Session } from './session.js';

/** In a session's files. */
const HISTORY = '/events.jsonl';

/**
 * Janitor, where Skyport keeps the files: deletes those that were created before `before`.
 * @param most at one time
 * @returns those that are gone now
 */
export async function expireNeverUsed(directory: Directory, files: SessionFiles, before: number, most: number): Promise<Session[]> {
  const empty: Session[] = [];
  for (const session of directory.all()) {
    if (session.turns > 0 || !isUnused(session, before) || !directory.holds(session)) continue;
    if (await files.exists(session.id, HISTORY)) {
      session.stored();
      await directory.keep(session);
    } else {
      empty.push(session);
    }
    if (empty.length === most) break;
  }
  return directory.expire(before, most, empty.filter(({ turns }) => turns === 0));
}
