/** Sessions of a Skyport that is gone, which nobody has taken over because nobody has used them since. */
import type { Directory } from '../sessions/directory.js';
import { isUnused } from '../sessions/session.js';

/**
 * Takes over those that are to be deleted for their age; one of all Skyports that find them gets each.
 * @param before as of `Directory.expire`
 * @param most at one time
 * @param gone whether an instance's lease is over
 * @throws when the store cannot be asked
 */
export async function adoptUnused(directory: Directory, before: number, most: number, gone: (instance: string) => Promise<boolean>): Promise<void> {
  const known = new Map<string, boolean>();
  let adopted = 0;
  for (const session of directory.all()) {
    const { holder } = session;
    if (adopted >= most || !session.foreign || !isUnused(session, before)) continue;
    if (!known.has(holder)) known.set(holder, await gone(holder));
    if (!known.get(holder) || session.deleted || !session.foreign) continue;
    adopted++;
    await directory.rebind(session, session.backend).catch(() => undefined);
  }
}
