import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { configPath } from '../../../proxy/cli/config-file.js';
import { demo } from '../../../proxy/cli/demo.js';
import { runCommandLine } from '../../../proxy/cli/program.js';
import { fakeTerminal, type FakeTerminal } from './fake-terminal.js';

let directory: string;
let terminal: FakeTerminal;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sp-'));
  terminal = fakeTerminal(directory);
});

afterEach(() => rmSync(directory, { recursive: true }));

function write(name: string, text: string): string {
  const file = join(directory, name);
  writeFileSync(file, text);
  return file;
}

test('--version is the version of the package', async () => {
  const { version } = JSON.parse(readFileSync(resolve(import.meta.dirname, '../../../package.json'), 'utf8')) as { version: string };
  expect(await runCommandLine(['--version'], terminal)).toBe(0);
  expect(terminal.stdout).toBe(`${version}\n`);
});

test('--help lists every command and the exit codes', async () => {
  expect(await runCommandLine(['--help'], terminal)).toBe(0);
  for (const command of ['start', 'check', 'status', 'sessions', 'drain', 'undrain', 'reload', 'token', 'demo']) {
    expect(terminal.stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
  }
  expect(terminal.stdout).toContain('Exit codes: 0 done; 1 failed');
});

test.each([[['fly']], [['drain']], [['status', '--colour']], [['token']], [[]]])('the command line %j is a usage error', async (args) => {
  expect(await runCommandLine(args, terminal)).toBe(2);
  expect(terminal.stdout).toBe('');
  expect(terminal.stderr).not.toBe('');
});

test('a config is the one given, else ./skyport.yaml, else the one that comes with Skyport', () => {
  expect(configPath('my.yaml', directory)).toBe(join(directory, 'my.yaml'));
  expect(configPath(undefined, directory)).toBe(resolve(import.meta.dirname, '../../../config/skyport.yaml'));
  write('skyport.yaml', '');
  expect(configPath(undefined, directory)).toBe(join(directory, 'skyport.yaml'));
});

test('check tells what a good config amounts to', async () => {
  const file = write('my.yaml', `
listen:
  - { tcp: 127.0.0.1:4321, as: alice }
  - { http: 127.0.0.1:4380 }
backends:
  - { name: cli-1, url: "tcp://10.0.0.5:4321" }
  - { name: cli-2, url: "tcp://10.0.0.6:4321", weight: 2, backup: true }
fleet: { count: 1 }
`);
  expect(await runCommandLine(['check', '--config', 'my.yaml'], terminal)).toBe(0);
  expect(terminal.stdout).toBe(`\
OK         ${file}
listeners  tcp 127.0.0.1:4321 as alice, http 127.0.0.1:4380
backends   cli-1 tcp://10.0.0.5:4321, cli-2 tcp://10.0.0.6:4321 weight 2 backup
fleet      1 managed server
`);
});

test('check prints every mistake with its place, and fails', async () => {
  const file = write('my.yaml', 'limits:\n  clients: many\n  clientz: 1\nfleet: { count: 1 }\nidentity: { anonymous: local }\n');
  expect(await runCommandLine(['check', '--config', 'my.yaml'], terminal)).toBe(1);
  const lines = terminal.stdout.trimEnd().split('\n');
  expect(lines[0]).toMatch(`${file}:2:12: error: limits.clients: `);
  expect(lines[1]).toMatch(`${file}:3:3: error: limits.clientz: `);
  expect(terminal.stderr).toBe(`2 errors in ${file}\n`);
});

test('check reads the tokens file too', async () => {
  write('my.yaml', 'fleet: { count: 1 }\nidentity: { tokens_file: ./tokens.yaml }\n');
  const tokens = write('tokens.yaml', '- user: alice\n  sha256: short\n');
  expect(await runCommandLine(['check', '--config', 'my.yaml'], terminal)).toBe(1);
  expect(terminal.stdout).toContain(`${tokens}:2:11: error: [0].sha256: `);
});

test('check names the rules that guard.open may open', async () => {
  write('my.yaml', 'fleet: { count: 1 }\nguard: { open: { admin: [shell_exek] } }\n');
  expect(await runCommandLine(['check', '--config', 'my.yaml'], terminal)).toBe(1);
  expect(terminal.stdout).toContain('shell_exec');
});

test('check prints warnings and does not fail for them', async () => {
  const file = write('my.yaml', 'fleet: { count: 1 }\n');
  expect(await runCommandLine(['check', '--config', 'my.yaml'], terminal)).toBe(0);
  expect(terminal.stdout).toMatch(/^\S+my\.yaml:1:1: warning: identity: [^\n]+\nOK {9}/);
  expect(terminal.stdout).toContain(`OK         ${file}\n`);
});

test('check --json gives the problems to machines', async () => {
  const file = write('my.yaml', 'limits:\n  clients: many\nfleet: { count: 1 }\nidentity: { anonymous: local }\n');
  expect(await runCommandLine(['check', '--config', 'my.yaml', '--json'], terminal)).toBe(1);
  expect(JSON.parse(terminal.stdout)).toMatchObject({ ok: false, file, problems: [{ file, line: 2, column: 12, key: 'limits.clients', severity: 'error' }] });
});

test('check --json of a good config has its summary', async () => {
  write('my.yaml', 'fleet: { count: 3 }\n');
  expect(await runCommandLine(['check', '--config', 'my.yaml', '--json'], terminal)).toBe(0);
  expect(JSON.parse(terminal.stdout)).toMatchObject({ ok: true, summary: { listeners: ['tcp 127.0.0.1:4321', 'http 127.0.0.1:4380'], backends: [], fleet: 3 } });
});

test('check of a file that is not there fails and names it', async () => {
  expect(await runCommandLine(['check', '--config', 'none.yaml'], terminal)).toBe(1);
  expect(terminal.stdout).toContain(join(directory, 'none.yaml'));
});

test('the default config that comes with Skyport is good', async () => {
  expect(await runCommandLine(['check'], terminal)).toBe(0);
});

test('a demo that is not installed is told', async () => {
  expect(await demo(terminal, pathToFileURL(join(directory, 'none.js')))).toBe(1);
  expect(terminal.stderr).toBe('The demo is not part of this installation of Skyport.\n');
});

test('the demo\'s exit code is the command\'s', async () => {
  const file = write('demo.mjs', 'export const runDemo = async () => 3;');
  expect(await demo(terminal, pathToFileURL(file))).toBe(3);
});
