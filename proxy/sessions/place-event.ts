/**
 * What a client is told while its message waits, for another client's turn to end or for its user's limits. The type is the one
 * that the session-events schema keeps for what is not a CLI server's own (CustomNotificationEvent);
 * SDKs pass it to the application's handlers and do nothing else with it.
 */
import { randomUUID } from 'node:crypto';
import type { LimitName } from './turn-limits.js';

/**
 * The JSON text of a `session.event`.
 * @param place 1 is next
 * @param heldBy the user whose turn runs
 */
export function placeEvent(sessionId: string, place: number, heldBy: string): string {
  return waitingEvent(sessionId, { place, heldBy });
}

/**
 * The same for a message that waits for a limit.
 * @param place in its user's own line; 1 is next
 */
export function limitEvent(sessionId: string, place: number, limit: LimitName): string {
  return waitingEvent(sessionId, { place, limit });
}

function waitingEvent(sessionId: string, payload: object): string {
  const event = {
    type: 'session.custom_notification',
    data: { source: 'skyport', name: 'turn.waiting', version: 1, payload },
    ephemeral: true,
    id: randomUUID(),
    timestamp: new Date().toISOString(),
    parentId: null,
  };
  return JSON.stringify({ jsonrpc: '2.0', method: 'session.event', params: { sessionId, event } });
}
