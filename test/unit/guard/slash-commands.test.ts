import { expect, test } from 'vitest';
import { commandRule } from '../../../proxy/guard/slash-commands.js';

test('a command is known with and without its slash, in any case, with blanks around it', () => {
  const spellings = ['session', '/session', 'SESSION', '  /Session  delete-all --yes', '//session', '/ session'];
  expect(spellings.map((text) => commandRule(text))).toEqual(spellings.map(() => 'shared_commands'));
});

test('a command is known by its aliases', () => {
  expect([commandRule('sessions'), commandRule('cd')]).toEqual(['shared_commands', 'slash_commands']);
});

test('a client\'s own command passes', () => {
  expect(commandRule('deploy')).toBeUndefined();
});

test('a word that only contains a command passes', () => {
  expect([commandRule('session-notes'), commandRule('my/mcp')]).toEqual([undefined, undefined]);
});

test('a prompt that is scheduled may not be a refused command', () => {
  expect([commandRule('every', '1h /cwd /etc'), commandRule('/after 5m /plugin install x')]).toEqual(['slash_commands', 'shared_commands']);
});

test('a prompt that is scheduled may say anything else', () => {
  expect(commandRule('every', '1h look at /var/log and the session')).toBeUndefined();
});

test('a name that a server might fold into another one is refused', () => {
  expect(commandRule('s\u0131gn')).toBe('slash_commands');
});
