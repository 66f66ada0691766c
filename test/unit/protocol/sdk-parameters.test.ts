import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { lookup } from '../../../proxy/protocol/catalogue.js';

/** The keys of the object that an SDK's source passes to sendRequest(METHOD, {…}). */
function keysSent(sdk: string, method: string): string[] {
  const source = readFileSync(fileURLToPath(import.meta.resolve(sdk)).replace('index.js', 'client.js'), 'utf8');
  const start = source.indexOf(`sendRequest("${method}", {`);
  const text = source.slice(start, source.indexOf('\n      });', start));
  const keys = [...text.matchAll(/^ {8}(\w+)(?::|,?$)/gm)].map((match) => match[1] ?? '');
  const spread = [...text.matchAll(/\? \{\s*(\w+):/g)].map((match) => match[1] ?? '');
  return [...keys, ...spread];
}

test.each([
  ['@github/copilot-sdk', 'session.create', 60], ['@github/copilot-sdk', 'session.resume', 60],
  ['copilot-sdk-legacy', 'session.create', 25], ['copilot-sdk-legacy', 'session.resume', 25],
])('%s sends nothing in %s that the catalogue does not know', (sdk, method, atLeast) => {
  const keys = keysSent(sdk, method);
  expect(keys.length).toBeGreaterThan(atLeast);
  expect(keys.filter((key) => lookup(method)?.params.has(key) !== true)).toEqual([]);
});
