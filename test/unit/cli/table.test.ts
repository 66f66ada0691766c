import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesText, printable, span, table, type Column } from '../../../proxy/cli/table.js';

interface Row {
  name: string;
  count: number;
}

const COLUMNS: ReadonlyArray<Column<Row>> = [
  { head: 'NAME', value: (row) => row.name, shrinksTo: 6 },
  { head: 'COUNT', value: (row) => row.count, align: 'right' },
];
const ROWS = [{ name: 'a', count: 1 }, { name: 'a-long-name', count: 1234567 }];

test('columns align, numbers to the right', () => {
  expect(table(COLUMNS, ROWS)).toBe([
    'NAME           COUNT',
    'a                  1',
    'a-long-name  1234567',
  ].join('\n'));
});

test('on a narrow terminal the columns that may be cut are', () => {
  expect(table(COLUMNS, ROWS, 16)).toBe([
    'NAME       COUNT',
    'a              1',
    'a-long…  1234567',
  ].join('\n'));
});

test('on a terminal that is too narrow for a table each row is a block with nothing cut', () => {
  expect(table(COLUMNS, ROWS, 12)).toBe([
    'NAME   a', 'COUNT  1', '', 'NAME   a-long-name', 'COUNT  1234567',
  ].join('\n'));
});

test('no line of a table is wider than the terminal', () => {
  const rows = fc.array(fc.record({ name: fc.string({ unit: 'grapheme' }), count: fc.nat() }), { minLength: 1 });
  fc.assert(fc.property(rows, fc.integer({ min: 19, max: 60 }), (some, width) => {
    for (const line of table(COLUMNS, some, width).split('\n')) expect([...line].length).toBeLessThanOrEqual(width);
  }));
});

test('a value that is missing is a dash', () => {
  expect(table([{ head: 'A', value: () => undefined }], [{}])).toBe('A\n-');
});

test('what could steer the terminal is made harmless', () => {
  expect(printable('a\u001b[2Jb\nc\u202ed')).toBe('a?[2Jb?c?d');
});

test.each([[0, '0s'], [59_999, '59s'], [60_000, '1m'], [3_725_000, '1h 2m'], [90_061_000, '1d 1h'], [-5, '0s']])('%i ms is %s', (ms, text) => {
  expect(span(ms)).toBe(text);
});

test.each([[0, '0 B'], [1023, '1023 B'], [1536, '1.5 KiB'], [5 * 2 ** 40, '5.0 TiB'], [2 ** 53, '8192.0 TiB']])('%i bytes are %s', (bytes, text) => {
  expect(bytesText(bytes)).toBe(text);
});
