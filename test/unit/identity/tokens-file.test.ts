import { createHash } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { formatProblem, type Problem } from '../../../config/problem.js';
import { loadTokens } from '../../../proxy/identity/tokens-file.js';
import { put, scratch } from '../config/scratch.js';

const A = 'a'.repeat(64);
const B = 'B'.repeat(64);

const load = (text: string) => loadTokens(put(scratch(), 'tokens.yaml', text));
const told = (problems: Problem[]) => problems.map((p) => `${p.line}:${p.column} ${p.severity} ${p.key}: ${p.message}`);

describe('a good file', () => {
  test('gives each token its principal', () => {
    const { tokens, problems } = load(`- { user: alice, sha256: ${A} }\n- { user: alice, sha256: ${B}, roles: [user, admin, on-call] }\n`);
    expect(problems).toEqual([]);
    expect(tokens?.entries.map((e) => [e.digest.toString('hex'), e.principal.user, [...e.principal.roles], e.principal.key, e.principal.source])).toEqual([
      [A, 'alice', ['user'], 'alice', 'token'],
      [B.toLowerCase(), 'alice', ['user', 'admin', 'on-call'], 'alice', 'token'],
    ]);
    expect(tokens?.patterns).toEqual([]);
  });

  test('gives a service its pattern, and keeps its limits apart from those of a user of that name', () => {
    const { tokens, problems } = load(`- user: app\n  sha256: ${A}\n  roles: [service]\n  session_pattern: "^u-(?<user>[a-z]+)-"\n`);
    expect(problems).toEqual([]);
    expect(tokens?.entries[0]?.principal).toMatchObject({ user: 'app', key: 'service:app', sessionPattern: /^u-(?<user>[a-z]+)-/ });
    expect(tokens?.patterns).toEqual([/^u-(?<user>[a-z]+)-/]);
  });

  test('names each token by a digest of its digest', () => {
    const expected = createHash('sha256').update(Buffer.from(A, 'hex')).digest('hex').slice(0, 12);
    expect(load(`- { user: alice, sha256: ${A} }\n`).tokens?.entries[0]?.principal.tokenId).toBe(expected);
  });

  test('has no variables: ${ in a pattern is just that', () => {
    const { tokens } = load(`- user: app\n  sha256: ${A}\n  roles: [service]\n  session_pattern: "^(?<user>[a-z]+)\${"\n`);
    expect(tokens?.patterns[0]?.source).toBe('^(?<user>[a-z]+)${');
  });
});

describe('mistakes', () => {
  test('are all told at once, with line and column', () => {
    const { tokens, problems } = load([
      `- user: alice`,
      `  sha256: ${A}`,
      `- user: ../etc`,
      `  sha256: abc`,
      `  role: [admin]`,
      `- { user: bob, sha256: ${A.toUpperCase()}, roles: [] }`,
      `- { user: app, sha256: ${B}, roles: [service] }`,
      `- { user: eve, sha256: ${'c'.repeat(64)}, session_pattern: "^(?<user>x)" }`,
      `- { user: app, sha256: ${'d'.repeat(64)}, roles: [service], session_pattern: "^(?<user>a+)+" }`,
      `- { sha256: ${'e'.repeat(64)}, roles: [Admin] }`,
      `- carol`,
    ].join('\n'));
    expect(tokens).toBeUndefined();
    expect(told(problems)).toEqual([
      '3:9 error [1].user: is not a user name',
      '4:11 error [1].sha256: is not a SHA-256',
      '5:3 error [1].role: unknown key; did you mean roles?',
      '6:24 error [2].sha256: is the token of [0] too',
      '6:97 error [2].roles: must not be empty',
      '7:3 error [3].session_pattern: is required for the role service',
      '8:107 error [4].session_pattern: is only for the role service',
      '9:125 error [5].session_pattern: repeats a group that has repeats, ? or | in it, which can take very long',
      '10:3 error [6].user: is required: a user name',
      '10:87 error [6].roles[0]: is not a role name',
      '11:3 error [7]: is not a mapping',
    ]);
  });

  test('do not print what stands for sha256: it may be the token itself', () => {
    const { problems } = load('- { user: alice, sha256: sky_secret }\n- sky_secret\n- { user: bob, sky_secret }\n- { user: bob, sha256: sky_secret, sha256: sky_secret }\n');
    const text = problems.map(formatProblem).join('\n');
    expect(problems.length).toBeGreaterThan(4);
    expect(text).not.toContain('sky_secret');
    expect(text).toContain('64 hexadecimal digits, the SHA-256 of the token and not the token itself');
  });

  test('in the YAML, and a missing file, are problems too', () => {
    expect(told(load('- user: "alice\n').problems)).toEqual(['2:1 error : a character is missing here: a colon, comma, quote, bracket or space']);
    expect(told(loadTokens(join(scratch(), 'no.yaml')).problems)).toEqual(['1:1 error : cannot be read: there is no such file']);
    expect(told(load('user: alice\n').problems)).toEqual(['1:1 error : is not a list']);
  });
});

describe('warnings leave the tokens usable', () => {
  test('an empty file', () => {
    const { tokens, problems } = load('# nobody yet\n');
    expect(tokens?.entries).toEqual([]);
    expect(told(problems)).toEqual(['1:1 warning : holds no tokens, so every token is refused']);
  });

  test('a pattern that is not anchored', () => {
    const { tokens, problems } = load(`- { user: app, sha256: ${A}, roles: [service], session_pattern: "u-(?<user>[a-z]+)" }\n`);
    expect(tokens?.patterns).toHaveLength(1);
    expect(told(problems)).toEqual(['1:125 warning [0].session_pattern: does not begin with ^, so the user may be found anywhere in a session id']);
  });

  test('a file that others can read', () => {
    const file = put(scratch(), 'tokens.yaml', `- { user: alice, sha256: ${A} }\n`);
    chmodSync(file, 0o640);
    const { tokens, problems } = loadTokens(file);
    expect(tokens?.entries).toHaveLength(1);
    expect(told(problems)).toEqual(['1:1 warning : other users of this machine may read or change this file (mode 640)']);
  });
});
