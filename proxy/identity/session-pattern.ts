/** What may be a `session_pattern`: fast on any id (config/pattern.ts), and with a group that finds the user. */
import { idPattern } from '../../config/pattern.js';

export type PatternVerdict = { pattern: RegExp; warning?: string } | { trouble: string };

export function sessionPattern(text: string): PatternVerdict {
  const verdict = idPattern(text);
  if ('trouble' in verdict) return verdict;
  const { pattern, groups, anchored } = verdict;
  if (!groups.includes('user')) return { trouble: 'has no group (?<user>…), which finds the user in a session id' };
  return anchored ? { pattern } : { pattern, warning: 'does not begin with ^, so the user may be found anywhere in a session id' };
}
