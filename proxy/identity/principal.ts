import { ROLE_NAME, USER_NAME } from '../../config/names.js';

/** Who a client is, for the life of its connection. */
export interface Principal {
  /** Owns the sessions that the client makes, unless the client is a service. */
  readonly user: string;
  readonly roles: ReadonlySet<string>;
  readonly source: 'anonymous' | 'token' | 'listener' | 'peer';
  /** Only a service has one: its group `user` finds the owner in a session id. */
  readonly sessionPattern?: RegExp;
  /** What limits of this principal are counted under; the same for all its connections. A user's and a service's never coincide. */
  readonly key: string;
  /** Which token it was, for logs and reloads: a digest of the token's digest, of no use for anything else. */
  readonly tokenId?: string;
}

/** True for a name that a user may have. It is then fit to be the name of a directory. */
export function isUserName(text: string): boolean {
  return USER_NAME.test(text);
}

/** True for a name that a role may have. */
export function isRoleName(text: string): boolean {
  return ROLE_NAME.test(text);
}

/**
 * Another Skyport on the same store. It has asked its own guard about each call, for its own clients; what
 * is left to ask here is nothing. No token of the tokens file makes one.
 */
export const PEER: Principal = { user: '', roles: new Set(), source: 'peer', key: '*peer' };

export function isPeer(principal: Principal | undefined): boolean {
  return principal?.source === 'peer';
}

export function isService(principal: Principal): boolean {
  return principal.roles.has('service');
}

/**
 * The user that a session with this id belongs to when the principal makes it; undefined when the
 * principal may not make it: a service's pattern does not match, or finds what is no user name.
 * Whether the id names somebody else by a service's pattern is another question: `namesSomebodyElse`.
 */
export function ownerFor(principal: Principal, sessionId: string): string | undefined {
  if (!isService(principal)) return principal.user;
  return principal.sessionPattern === undefined ? undefined : userIn(sessionId, principal.sessionPattern);
}

/** True when the principal may use a session that is `owner`'s. */
export function mayUse(principal: Principal, sessionId: string, owner: string): boolean {
  if (isPeer(principal)) return true;
  return ownerFor(principal, sessionId) === owner;
}

/**
 * True when the id names another user by one of the services' patterns. Such an id is refused to a
 * principal that is not a service: it would take a name that the service needs, and by the
 * service's lights the session would be the other user's.
 */
export function namesSomebodyElse(principal: Principal, sessionId: string, patterns: readonly RegExp[]): boolean {
  if (isService(principal)) return false;
  return patterns.some((pattern) => {
    const named = userIn(sessionId, pattern);
    return named !== undefined && named !== principal.user;
  });
}

/** Longer ids exist nowhere (PROTOCOL: sessions), and the bound keeps a pattern's work small. */
const SESSION_ID = /^[A-Za-z0-9_-]{1,128}$/;

function userIn(sessionId: string, pattern: RegExp): string | undefined {
  if (!SESSION_ID.test(sessionId)) return undefined;
  const user = pattern.exec(sessionId)?.groups?.['user'];
  return user !== undefined && isUserName(user) ? user : undefined;
}
