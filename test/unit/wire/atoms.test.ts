import { describe, expect, it } from 'vitest';
import { atomAt, atomEnd } from '../../../proxy/wire/atoms.js';

const read = (text: string | Buffer): string | undefined => {
  const buffer = Buffer.from(text as string);
  return atomAt(buffer, 0, buffer.length);
};

describe('an atom', () => {
  it('is the text up to the next quote', () => {
    expect(atomAt(Buffer.from('"session.event","x"'), 1, 19)).toBe('session.event');
    expect(atomEnd).toBe(14);
    expect(read('"')).toBe('');
  });

  it('is told apart from another of the same length and ending', () => {
    for (let round = 0; round < 3; round++) {
      for (const first of 'abc') expect(read(`${first}-same-ending-of-both"`)).toBe(`${first}-same-ending-of-both`);
    }
  });

  it('may be long', () => {
    for (const length of [63, 64, 65, 1000]) expect(read(`${'x'.repeat(length)}"`)).toBe('x'.repeat(length));
  });

  it.each(['no end', 'an \\"escape"', 'é"', 'a\tb"', 'a\x7fb"', Buffer.from([0x61, 0xff, 0x22])])('is not read from anything else: %j', (text) => {
    expect(read(text)).toBeUndefined();
  });

  it('does not go on behind the end', () => {
    expect(atomAt(Buffer.from('abc"'), 0, 3)).toBeUndefined();
  });
});
