import fc from 'fast-check';
import { expect, test } from 'vitest';
import { substitute } from '../../../config/substitute.js';

test.each([
  ['${A}', 'one'],
  ['x${A}y${B}z', 'xoneytwoz'],
  ['${MISSING:-else}', 'else'],
  ['${EMPTY:-else}', 'else'],
  ['${EMPTY}', ''],
  ['${A:-else}', 'one'],
  ['${MISSING:-}', ''],
  ['${MISSING:-a:b/c-d e}', 'a:b/c-d e'],
  ['$${A}', '${A}'],
  ['$$${A}', '$${A}'],
  ['$A and $ and $5', '$A and $ and $5'],
  ['${NESTED}', '${A}'],
])('%s becomes %s', (text, expected) => {
  const result = substitute(text, { A: 'one', B: 'two', EMPTY: '', NESTED: '${A}' });
  expect(result.text).toBe(expected);
  expect(result.mistakes).toEqual([]);
});

test('a variable that is not set is named, once for each', () => {
  expect(substitute('${ONE} ${TWO}', {}).mistakes).toEqual([
    'the environment variable ONE is not set; write ${ONE:-default} to give a default',
    'the environment variable TWO is not set; write ${TWO:-default} to give a default',
  ]);
});

test.each(['${', '${}', '${A', '${1A}', '${A B}', '${A:x}', '${A-x}'])('%s is malformed', (text) => {
  expect(substitute(text, { A: 'one' }).mistakes).toHaveLength(1);
});

test('a text without ${ stays as it is', () => {
  fc.assert(fc.property(fc.string().filter((text) => !text.includes('${')), (text) => {
    const result = substitute(text, {});
    return result.text === text && result.names.length === 0 && result.mistakes.length === 0;
  }));
});
