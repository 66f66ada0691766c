import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { z } from 'zod';
import { problemAt, problemsOf } from '../../config/issues.js';
import { toJsonSchema } from '../../config/json-schema.js';
import { hasErrors, inFileOrder, type Problem } from '../../config/problem.js';
import { readSource, type Source } from '../../config/source.js';
import { role, user } from '../../config/values.js';
import type { Principal } from './principal.js';
import { sessionPattern } from './session-pattern.js';

/** One token of the file: what it hashes to, and who comes with it. */
export interface TokenEntry {
  /** SHA-256 of the token, 32 bytes. */
  readonly digest: Buffer;
  readonly principal: Principal;
}

/** All tokens that are good now. Never changed; a reload makes another one. */
export interface TokenTable {
  readonly entries: readonly TokenEntry[];
  /** The patterns of the services, for `namesSomebodyElse`. */
  readonly patterns: readonly RegExp[];
}

const entry = z.strictObject({
  user: user(),
  sha256: z.string().regex(/^[0-9A-Fa-f]{64}$/, 'is not a SHA-256')
    .meta({ 'x-noun': 'a SHA-256', 'x-allowed': '64 hexadecimal digits, the SHA-256 of the token and not the token itself', 'x-secret': true }),
  roles: z.array(role()).min(1).default(['user']),
  session_pattern: z.string().optional().meta({ 'x-noun': 'a regular expression' }),
});
const file = z.array(entry);
const root = toJsonSchema(file);

/**
 * Reads `identity.tokens_file` and finds all of its mistakes at once.
 * @returns `tokens` is undefined when a problem is an error; an empty file is a table without tokens
 */
export function loadTokens(path: string): { tokens?: TokenTable; problems: Problem[] } {
  const source = readSource(path, undefined);
  if (source.broken) return { problems: inFileOrder(source.problems) };
  const value = source.value ?? [];
  const parsed = file.safeParse(value, { reportInput: true });
  const problems = [
    ...source.problems,
    ...problemsOf(parsed.error?.issues ?? [], source, root),
    ...entryProblems(value, source),
    ...fileProblems(path, value, source),
  ];
  if (parsed.data === undefined || hasErrors(problems)) return { problems: inFileOrder(problems) };
  const entries = parsed.data.map(tokenEntryOf);
  const patterns = new Map(entries.flatMap(({ principal: { sessionPattern: pattern } }) =>
    (pattern === undefined ? [] : [[pattern.source, pattern] as const])));
  return { tokens: { entries, patterns: [...patterns.values()] }, problems: inFileOrder(problems) };
}

/**
 * A name for a token in logs, the same after each reload: 12 hexadecimal digits of the SHA-256 of its
 * SHA-256, from which neither can be found again.
 */
export function tokenIdOf(digest: Buffer): string {
  return createHash('sha256').update(digest).digest('hex').slice(0, 12);
}

function tokenEntryOf({ user: name, sha256, roles, session_pattern: text }: z.output<typeof entry>): TokenEntry {
  const digest = Buffer.from(sha256, 'hex');
  const verdict = text === undefined ? undefined : sessionPattern(text);
  const principal: Principal = {
    user: name,
    roles: new Set(roles),
    source: 'token',
    sessionPattern: verdict !== undefined && 'pattern' in verdict ? verdict.pattern : undefined,
    key: roles.includes('service') ? `service:${name}` : name,
    tokenId: tokenIdOf(digest),
  };
  return { digest, principal };
}

/** What no single key shows; like all checks, told even when the file has other mistakes. */
function entryProblems(value: unknown, source: Source): Problem[] {
  const seen = new Map<string, number>();
  return (Array.isArray(value) ? value as unknown[] : []).flatMap((item, i) => {
    if (typeof item !== 'object' || item === null) return [];
    const { sha256, roles, session_pattern: text } = item as Record<string, unknown>;
    const problems: Problem[] = [];
    if (typeof sha256 === 'string') {
      const first = seen.get(sha256.toLowerCase());
      if (first !== undefined) problems.push(problemAt(source, root, [i, 'sha256'], `is the token of [${first}] too`));
      else seen.set(sha256.toLowerCase(), i);
    }
    const service = Array.isArray(roles) && roles.includes('service');
    if (service && text === undefined) {
      problems.push(problemAt(source, root, [i, 'session_pattern'], 'is required for the role service', {
        allowed: 'a regular expression with a group "user", such as ^user-(?<user>[A-Za-z0-9]+)-',
      }));
    } else if (!service && text !== undefined) {
      problems.push(problemAt(source, root, [i, 'session_pattern'], 'is only for the role service'));
    }
    if (typeof text !== 'string') return problems;
    const verdict = sessionPattern(text);
    const at = [i, 'session_pattern'];
    if ('trouble' in verdict) problems.push(problemAt(source, root, at, verdict.trouble, { value: text }));
    else if (verdict.warning !== undefined) problems.push(problemAt(source, root, at, verdict.warning, { value: text, severity: 'warning' }));
    return problems;
  });
}

function fileProblems(path: string, value: unknown, source: Source): Problem[] {
  const problems: Problem[] = [];
  if (Array.isArray(value) && value.length === 0) {
    problems.push(problemAt(source, root, [], 'holds no tokens, so every token is refused', { severity: 'warning' }));
  }
  const mode = process.platform === 'win32' ? 0 : modeOf(path);
  if ((mode & 0o077) !== 0) {
    problems.push(problemAt(source, root, [], `other users of this machine may read or change this file (mode ${mode.toString(8)})`, {
      severity: 'warning', allowed: 'mode 600',
    }));
  }
  return problems;
}

function modeOf(path: string): number {
  try {
    return statSync(path).mode & 0o777;
  } catch {
    return 0;
  }
}
