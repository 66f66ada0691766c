/**
 * Slash commands that do what a refused method or parameter does. Measured on 1.0.85: a name is
 * taken with or without its slash, in any case, with blanks around it; a prompt that begins with a
 * slash is not run as a command, so only the session.commands.* methods are looked at.
 */
import type { RuleName } from '../protocol/method.js';

const COMMANDS: readonly (readonly [RuleName, string])[] = [
  ['shared_commands', 'session sessions chronicle blame subconscious memory sandbox mcp plugin plugins'],
  ['remote_sessions', 'share remote delegate'],
  ['slash_commands', 'add-dir cwd cd skills computer'],
  // Commands of the terminal program; a headless server of 1.0.85 does not know them.
  ['slash_commands', 'login logout user settings config lsp extension extensions hooks update restart exit quit'],
];

const ruleOf = new Map(COMMANDS.flatMap(([rule, names]) => names.split(' ').map((name) => [name, rule] as const)));

/** Every rule that a command can fall under. */
export const COMMAND_RULES: readonly RuleName[] = [...new Set(ruleOf.values())];

/** Commands whose input is a prompt for later, which may itself be a command. */
const SCHEDULING = new Set(['every', 'loop', 'after']);

/**
 * The rule that a command falls under, if any.
 * @param text the name, or the whole line as session.commands.enqueue takes it
 * @param input what follows the name, where it is given apart
 */
export function commandRule(text: string, input = ''): RuleName | undefined {
  const [head = '', ...rest] = text.trim().replace(/^[\s/]+/, '').split(/\s+/);
  // A name that is not plain ASCII might be folded into another one by the server.
  if (!/^[\x21-\x7e]*$/.test(head)) return 'slash_commands';
  const name = head.toLowerCase();
  const rule = ruleOf.get(name);
  if (rule !== undefined || !SCHEDULING.has(name)) return rule;
  const words = `${rest.join(' ')} ${input}`.split(/\s+/).filter((word) => word.startsWith('/'));
  return words.map((word) => commandRule(word)).find((found) => found !== undefined);
}
