/** What a Skyport that stops waits for. */
import type { Directory } from './sessions/directory.js';

/** A turn runs on for a client that vanished, and does not wait for one. */
export function holdsTurn(directory: Directory): boolean {
  for (const session of directory.live()) {
    if (session.attachments.some((attachment) => attachment.state === 'held' && !attachment.needsClient)) return true;
  }
  return false;
}

/** The detaches of those who have just left are not answered yet. */
export function isDetaching(directory: Directory): boolean {
  for (const session of directory.live()) {
    if (session.attachments.some((attachment) => attachment.state === 'detaching')) return true;
  }
  return false;
}
