import { createHash, timingSafeEqual } from 'node:crypto';
import { refuse, type Refusal } from '../protocol/errors.js';
import { OwnerRoles } from './owner-roles.js';
import { PEER, type Principal } from './principal.js';
import type { TokenEntry, TokenTable } from './tokens-file.js';

export interface Logins {
  /** The user of a client without a token; undefined refuses such a client. */
  anonymous?: string;
  /** Undefined when there is no tokens file: then a token is not wanted. */
  tokens?: TokenTable;
}

/** Longer ones are no token of ours and are not hashed, so that a login costs the same for everybody. */
const LONGEST_TOKEN = 4_096;
const USER_ROLE: ReadonlySet<string> = new Set(['user']);

/**
 * Who is calling. Answers like the CLI server (PROTOCOL: handshake; measured on 1.0.85): a `connect`
 * whose token is due and missing or wrong is -32002, any other call before it -32001, a token that is
 * not wanted -32003. To a CLI server an empty token, null, or one that is not a text is no token.
 */
export class Authenticator {
  #logins: Logins;
  #roles: OwnerRoles;
  /** Digest of what other Skyports on the same store show. */
  #peers: Buffer | undefined;

  constructor(logins: Logins) {
    this.#logins = logins;
    this.#roles = new OwnerRoles(logins.tokens);
  }

  /** From now on these are in force. Connections that exist are the caller's business: `current`. */
  update(logins: Logins): void {
    this.#logins = logins;
    this.#roles = new OwnerRoles(logins.tokens);
  }

  /**
   * The roles that a user has by the tokens in force, who need not be there.
   * @param sessionId one of his sessions: a service's users have the roles of the service
   */
  rolesOf(user: string, sessionId: string): ReadonlySet<string> {
    return this.#roles.of(user, sessionId);
  }

  /** @param secret of the Skyports that share a store; who shows it is one of them */
  admitPeers(secret: string): void {
    this.#peers = digestOf(secret);
  }

  /** True for the secret of the Skyports that share a store. */
  isPeers(token: string): boolean {
    return this.#peers !== undefined && timingSafeEqual(this.#peers, digestOf(token));
  }

  /** The services' patterns that are in force, for `namesSomebodyElse`. */
  get patterns(): readonly RegExp[] {
    return this.#logins.tokens?.patterns ?? [];
  }

  /** True when a client of a listener without `as` has to `connect` with a token before anything else. */
  required(): boolean {
    return this.#logins.anonymous === undefined;
  }

  /**
   * The answer to a `connect`.
   * @param token undefined or empty when the client sent none
   * @param listenerUser the listener's `as`
   */
  login(token: string | undefined, listenerUser?: string): Principal | Refusal {
    const { tokens } = this.#logins;
    if (token === undefined || token === '') {
      return this.#tokenless(listenerUser) ?? refuse('SKYPORT_AUTHENTICATION_FAILED');
    }
    if (this.isPeers(token)) return PEER;
    if (listenerUser !== undefined || tokens === undefined) return refuse('SKYPORT_AUTHENTICATION_NOT_CONFIGURED');
    return find(tokens.entries, token)?.principal ?? refuse('SKYPORT_AUTHENTICATION_FAILED');
  }

  /** Who a client is that calls something else before `connect`: SDKs before 1.0 begin with `ping`. */
  withoutConnect(listenerUser?: string): Principal | Refusal {
    return this.#tokenless(listenerUser) ?? refuse('SKYPORT_AUTHENTICATION_REQUIRED');
  }

  /**
   * What a principal of an existing connection is by the logins in force: the same one, one with
   * other roles or another pattern, or undefined when it would not get in any more as that user.
   */
  current(principal: Principal): Principal | undefined {
    if (principal.source === 'listener' || principal.source === 'peer') return principal;
    if (principal.source === 'anonymous') return this.#logins.anonymous === principal.user ? principal : undefined;
    const entry = this.#logins.tokens?.entries.find((one) => one.principal.tokenId === principal.tokenId);
    return entry?.principal.user === principal.user ? entry.principal : undefined;
  }

  /** False when the connections of this principal are to be closed. */
  stillValid(principal: Principal): boolean {
    return this.current(principal) !== undefined;
  }

  #tokenless(listenerUser: string | undefined): Principal | undefined {
    if (listenerUser !== undefined) return tokenless(listenerUser, 'listener');
    const { anonymous } = this.#logins;
    return anonymous === undefined ? undefined : tokenless(anonymous, 'anonymous');
  }
}

function tokenless(user: string, source: 'anonymous' | 'listener'): Principal {
  return { user, roles: USER_ROLE, source, key: user };
}

/** Compares with every entry to the end, so that the time tells nothing about which one it was, or whether one was. */
function find(entries: readonly TokenEntry[], token: string): TokenEntry | undefined {
  const tooLong = Buffer.byteLength(token) > LONGEST_TOKEN;
  const digest = digestOf(tooLong ? '' : token);
  let found: TokenEntry | undefined;
  for (const entry of entries) {
    const equal = timingSafeEqual(entry.digest, digest);
    found = equal ? entry : found;
  }
  return tooLong ? undefined : found;
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
