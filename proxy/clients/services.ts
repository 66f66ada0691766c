/** What every part of this room works with. */
import type { Pool } from '../backends/pool.js';
import type { Guard } from '../guard/guard.js';
import type { Authenticator } from '../identity/authenticator.js';
import type { LoginThrottle } from '../identity/throttle.js';
import type { Directory } from '../sessions/directory.js';
import type { Places } from '../sessions/places.js';
import type { Sharing } from '../sessions/shares.js';
import type { Admission } from './admission.js';
import type { Cluster } from './cluster.js';
import type { Recovery } from './recovery.js';
import type { Roster } from './roster.js';
import type { Stored } from './stored.js';
import type { OwnServers } from './tenants.js';
import type { Writers } from './writers.js';

export interface Limits {
  readonly max_frame: number;
  readonly clients: number;
  readonly sessions_per_user: number;
  readonly requests_per_client: number;
  readonly client_buffer: number;
  readonly handshake_timeout: number;
}

export interface Services {
  readonly directory: Directory;
  readonly places: Places;
  readonly pool: Pool;
  readonly roster: Roster;
  readonly admission: Admission;
  readonly writers: Writers;
  readonly throttle: LoginThrottle;
  /** These are replaced by a reload; read them anew at each use. */
  authenticator: Authenticator;
  guard: Guard;
  sharing: Sharing;
  limits: Limits;
  /** `sessions.linger`, milliseconds. */
  linger: number;
  /** A session may be loaded on any backend, not only on the one that it was created on. */
  readonly moves: boolean;
  /** Set where Skyport keeps the sessions' files: what servers answer from their disks is then its to answer. */
  readonly stored?: Stored;
  /** Set where users may have servers of their own. */
  tenants?: OwnServers;
  /** Takes up the turns of dead servers, where Skyport keeps the state. */
  recovery?: Recovery;
  /** The other Skyports on the same store, if there may be any. */
  cluster?: Cluster;
  /** `store.lease`, milliseconds. */
  readonly lease: number;
  /** The store does not answer: what needs it is refused at once, instead of later. */
  readonly storeAway: () => boolean;
  /** Set once shutting down has begun: no new sessions or turns. */
  draining: boolean;
  /** Makes the directory that the guard has chosen for a user, where Skyport may (managed servers). */
  readonly makeDirectory: (path: string, user: string) => Promise<void>;
}
