import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesText, countText, millisText, printable, shortBytes, span, table, type Column } from '../../../proxy/cli/table.js';

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

test('columns that may be left out are, the highest number first, once nothing more can be cut', () => {
  const columns: ReadonlyArray<Column<Row>> = [
    ...COLUMNS, { head: 'LESS', value: () => 'x', drops: 1 }, { head: 'LEAST', value: () => 'y', drops: 2 },
  ];
  expect([40, 30, 24, 16].map((width) => table(columns, ROWS, width).split('\n')[0])).toEqual([
    'NAME           COUNT  LESS  LEAST', 'NAME        COUNT  LESS  LEAST', 'NAME         COUNT  LESS', 'NAME       COUNT',
  ]);
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

test.each([[0, '0'], [999, '999'], [1000, '1.0K'], [24 * 2 ** 20, '24M'], [1.5 * 2 ** 30, '1.5G'], [2 ** 53, '8192T']])('%i bytes in short are %s', (bytes, text) => {
  expect(shortBytes(bytes)).toBe(text);
});

test.each([[0.25, '0.3ms'], [9.96, '10ms'], [42.4, '42ms'], [999.6, '1.0s'], [1_500, '1.5s'], [90_000, '90s']])('%f ms are %s', (ms, text) => {
  expect(millisText(ms)).toBe(text);
});

test.each([[0, '0'], [999, '999'], [1000, '1,000'], [1234567.4, '1,234,567']])('%f is counted as %s', (count, text) => {
  expect(countText(count)).toBe(text);
});
