import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../../config/units.js';

describe('durations', () => {
  test.each([['500ms', 500], ['5s', 5_000], ['2m', 120_000], ['1h', 3_600_000], ['30d', 2_592_000_000], ['0s', 0]])(
    '%s is %i ms', (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each(['', '5', 's', '5 s', '5S', '-5s', '0.5s', '5sec', '5s ', '1h30m', '0x5s', '999999999999d', '5s\n'])(
    '%j is not a duration', (text) => expect(parseDuration(text)).toBeUndefined());

  test('what is formatted reads back as the same', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 10 ** 11 }), (ms) => parseDuration(formatDuration(ms)) === ms));
  });
});

describe('sizes', () => {
  test.each([['1B', 1], ['64KiB', 65_536], ['16MiB', 16_777_216], ['1GiB', 1_073_741_824], ['1KB', 1_000], ['1MB', 1_000_000], ['1GB', 1_000_000_000]])(
    '%s is %i bytes', (text, bytes) => expect(parseSize(text)).toBe(bytes));

  test.each(['', '16', '16M', '16mib', '16 MiB', '-1B', '1.5GB', '999999999999GiB'])(
    '%j is not a size', (text) => expect(parseSize(text)).toBeUndefined());

  test('what is formatted reads back as the same', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 10 ** 11 }), (bytes) => parseSize(formatSize(bytes)) === bytes));
  });
});
