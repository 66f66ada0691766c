import { expect, test } from 'vitest';
import { frameOf } from '../../../bench/load/frames.js';
import { ROOM, Splitter } from '../../../bench/load/splitter.js';

/** What comes out when the bytes arrive in pieces of that size, read into one buffer. */
function read(bytes: Buffer, size: number): string[] {
  const texts: string[] = [];
  const splitter = new Splitter((buffer, start, end, length) => texts.push(`${buffer.toString('utf8', start, Math.min(end, start + 40))} ${length}`));
  const memory = Buffer.alloc(ROOM + 64 * 1024);
  for (let at = 0; at < bytes.length; at += size) {
    const count = bytes.copy(memory, ROOM, at, Math.min(bytes.length, at + size));
    splitter.read(memory, ROOM, ROOM + count);
  }
  return splitter.clean ? texts : [...texts, 'left over'];
}

test('frames come out whole, however they were split', () => {
  const bytes = Buffer.concat(['{"a":1}', '{"b":"text"}', '{}'].map(frameOf));
  for (const size of [1, 2, 7, 21, 22, 23, 1000]) expect(read(bytes, size)).toEqual(['{"a":1} 7', '{"b":"text"} 12', '{} 2']);
});

test('a header line before Content-Length is read over', () => {
  const bytes = Buffer.concat([Buffer.from('A:1\r\nA:1\r\n'), frameOf('{"a":1}'), frameOf('{}')]);
  for (const size of [1, 5, 1000]) expect(read(bytes, size)).toEqual(['{"a":1} 7', '{} 2']);
});

test('of a large frame the beginning comes, and the frame after it is whole', () => {
  const large = `{"x":"${'y'.repeat(200_000)}"}`;
  const bytes = Buffer.concat([frameOf('{}'), frameOf(large), frameOf('{"a":1}')]);
  for (const size of [100, 4096, 64 * 1024]) {
    expect(read(bytes, size)).toEqual(['{} 2', `${large.slice(0, 40)} ${large.length}`, '{"a":1} 7']);
  }
});

test('half a frame at the end is not silently forgotten', () => {
  expect(read(frameOf('{"a":1}').subarray(0, -1), 1000)).toEqual(['left over']);
});
