import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arena } from '../../../proxy/wire/arena.js';
import { Known, knownEnd } from '../../../proxy/wire/known.js';

/** Writes a message's text into the arena and looks a string in it up. */
function find<T>(known: Known<T>, text: string, from = 3, after = '","event":{"type":"'): T | undefined {
  arena.fill(0x22, 0, 300);
  const end = from + arena.write(text + after, from, 'latin1');
  return known.find(from, end);
}

describe('known texts', () => {
  it('are found by their bytes, wherever they lie, with the place of their closing quote', () => {
    const known = new Known<number>();
    const texts = Array.from({ length: 200 }, (_, n) => `${'session-'.repeat(1 + (n % 6))}${n}`.slice(-60));
    texts.forEach((text, n) => known.set(text, n));
    expect(known.size).toBe(200);
    texts.forEach((text, n) => {
      expect([find(known, text, n % 7), knownEnd]).toEqual([n, (n % 7) + text.length]);
    });
  });

  it('are told from all that differ in one character, have more, or have fewer', () => {
    const known = new Known<string>();
    const id = '4f1c09ab-0000-4000-8000-000000000017';
    for (let length = 8; length <= id.length; length++) known.set(id.slice(0, length), id.slice(0, length));
    for (let length = 8; length <= id.length; length++) {
      const text = id.slice(0, length);
      expect(find(known, text)).toBe(text);
      for (let at = 0; at < length; at++) expect(find(known, `${text.slice(0, at)}x${text.slice(at + 1)}`)).toBeUndefined();
    }
    expect(find(known, `${id}8`)).toBeUndefined();
  });

  it('are not looked for beyond the end, and not without a closing quote', () => {
    const known = new Known<number>();
    known.set('0123456789', 1);
    expect(find(known, '0123456789', 3, '"')).toBe(1);
    expect(find(known, '0123456789', 3, '')).toBeUndefined();
    expect(find(known, '01234567', 3, '')).toBeUndefined();
    expect(find(known, '0123456789\\', 3)).toBeUndefined();
  });

  it('with quotes, backslashes and other characters than printable ASCII, and too short or long ones, are never found', () => {
    const known = new Known<number>();
    for (const text of ['1234567', 'x'.repeat(61), 'with"a quote', 'with\\a backslash', 'wíth an accent', 'with\na line end']) {
      known.set(text, 1);
      known.delete(text);
      expect([known.size, find(known, text)]).toEqual([0, undefined]);
    }
  });

  it('behave like a map, whatever is set and removed', () => {
    const text = fc.integer({ min: 0, max: 60 }).map((n) => `${'id-'.repeat(3 + (n % 4))}${n}`);
    fc.assert(fc.property(fc.array(fc.tuple(text, fc.option(fc.nat())), { maxLength: 200 }), (steps) => {
      const known = new Known<number>();
      const map = new Map<string, number>();
      for (const [key, value] of steps) {
        if (value === null) {
          known.delete(key);
          map.delete(key);
        } else {
          known.set(key, value);
          map.set(key, value);
        }
        expect([known.size, find(known, key)]).toEqual([map.size, map.get(key)]);
      }
      for (const [key, value] of map) expect(find(known, key)).toBe(value);
    }));
  });
});
