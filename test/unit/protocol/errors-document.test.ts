import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { documentErrors } from '../../../proxy/protocol/document.js';
import { ERRORS } from '../../../proxy/protocol/errors.js';

test('docs/errors.md is what the catalogue says now', () => {
  expect(readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8')).toBe(documentErrors());
});

test('every error has a row and a section of its own, and its row leads to the section', () => {
  const page = documentErrors();
  for (const name of Object.keys(ERRORS)) {
    expect(page.split(`\n### ${name}\n`), name).toHaveLength(2);
    expect(page.split(`| [\`${name}\`](#${name.toLowerCase()}) |`), name).toHaveLength(2);
  }
});

test('what it means and what to do are sentences', () => {
  for (const [name, { meaning, remedy }] of Object.entries(ERRORS)) {
    expect(meaning, name).toMatch(/^[^a-z][^]*\.$/);
    expect(remedy, name).toMatch(/^[^a-z][^]*\.$/);
  }
});
