import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ERRORS } from '../../../proxy/protocol/errors.js';

const ROOT = path.join(import.meta.dirname, '../../..');
const PAGES = ['README.md', ...readdirSync(path.join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md')).map((name) => path.join('docs', name))];

function read(file: string): string {
  return readFileSync(path.join(ROOT, file), 'utf8');
}

/** The names that a page's headings can be linked by, as code hosts make them. */
function anchors(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.+)$/gm)]
    .map(([, title]) => title!.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-'));
}

test.each(PAGES)('every link of %s leads somewhere', (page) => {
  for (const [, target] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^https?:/.test(target!)) continue;
    const [file, anchor] = target!.split('#');
    const full = file === '' ? page : path.join(path.dirname(page), file!);
    expect(existsSync(path.join(ROOT, full)), target).toBe(true);
    if (anchor !== undefined) expect(anchors(full), target).toContain(anchor);
  }
});

test.each(PAGES)('every file of the code that %s names is there', (page) => {
  const named = [...read(page).matchAll(/(?<![\w/.-])((?:[a-z-]+\/)*[a-z0-9-]+\.ts)\b/g)].map(([, file]) => file!);
  for (const file of named) {
    const found = [file, path.join('proxy', file)].some((candidate) => existsSync(path.join(ROOT, candidate)));
    expect(found, file).toBe(true);
  }
});

test.each(PAGES)('every error that %s names is in the catalogue', (page) => {
  for (const [name] of read(page).matchAll(/SKYPORT_[A-Z_]+[A-Z]/g)) {
    if (name === 'SKYPORT_TOKEN' || name === 'SKYPORT_AUTHENTICATION') continue;
    expect(Object.keys(ERRORS)).toContain(name);
  }
});

test('every page is reached from docs/README.md', () => {
  const index = read('docs/README.md');
  for (const page of PAGES) {
    if (page === path.join('docs', 'README.md')) continue;
    expect(index).toContain(`](${path.relative('docs', page)})`);
  }
});
