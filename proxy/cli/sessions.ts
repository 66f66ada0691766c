/** `skyport sessions`: who owns which session and where it lives. */
import type { SessionRow } from '../admin/actions.js';
import { adminCall } from '../admin/client.js';
import { SESSION_STATES } from '../observe/snapshot.js';
import { adminSocket, type SocketOptions } from './config-file.js';
import { sharedText } from './share.js';
import { span, table, type Column } from './table.js';
import { CommandError, EXIT, type Terminal } from './terminal.js';

export interface SessionsOptions extends SocketOptions {
  user?: string;
  backend?: string;
  state?: string;
  json?: boolean;
}

export async function sessions(options: SessionsOptions, terminal: Terminal): Promise<number> {
  const { user, backend, state, json } = options;
  if (state !== undefined && !(SESSION_STATES as readonly string[]).includes(state)) {
    throw new CommandError(`--state ${state}: there are ${SESSION_STATES.join(', ')}`, EXIT.usage);
  }
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries({ user, backend, state })) if (value !== undefined) query.set(key, value);
  const rows = await adminCall<SessionRow[]>(adminSocket(options, terminal), 'GET', `sessions?${query}`);
  if (json) terminal.out(JSON.stringify(rows, null, 2));
  else if (rows.length === 0) terminal.err('No sessions.');
  else terminal.out(sessionsText(rows, terminal.now(), terminal.columns));
  return EXIT.ok;
}

/** Session ids are never cut: they are what the next command needs. @param now milliseconds since the epoch */
export function sessionsText(rows: readonly SessionRow[], now: number, width?: number): string {
  const columns: Column<SessionRow>[] = [
    { head: 'SESSION', value: (row) => row.id },
    { head: 'OWNER', value: (row) => row.owner, shrinksTo: 8 },
    { head: 'BACKEND', value: (row) => row.backend, shrinksTo: 8 },
    { head: 'STATE', value: (row) => row.state },
    { head: 'EPOCH', value: (row) => row.epoch, align: 'right' },
    { head: 'CLIENTS', value: (row) => row.attachments, align: 'right' },
    { head: 'TURNS', value: (row) => row.turns, align: 'right' },
    { head: 'AGE', value: (row) => span(now - row.createdAt), align: 'right' },
    { head: 'UNUSED', value: (row) => span(now - row.usedAt), align: 'right' },
  ];
  // Most sites share nothing.
  const shared = (row: SessionRow): string => [sharedText(row.shares), sharedText(row.sharedByRules)].filter(Boolean).join(' ');
  if (rows.some((row) => shared(row) !== '')) columns.push({ head: 'SHARED WITH', value: shared, shrinksTo: 11 });
  if (rows.some(({ holder }) => holder !== undefined)) columns.push({ head: 'AT', value: (row) => row.holder ?? 'here', shrinksTo: 8 });
  return table(columns, rows, width);
}
