/** A tokens file for users whose tokens are `token-of-<user>`. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';

/** @returns the file, `tokens.yaml` in the directory */
export function writeTokensOf(users: readonly string[], directory: string): string {
  const file = path.join(directory, 'tokens.yaml');
  const entries = users.map((user) => ({ user, sha256: createHash('sha256').update(`token-of-${user}`).digest('hex'), roles: ['user'] }));
  // JSON is YAML too.
  writeFileSync(file, JSON.stringify(entries), { mode: 0o600 });
  return file;
}
