/** `skyport share` and `unshare`: with whom a session is shared, and as what. */
import type { SessionRow, SharedWith, UnshareReport, UnshareRequest } from '../admin/actions.js';
import { adminCall } from '../admin/client.js';
import { adminSocket, type SocketOptions } from './config-file.js';
import { CommandError, EXIT, type Terminal } from './terminal.js';

export interface UnshareOptions extends SocketOptions {
  with?: string[];
  withRole?: string[];
}

export interface ShareOptions extends UnshareOptions {
  as: string;
}

export async function share(session: string, options: ShareOptions, terminal: Terminal): Promise<number> {
  const { as } = options;
  if (as !== 'reader' && as !== 'writer') throw new CommandError(`--as ${as}: there are reader and writer`, EXIT.usage);
  const body = { ...requestOf(session, options), as };
  const row = await adminCall<SessionRow>(adminSocket(options, terminal), 'POST', 'share', body);
  terminal.out(sharesText(row));
  return EXIT.ok;
}

/** 1 when it was not shared with somebody who was named: that may be a slip of the pen, and he still has what he had. */
export async function unshare(session: string, options: UnshareOptions, terminal: Terminal): Promise<number> {
  const body = requestOf(session, options);
  const { session: row, missing } = await adminCall<UnshareReport>(adminSocket(options, terminal), 'POST', 'unshare', body);
  terminal.out(sharesText(row));
  const names = [...missing.users, ...missing.roles.map((role) => `role ${role}`)];
  for (const name of names) terminal.err(`${session} was not shared with ${name}`);
  return names.length === 0 ? EXIT.ok : EXIT.failed;
}

function requestOf(session: string, { with: users = [], withRole: roles = [] }: UnshareOptions): UnshareRequest {
  if (users.length + roles.length === 0) throw new CommandError('Name somebody: --with USER, --with-role ROLE', EXIT.usage);
  return { session, users, roles };
}

function sharesText({ id, owner, shares, sharedByRules }: SessionRow): string {
  const lines = [`${id} is ${owner}'s, shared with ${sharedText(shares) ?? 'nobody'}`];
  const ruled = sharedText(sharedByRules);
  if (ruled !== undefined) lines.push(`by sessions.shares of the config also with ${ruled}`);
  return lines.join('\n');
}

/** `bob:writer,@team:reader`; a role has an @. Undefined for nobody. */
export function sharedText(shares: SharedWith | undefined): string | undefined {
  if (!shares) return undefined;
  const users = Object.entries(shares.users).map(([name, as]) => `${name}:${as}`);
  const roles = Object.entries(shares.roles).map(([name, as]) => `@${name}:${as}`);
  return users.length + roles.length === 0 ? undefined : [...users, ...roles].join(',');
}
