import { createHash, randomBytes } from 'node:crypto';
import { stringify } from 'yaml';

/** A token to give to a user, and what goes into the tokens file in its place. */
export interface NewToken {
  /** 256 random bits; shown once, kept nowhere. */
  token: string;
  /** Lower-case hexadecimal. */
  sha256: string;
}

/** The prefix lets secret scanners find a token that has leaked. */
const PREFIX = 'sky_';

export function newToken(): NewToken {
  const token = PREFIX + randomBytes(32).toString('base64url');
  return { token, sha256: createHash('sha256').update(token).digest('hex') };
}

/** An entry for the tokens file, as YAML that can be appended to it. */
export function tokenEntry(user: string, sha256: string, roles?: readonly string[], sessionPattern?: string): string {
  return stringify([{
    user,
    sha256,
    ...(roles === undefined || roles.length === 0 ? {} : { roles: [...roles] }),
    ...(sessionPattern === undefined ? {} : { session_pattern: sessionPattern }),
  }], { lineWidth: 0, defaultStringType: 'PLAIN' });
}
