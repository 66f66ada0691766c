/**
 * `admin/` is how the command line reaches a running Skyport: HTTP over a Unix socket that only the
 * user who runs Skyport may open. This file is what can be asked; `skyport.ts` does it, `server.ts`
 * and `client.ts` carry it.
 *
 *   GET  /status                             → Snapshot
 *   GET  /sessions?user=&backend=&state=&unusedFor=  → SessionRow[]
 *   POST /drain     {"name": "cli-1"}        → DrainReport | 404 UnknownBackend
 *   POST /undrain   {"name": "cli-1"}        → DrainReport | 404 UnknownBackend
 *   POST /move      {session, backend, wait}      → MoveReport | 404 | 409 OrderRefused
 *   POST /restart   {timeout}                     → RestartReport | 409 OrderRefused
 *   GET  /restart-progress                        → RestartReport
 *   POST /prune     {sessions, unusedFor}         → PruneReport
 *   POST /reload                             → ReloadReport
 *   POST /share     {session, users, roles, as}   → SessionRow | 404 | 400 ShareRefused
 *   POST /unshare   {session, users, roles}       → UnshareReport | 404
 */
import type { BackendSnapshot, SessionState, Snapshot } from '../observe/snapshot.js';

export interface SessionFilter {
  user?: string;
  backend?: string;
  state?: SessionState;
  /** Only those that nobody has attached and nobody has used for this long, milliseconds. */
  unusedFor?: number;
}

export interface SessionRow {
  id: string;
  owner: string;
  backend: string;
  epoch: number;
  state: SessionState;
  /** Clients attached now. */
  attachments: number;
  /** Milliseconds since the epoch. */
  createdAt: number;
  usedAt: number;
  /** Turns begun since Skyport loaded the session. */
  turns: number;
  /** With whom it is shared, by `skyport share`; left out where that is nobody. */
  shares?: SharedWith;
  /** With whom rules of the config share it; left out where that is nobody. */
  sharedByRules?: SharedWith;
  /** The other Skyport that serves it: its address, or its instance where that is not known; left out where that is this one. */
  holder?: string;
}

export interface SharedWith {
  users: Record<string, 'reader' | 'writer'>;
  roles: Record<string, 'reader' | 'writer'>;
}

/** At least one user or role is named. */
export interface UnshareRequest {
  session: string;
  users: string[];
  roles: string[];
}

export interface ShareRequest extends UnshareRequest {
  as: 'reader' | 'writer';
}

export interface UnshareReport {
  session: SessionRow;
  /** Those of the named with whom it was not shared. */
  missing: { users: string[]; roles: string[] };
}

/** It makes no sense, or could not be stored; nothing was changed. */
export interface ShareRefused {
  shareRefused: string;
}

export interface UnknownSession {
  unknownSession: string;
}

/** What is left on a backend that is being drained; nothing else about it. */
export type DrainReport = Pick<BackendSnapshot, 'name' | 'state' | 'draining' | 'drained' | 'sessionsBound' | 'sessionsAttached' | 'sessionsStaying' | 'turnsOpen'>;

export interface MoveRequest {
  session: string;
  /** Where to; chosen by `routing.policy` when left out. */
  backend?: string;
  /** Milliseconds that the answer may wait for the session to become idle. */
  wait: number;
}

/** `waitsFor`: it has not been moved, and this is why; ask again. */
export type MoveReport = { session: string; from: string; to: string } | { session: string; waitsFor: string };

/** What was ordered cannot be done; nothing was changed. */
export interface OrderRefused {
  orderRefused: string;
}

/** `waiting` its turn has not come; `skipped` it was taken out of the fleet meanwhile. */
export type RestartState = 'waiting' | 'draining' | 'stopping' | 'starting' | 'done' | 'skipped' | 'failed';

export interface RestartReport {
  /** False when it is over, or none was ordered yet. */
  running: boolean;
  /** In the order in which they are restarted. */
  servers: { name: string; state: RestartState; sessionsLoaded: number; sessionsStaying: number; turnsOpen: number }[];
  /** Why it was given up; the servers after the failed one were left alone. */
  failure?: string;
}

export interface PruneRequest {
  /** At most 100. */
  sessions: string[];
  /** Milliseconds; one that was used since then is kept. */
  unusedFor: number;
}

export interface PruneReport {
  deleted: string[];
  /** Used or attached meanwhile, held by another Skyport, or on a server that cannot be asked. */
  kept: string[];
}

export interface UnknownBackend {
  unknownBackend: string;
  /** The backends there are. */
  names: string[];
}

export interface ReloadReport {
  ok: boolean;
  /** One printable text per problem: errors when not `ok`, else warnings. */
  problems: string[];
  /** Keys in force now, and keys that wait for a restart. */
  reloaded?: string[];
  needsRestart?: string[];
}

type Awaitable<T> = T | Promise<T>;

/** An action that throws is a bug: the caller is told so and Skyport goes on. */
export interface AdminActions {
  status(): Awaitable<Snapshot>;
  sessions(filter: SessionFilter): Awaitable<SessionRow[]>;
  /** No sessions for this backend from now on; returns at once, running turns go on. */
  drain(name: string): Awaitable<DrainReport | UnknownBackend>;
  undrain(name: string): Awaitable<DrainReport | UnknownBackend>;
  /** Moves one session when it is idle. */
  move(request: MoveRequest): Awaitable<MoveReport | UnknownSession | UnknownBackend | OrderRefused>;
  /** Begins to restart all managed servers, one after the other. @param timeout for all of them, milliseconds */
  restart(timeout: number): Awaitable<RestartReport | OrderRefused>;
  restartProgress(): Awaitable<RestartReport>;
  /** Deletes sessions for good. */
  prune(request: PruneRequest): Awaitable<PruneReport>;
  reload(): Awaitable<ReloadReport>;
  /** Resolves when the share outlives a crash. */
  share(request: ShareRequest): Awaitable<SessionRow | UnknownSession | ShareRefused>;
  /** Resolves when nobody has the access any more, also after a crash; attachments that rest on it have ended. */
  unshare(request: UnshareRequest): Awaitable<UnshareReport | UnknownSession | ShareRefused>;
}

export function isUnknownBackend(value: object): value is UnknownBackend {
  return 'unknownBackend' in value;
}
