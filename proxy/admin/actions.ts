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
}

export function isUnknownBackend(value: object): value is UnknownBackend {
  return 'unknownBackend' in value;
}
