import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { documentRules } from '../../../proxy/guard/document.js';
import { METHODS } from '../../../proxy/protocol/catalogue.js';
import { RULE_NAMES } from '../../../proxy/protocol/method.js';

const committed = readFileSync(new URL('../../../docs/security-rules.md', import.meta.url), 'utf8');

test('the committed page is what the rules and the catalogue make', () => {
  expect(committed).toBe(documentRules());
});

test('the page names every rule and every method', () => {
  const names = [...RULE_NAMES, ...METHODS.map((spec) => spec.name)];
  expect(names.filter((name) => !committed.includes(`\`${name}\``))).toEqual([]);
});
