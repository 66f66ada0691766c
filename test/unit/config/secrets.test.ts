import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatProblem } from '../../../config/problem.js';
import { MINIMAL, load } from './scratch.js';

const SECRET = 'hunter2Hunter2';

/** Everything that an operator would see of a file's problems. */
function printed(text: string, env: NodeJS.ProcessEnv = {}): string {
  const { problems } = load(text, env);
  expect(problems.filter((p) => p.severity === 'error')).not.toEqual([]);
  return problems.map(formatProblem).join('\n');
}

test.each([
  ['a token that is not a text', `${MINIMAL}backends: [{ name: a, url: tcp://h:1, token: [${SECRET}] }]`],
  ['a token that YAML takes for a tag', `${MINIMAL}backends: [{ name: a, url: tcp://h:1, token: !${SECRET} }]`],
  ['a token that YAML takes for an alias', `${MINIMAL}backends: [{ name: a, url: tcp://h:1, token: *${SECRET} }]`],
  ['a token with a bad escape', `${MINIMAL}backends: [{ name: a, url: tcp://h:1, token: "\\z${SECRET}" }]`],
  ['a token with a quote missing', `${MINIMAL}backends:\n  - { name: a, url: tcp://h:1, token: "${SECRET} }\n`],
  ['a block scalar token with a bad header', `${MINIMAL}backends:\n  - name: a\n    token: |${SECRET}\n`],
  ['a token after a forgotten space', `${MINIMAL}backends: [{ name: a, url: tcp://h:1, token:${SECRET} }]`],
  ['a token key given twice without spaces', `${MINIMAL}backends: [{ name: a, url: tcp://h:1, token:${SECRET}, token:${SECRET} }]`],
  ['a token without its key', `${MINIMAL}backends: [{ name: a, url: tcp://h:1, token: , ${SECRET} }]`],
  ['a token that became a variable name', `identity: { anonymous: x }\nfleet: { count: 1, env: { GH_TOKEN: , ${SECRET} } }`],
  ['a misspelt token key', `${MINIMAL}backends: [{ name: a, url: tcp://h:1, tokn: ${SECRET} }]`],
  ['a token in the place of a section', `${MINIMAL}backends: ${SECRET}`],
  ['a token in the place of an entry', `${MINIMAL}backends: [${SECRET}]`],
  ['credentials in a URL', `${MINIMAL}backends: [{ name: a, url: "tcp://user:${SECRET}@h:1" }]`],
  ['the password of Redis in a bad URL', `${MINIMAL}store: { driver: redis, url: "http://:${SECRET}@h" }`],
  ['the password of Redis in a list', `${MINIMAL}store: { driver: redis, url: ["redis://:${SECRET}@h"] }`],
  ['the password of sentinels', `${MINIMAL}store: { driver: redis, url: "redis://h", sentinel: { name: m, nodes: ["h:1"], password: [${SECRET}] } }`],
  ['an environment variable that is not a text', `identity: { anonymous: x }\nfleet: { count: 1, env: { GH: [${SECRET}] } }`],
  ['an environment variable given as NAME=value', `identity: { anonymous: x }\nfleet: { count: 1, env: { GH=${SECRET}: "" } }`],
  ['a command line', `identity: { anonymous: x }\nfleet: { count: 1, command: { run: ${SECRET} } }`],
])('%s is not printed', (_name, text) => {
  expect(printed(text)).not.toContain(SECRET);
});

test.each(['{ name: a, url: tcp://h:1, token: , hunter }', '{ name: a, url: tcp://h:1, token: , hunter: }', '{ name: a, url: tcp://h:1, hunter, hunter }'])(
  'a plain word without a value is not printed in %s', (entry) => {
    expect(printed(`${MINIMAL}backends: [${entry}]`)).not.toContain('hunter');
  });

test('a number in the place of a token is not printed', () => {
  expect(printed(`${MINIMAL}backends: [{ name: a, url: tcp://h:1, token: 8675309 }]`)).toContain('(found a number)');
});

test('a value from the environment is not printed, whatever is wrong with it', () => {
  for (const line of ['routing: { policy: "${X}" }', 'limits: { max_frame: "${X}" }', 'listen: [{ tcp: "${X}" }]', 'backends: [{ name: "a${X}!", url: "${X}" }]',
    'links: { max: "${X}" }', 'identity: { anonymous: "${X} " }', 'guard: { open: { admin: "${X}" } }', 'store: "${X}"']) {
    const text = `${line}\n${line.startsWith('identity') ? '' : 'identity: { anonymous: local }\n'}fleet: { count: 1 }\n`;
    expect(printed(text, { X: SECRET })).not.toContain(SECRET);
  }
});

test('a value from the environment is not printed when it comes through an alias', () => {
  const text = `${MINIMAL}backends: [{ name: a, url: tcp://h:1, token: &t "\${X}" }]\nrouting: { policy: *t }\n`;
  expect(printed(text, { X: SECRET })).not.toContain(SECRET);
});

test('no text, however broken, brings a secret out', () => {
  const good = `${MINIMAL}backends:\n  - { name: a, url: tcp://h:1, token: "${SECRET}" }\n  - name: b\n    url: tcp://h:2\n    token: '${SECRET}'\n`;
  const noise = fc.constantFrom('"', "'", '{', '}', '[', ']', ':', ': ', ',', '\n', '\t', '*', '&', '!', '|', '>', '#', '%', '@', '- ', '? ', '\\', '---\n');
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(good.length), noise), { minLength: 1, maxLength: 3 }), (edits) => {
    const text = edits.reduce((before, [at, bit]) => before.slice(0, at) + bit + before.slice(at), good);
    const { problems } = load(text);
    return !problems.map(formatProblem).join('\n').includes(SECRET);
  }), { numRuns: 2_000 });
});
