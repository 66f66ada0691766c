/** `skyport sessions prune`: deletes sessions that nobody has used for long, or shows which. */
import type { PruneReport, SessionRow } from '../admin/actions.js';
import { adminCall } from '../admin/client.js';
import { adminSocket, type SocketOptions } from './config-file.js';
import { durationOf } from './move.js';
import { count } from './restart.js';
import { sessionsText } from './sessions.js';
import { EXIT, type Terminal } from './terminal.js';

/** Sessions that are deleted with one call. */
const STEP = 20;

export interface PruneOptions extends SocketOptions {
  /** A duration as in the config: `30d`. */
  olderThan: string;
  user?: string;
  dryRun?: boolean;
  json?: boolean;
}

/** Deletes for good, their state as well. 1 when some could not be deleted. */
export async function prune(options: PruneOptions, terminal: Terminal): Promise<number> {
  const unusedFor = durationOf(options.olderThan, '--older-than');
  const socket = adminSocket(options, terminal);
  const query = new URLSearchParams({ unusedFor: String(unusedFor) });
  if (options.user !== undefined) query.set('user', options.user);
  const rows = await adminCall<SessionRow[]>(socket, 'GET', `sessions?${query}`);
  if (options.dryRun) {
    if (options.json) terminal.out(JSON.stringify(rows, null, 2));
    else if (rows.length > 0) terminal.out(sessionsText(rows, terminal.now(), terminal.columns));
    terminal.err(`${count(rows.length, 'session')} would be deleted.`);
    return EXIT.ok;
  }
  const deleted: string[] = [];
  const kept: string[] = [];
  for (let at = 0; at < rows.length; at += STEP) {
    const sessions = rows.slice(at, at + STEP).map(({ id }) => id);
    const report = await adminCall<PruneReport>(socket, 'POST', 'prune', { sessions, unusedFor });
    deleted.push(...report.deleted);
    kept.push(...report.kept);
  }
  if (options.json) terminal.out(JSON.stringify({ deleted, kept }, null, 2));
  else terminal.out(`${count(deleted.length, 'session')} deleted.`);
  if (kept.length > 0) terminal.err(`Kept, for they were used or attached meanwhile, or their server or another Skyport would have to be asked: ${kept.join(', ')}`);
  return kept.length === 0 ? EXIT.ok : EXIT.failed;
}
