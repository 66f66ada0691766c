/**
 * What a client with an open turn is told when the CLI server under it goes away: the two events
 * that end a turn (session-events schema: ErrorEvent, IdleEvent), so that nobody waits in silence.
 */
import { randomUUID } from 'node:crypto';
import { ERRORS } from '../protocol/errors.js';

/** JSON texts of `session.error` and `session.idle` for one session. */
export function lostTurnEvents(sessionId: string): [string, string] {
  const spec = ERRORS.SKYPORT_BACKEND_LOST;
  const errorId = randomUUID();
  const error = {
    type: 'session.error',
    data: { errorType: 'backend_lost', errorCode: 'SKYPORT_BACKEND_LOST', message: spec.message },
    ephemeral: true,
    id: errorId,
    timestamp: new Date().toISOString(),
    parentId: null,
  };
  const idle = {
    type: 'session.idle',
    data: { aborted: true },
    ephemeral: true,
    id: randomUUID(),
    timestamp: error.timestamp,
    parentId: errorId,
  };
  return [eventText(sessionId, error), eventText(sessionId, idle)];
}

function eventText(sessionId: string, event: object): string {
  return JSON.stringify({ jsonrpc: '2.0', method: 'session.event', params: { sessionId, event } });
}
