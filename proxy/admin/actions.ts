/**
 * `admin/` is how the command line reaches a running Skyport: HTTP over a Unix socket that only the
 * user who runs Skyport may open. This file is what can be asked; `skyport.ts` does it, `server.ts`
 * and `client.ts` carry it.
 *
 *   GET  /status                             → Snapshot
 *   GET  /sessions?user=&backend=&state=     → SessionRow[]
 *   POST /drain     {"name": "cli-1"}        → DrainReport | 404 UnknownBackend
 *   POST /undrain   {"name": "cli-1"}        → DrainReport | 404 UnknownBackend
 *   POST /reload                             → ReloadReport
 *   POST /share     {session, users, roles, as}   → SessionRow | 404 | 400 ShareRefused
 *   POST /unshare   {session, users, roles}       → UnshareReport | 404
 */
import type { BackendSnapshot, SessionState, Snapshot } from '../observe/snapshot.js';

export interface SessionFilter {
  user?: string;
  backend?: string;
  state?: SessionState;
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
export type DrainReport = Pick<BackendSnapshot, 'name' | 'state' | 'draining' | 'drained' | 'sessionsBound' | 'sessionsAttached' | 'turnsOpen'>;

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
  /** No new sessions for this backend from now on; returns at once, running turns go on. */
  drain(name: string): Awaitable<DrainReport | UnknownBackend>;
  undrain(name: string): Awaitable<DrainReport | UnknownBackend>;
  reload(): Awaitable<ReloadReport>;
  /** Resolves when the share outlives a crash. */
  share(request: ShareRequest): Awaitable<SessionRow | UnknownSession | ShareRefused>;
  /** Resolves when nobody has the access any more, also after a crash; attachments that rest on it have ended. */
  unshare(request: UnshareRequest): Awaitable<UnshareReport | UnknownSession | ShareRefused>;
}

export function isUnknownBackend(value: object): value is UnknownBackend {
  return 'unknownBackend' in value;
}
