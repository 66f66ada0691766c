/** What a server, or another Skyport, tells each of its connections: passed on to those whom it concerns. */
import type { Backend } from '../backends/backend.js';
import type { Link } from '../backends/link.js';
import { channels } from '../channels.js';
import { placeOf } from '../sessions/loads.js';
import { frameOf, type Frame } from '../wire/frame.js';
import type { Peek } from '../wire/peek.js';
import { DRAINING } from './cluster.js';
import type { Services } from './services.js';

/** @param frame not kept after the call */
export function broadcast(services: Services, backend: Backend, link: Link, frame: Frame, peeked: Peek): void {
  const { directory, pool } = services;
  const { method, sessionId } = peeked;
  const peer = pool.isPeer(backend);
  if (method === DRAINING) {
    if (peer) backend.draining = true;
    return;
  }
  if (sessionId === undefined) return;
  if (directory.remembered(sessionId) || !peer) {
    tell(services, backend, link, frame, method, sessionId);
    return;
  }
  // It has made the session a moment ago.
  const copy = frameOf(Buffer.from(frame.buffer.subarray(frame.body, frame.end)));
  directory.learn(sessionId).then(
    () => tell(services, backend, link, copy, method, sessionId),
    (error: unknown) => channels.registryError.publish({ operation: 'find', message: String(error) }),
  );
}

function tell({ directory, roster }: Services, backend: Backend, link: Link, frame: Frame, method: string, sessionId: string): void {
  const session = directory.remembered(sessionId);
  // Another backend has it by now, or it is of another Skyport's backend of the same name.
  if (!session || placeOf(session) !== backend.name) return;
  if (method === 'session.lifecycle') roster.lifecycle(session, backend, link, frame);
  else if (method === 'gitHubTelemetry.event') roster.telemetry(session, backend, link, frame);
}
