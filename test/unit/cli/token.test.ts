import { createHash } from 'node:crypto';
import { chmodSync, existsSync, lstatSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { runCommandLine } from '../../../proxy/cli/program.js';
import { loadTokens } from '../../../proxy/identity/tokens-file.js';
import { fakeTerminal, type FakeTerminal } from './fake-terminal.js';

let directory: string;
let file: string;
let terminal: FakeTerminal;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sp-'));
  file = join(directory, 'tokens.yaml');
  terminal = fakeTerminal(directory);
});

afterEach(() => rmSync(directory, { recursive: true }));

function token(...args: string[]): Promise<number> {
  return runCommandLine(['token', ...args], terminal);
}

function printedToken(): string {
  return terminal.stdout.split('\n')[0]!;
}

test('the token is printed once, and the entry has its hash and not the token', async () => {
  expect(await token('alice', '--role', 'user', 'admin')).toBe(0);
  const [made, ...rest] = terminal.stdout.split('\n');
  expect(made).toMatch(/^sky_[\w-]{43}$/);
  expect(rest.join('\n')).not.toContain(made);
  expect(terminal.stderr).not.toContain(made);
  expect(parse(rest.join('\n'))).toEqual([{ user: 'alice', sha256: createHash('sha256').update(made!).digest('hex'), roles: ['user', 'admin'] }]);
});

test('a service has its session pattern', async () => {
  expect(await token('app', '--role', 'service', '--session-pattern', '^user-(?<user>[a-z]+)-')).toBe(0);
  expect(parse(terminal.stdout.split('\n').slice(1).join('\n'))).toMatchObject([{ session_pattern: '^user-(?<user>[a-z]+)-' }]);
});

test.each([
  ['a user that could leave its directory', ['../bob']],
  ['a role that no file may hold', ['bob', '--role', 'No Role']],
  ['a service without a pattern', ['bob', '--role', 'service']],
  ['a pattern without the role service', ['bob', '--session-pattern', '^(?<user>a)']],
  ['a pattern that is no regular expression', ['bob', '--role', 'service', '--session-pattern', '^(']],
])('%s is a usage error and makes no token', async (_, args) => {
  expect(await token(...args, '--append', file)).toBe(2);
  expect(terminal.stdout).toBe('');
  expect(terminal.stderr).not.toBe('');
  expect(existsSync(file)).toBe(false);
});

test('--append makes the file, for its owner only', async () => {
  expect(await token('alice', '--append', 'tokens.yaml')).toBe(0);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(loadTokens(file).tokens?.entries.map(({ principal }) => principal.user)).toEqual(['alice']);
  expect(terminal.stdout).toBe(`${printedToken()}\n`);
});

test('--append leaves every byte that is there', async () => {
  await token('alice', '--append', file);
  const before = `# who may come in\n${readFileSync(file, 'utf8')}   # trailing, without a line end`;
  writeFileSync(file, before);
  await token('bob', '--append', file);
  expect(readFileSync(file, 'utf8').startsWith(`${before}\n- user: bob\n`)).toBe(true);
  expect(loadTokens(file).tokens?.entries).toHaveLength(2);
});

test.each([
  ['in flow style', '[]\n'],
  ['indented', `  - user: bob\n    sha256: ${'ab'.repeat(32)}\n`],
  ['in flow style with entries and comments', `# top\n[ { user: bob, sha256: ${'ab'.repeat(32)} } ] # end\n`],
  ['empty but for a comment', '# nobody yet\n'],
])('--append understands a file that is %s', async (_, text) => {
  writeFileSync(file, text);
  const before = loadTokens(file).tokens!.entries.length;
  expect(await token('alice', '--append', file)).toBe(0);
  expect(loadTokens(file).tokens?.entries.map(({ principal }) => principal.user)).toHaveLength(before + 1);
  for (const comment of text.match(/# \w+/g) ?? []) expect(readFileSync(file, 'utf8')).toContain(comment);
});

test('--append makes an open file private', async () => {
  writeFileSync(file, '');
  chmodSync(file, 0o644);
  await token('alice', '--append', file);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test('--append refuses a file with mistakes and leaves it', async () => {
  writeFileSync(file, '- user: bob\n  sha256: short\n');
  expect(await token('alice', '--append', file)).toBe(1);
  expect(readFileSync(file, 'utf8')).toBe('- user: bob\n  sha256: short\n');
  expect(terminal.stderr).toContain(`${file}:2:`);
  expect(terminal.stdout).toBe('');
  expect(readdirSync(directory)).toEqual(['tokens.yaml']);
});

test('--append replaces what a symbolic link points to, not the link', async () => {
  const real = join(directory, 'real.yaml');
  writeFileSync(real, '');
  symlinkSync(real, file);
  await token('alice', '--append', file);
  expect(lstatSync(file).isSymbolicLink()).toBe(true);
  expect(loadTokens(real).tokens?.entries).toHaveLength(1);
});

test('--append waits for nobody: a file that is being written is told', async () => {
  writeFileSync(file, '');
  writeFileSync(`${file}.new`, '');
  expect(await token('alice', '--append', file)).toBe(1);
  expect(terminal.stderr).toContain(`${file}.new exists: another skyport token is at work`);
  expect(existsSync(`${file}.new`)).toBe(true);
});

test('--append to a directory that does not exist fails with its name', async () => {
  expect(await token('alice', '--append', 'none/tokens.yaml')).toBe(1);
  expect(terminal.stderr).toContain(join(directory, 'none/tokens.yaml'));
  expect(terminal.stdout).toBe('');
});
