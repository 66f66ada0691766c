/** `skyport token`: makes a token, and the entry of the tokens file that lets it in. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { newToken, tokenEntry } from '../identity/token.js';
import { loadTokens } from '../identity/tokens-file.js';
import { appendEntry } from './tokens-append.js';
import { CommandError, EXIT, type Terminal } from './terminal.js';

export interface TokenOptions {
  role?: string[];
  sessionPattern?: string;
  append?: string;
}

/**
 * The token goes to stdout, alone on the first line, and is kept nowhere. The entry follows, or is added
 * to the file of `append`.
 */
export function token(user: string, { role, sessionPattern, append }: TokenOptions, terminal: Terminal): number {
  const made = newToken();
  const entry = tokenEntry(user, made.sha256, role, sessionPattern);
  checkEntry(entry);
  if (append === undefined) {
    terminal.out(made.token);
    terminal.err('The token above is shown this once. Add the entry below to identity.tokens_file:');
    terminal.out(`\n${entry.trimEnd()}`);
    return EXIT.ok;
  }
  const file = resolve(terminal.cwd, append);
  appendEntry(file, entry);
  terminal.out(made.token);
  terminal.err(`The token above is shown this once. Its entry was added to ${file}.`);
  return EXIT.ok;
}

/**
 * What a tokens file may hold is known to its loader alone, so the loader judges the entry.
 * @throws CommandError with all that is wrong
 */
function checkEntry(entry: string): void {
  const directory = mkdtempSync(join(tmpdir(), 'skyport-token-'));
  try {
    const file = join(directory, 'tokens.yaml');
    writeFileSync(file, entry, { mode: 0o600 });
    const errors = loadTokens(file).problems.filter(({ severity }) => severity === 'error');
    if (errors.length === 0) return;
    const texts = errors.map(({ key, message, allowed }) =>
      `${key.replace(/^\[0\]\.?/, '')} ${message}${allowed === undefined ? '' : ` (allowed: ${allowed})`}`);
    throw new CommandError(texts.join('\n'), EXIT.usage);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
