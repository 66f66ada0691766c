import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Authenticator } from '../../../proxy/identity/authenticator.js';
import { newToken, tokenEntry } from '../../../proxy/identity/token.js';
import { loadTokens } from '../../../proxy/identity/tokens-file.js';
import { put, scratch } from '../config/scratch.js';

test('a token is sky_ and 32 random bytes, and comes with its SHA-256', () => {
  const { token, sha256 } = newToken();
  expect(token).toMatch(/^sky_[A-Za-z0-9_-]{43}$/);
  expect(sha256).toBe(createHash('sha256').update(token).digest('hex'));
});

test('no two tokens are the same', () => {
  expect(new Set(Array.from({ length: 100 }, () => newToken().token)).size).toBe(100);
});

test('an entry is what goes into the file', () => {
  expect(tokenEntry('alice', 'ab'.repeat(32))).toBe(`- user: alice\n  sha256: ${'ab'.repeat(32)}\n`);
  expect(tokenEntry('app', 'ab'.repeat(32), ['service'], '^u-(?<user>[a-z]+)-')).toBe(
    `- user: app\n  sha256: ${'ab'.repeat(32)}\n  roles:\n    - service\n  session_pattern: ^u-(?<user>[a-z]+)-\n`);
});

test('entries that are put one after the other are a tokens file, and the tokens log in', () => {
  const [a, b] = [newToken(), newToken()];
  const text = tokenEntry('alice', a.sha256) + tokenEntry('app', b.sha256, ['service'], '^u-(?<user>[a-z]+)-');
  const { tokens, problems } = loadTokens(put(scratch(), 'tokens.yaml', text));
  expect(problems).toEqual([]);
  const authenticator = new Authenticator({ tokens });
  expect(authenticator.login(a.token)).toMatchObject({ user: 'alice' });
  expect(authenticator.login(b.token)).toMatchObject({ user: 'app', sessionPattern: /^u-(?<user>[a-z]+)-/ });
});

test('an entry survives hashes and names that YAML would take for numbers', () => {
  fc.assert(fc.property(
    fc.constantFrom('1'.repeat(64), `${'1'.repeat(62)}e1`, `0${'1'.repeat(63)}`, `1e${'1'.repeat(62)}`),
    fc.constantFrom('true', 'null', '42', '1e5', '0x1f', 'no', '2025-01-01'),
    (sha256, user) => {
      const { tokens } = loadTokens(put(scratch(), 'tokens.yaml', tokenEntry(user, sha256)));
      return tokens?.entries[0]?.principal.user === user && tokens.entries[0].digest.toString('hex') === sha256;
    },
  ));
});
