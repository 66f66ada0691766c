import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ownerDirectory, within } from '../../../proxy/guard/directories.js';

test('a plain user name is the name of the directory', () => {
  expect(ownerDirectory('/srv/work', 'alice@example.com')).toBe('/srv/work/alice@example.com');
});

test('a name that is no file name is encoded', () => {
  expect(['..', '.', '', 'a/b', 'a b', 'a%2Fb', 'ü'].map((owner) => ownerDirectory('/w', owner))).toEqual(
    ['/w/%2E%2E', '/w/%2E', '/w/%', '/w/a%2Fb', '/w/a%20b', '/w/a%252Fb', '/w/%C3%BC'],
  );
});

test('no owner leaves the root, and no two share a directory', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (a, b) => {
      const [one, two] = [ownerDirectory('/w', a), ownerDirectory('/w', b)];
      expect(one).toMatch(/^\/w\/[^/]+$/);
      if (Buffer.from(a).equals(Buffer.from(b))) expect(one).toBe(two);
      else expect(one).not.toBe(two);
    }),
  );
});

test('a path that stays inside is made absolute and normal', () => {
  const paths = ['/w/a', '/w/a/', '/w/a/b//c', '/w/a/b/../c', 'b', './b/../c', ''];
  expect(paths.map((path) => within('/w/a', '/w/a', path))).toEqual(['/w/a', '/w/a', '/w/a/b/c', '/w/a/c', '/w/a/b', '/w/a/c', '/w/a']);
});

test('a path that leaves is none', () => {
  const paths = ['/', '/w', '/w/ab', '/w/a/..', '/w/a/../ab', '../a2', '..', '~', '~root', ' ~', '/w/a/\0', '/w/a ', '//etc'];
  expect(paths.map((path) => within('/w/a', '/w/a', path))).toEqual(paths.map(() => undefined));
});

test('whatever the path, the result is inside', () => {
  const part = fc.constantFrom('..', '.', '', 'a', 'b', '~', '/', 'w');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), fc.boolean(), (parts, absolute) => {
      const clean = within('/w/a', '/w/a/b', (absolute ? '/' : '') + parts.join('/'));
      if (clean !== undefined) expect(clean).toMatch(/^\/w\/a(\/(?!\.\.?(\/|$))[^/]+)*$/);
    }),
  );
});
