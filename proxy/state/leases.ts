/** Which server may touch which session's files at this moment. */
import type { Lease } from '../store/session-files.js';

/**
 * One life of a backend's server, as seen by its file system: from the moment it took Skyport for that
 * until its control link is gone. A server that was restarted under the same name is another one.
 */
export interface BackendIdentity {
  readonly name: string;
  /** Which of the backends of this name. */
  readonly backend: number;
  readonly incarnation: number;
}

export interface Leases {
  /** The lease under which this server has the session; undefined when it has none. Called for every request: cheap. */
  leaseOf(sessionId: string, backend: BackendIdentity): Lease | undefined;
}
