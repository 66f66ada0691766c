/**
 * What a client is told when there will be nothing more: its CLI server went away in a turn, or its
 * access to the session has ended. They are the two events that end a turn (session-events schema:
 * ErrorEvent, IdleEvent), so that nobody waits in silence.
 */
import { randomUUID } from 'node:crypto';
import { ERRORS, type ErrorName } from '../protocol/errors.js';

/** JSON texts of `session.error` and `session.idle` for one session. */
export function lostTurnEvents(sessionId: string): [string, string] {
  return endEvents(sessionId, 'SKYPORT_BACKEND_LOST', 'backend_lost');
}

/** The same for somebody with whom the session is not shared any more. */
export function accessEndedEvents(sessionId: string): [string, string] {
  return endEvents(sessionId, 'SKYPORT_ACCESS_ENDED', 'access_ended');
}

/** Nothing has happened in the turn for too long, and its end is not certain to be told by anybody else. */
export function stalledTurnEvents(sessionId: string): [string, string] {
  return endEvents(sessionId, 'SKYPORT_TURN_STALLED', 'turn_stalled');
}

/** The end of a turn whose server died before it could tell. */
export function idleEvent(sessionId: string, aborted: boolean): string {
  return eventText(sessionId, ownEvent('session.idle', aborted ? { aborted } : {}));
}

/** Not everything that a client has missed could be kept. @param lost number of events */
export function missedWarning(sessionId: string, lost: number): string {
  const message = `${lost} events that came while no client was connected are not repeated; what is stored of them is in the session's history.`;
  return eventText(sessionId, ownEvent('session.warning', { warningType: 'events_missed', message }));
}

function endEvents(sessionId: string, name: ErrorName, errorType: string): [string, string] {
  const errorId = randomUUID();
  const error = {
    type: 'session.error',
    data: { errorType, errorCode: name, message: ERRORS[name].message },
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

function ownEvent(type: string, data: object): object {
  return { type, data, ephemeral: true, id: randomUUID(), timestamp: new Date().toISOString(), parentId: null };
}

function eventText(sessionId: string, event: object): string {
  return JSON.stringify({ jsonrpc: '2.0', method: 'session.event', params: { sessionId, event } });
}
