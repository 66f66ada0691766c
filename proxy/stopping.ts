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

/** Milliseconds that a client has for what it was last sent, before it is told to go. */
export const PARTING = 500;

interface Guest {
  /** Nothing of it is under way: neither an answer nor a turn. */
  readonly idle: boolean;
  readonly inTurn: boolean;
  readonly isPeer: boolean;
  leaving: boolean;
  rested: boolean;
  leave(name: 'SKYPORT_SHUTTING_DOWN'): void;
}

/**
 * Lets clients go: at once where nothing is under way, else a moment after it is through. An SDK drops what it has
 * not dispatched yet when its connection ends, and an end right behind the last event of a turn takes that with it.
 */
export class Parting {
  /** When clients that had something under way may go. */
  private readonly until = new Map<Guest, number>();

  /** Called again and again. @param now milliseconds, of a clock that only goes on */
  look(clients: Iterable<Guest>, now: number): void {
    for (const client of clients) {
      // Other Skyports ask for sessions to the end.
      if (client.isPeer) continue;
      const told = client.leaving;
      client.leaving = true;
      if (client.inTurn) {
        client.rested = false;
        this.until.delete(client);
        continue;
      }
      if (client.idle) client.rested = true;
      if (!client.rested) continue;
      const until = this.until.get(client) ?? (told ? now + PARTING : now);
      // What it has asked since it was through waits for nobody: some ask without end.
      if (now >= until) client.leave('SKYPORT_SHUTTING_DOWN');
      else this.until.set(client, until);
    }
  }
}
