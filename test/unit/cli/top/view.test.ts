import { expect, test } from 'vitest';
import { keysIn, press, type Key, type Scroll, type View } from '../../../../proxy/cli/top/view.js';

const VIEW: View = { sort: 'turns', reverse: false, show: 'both', offset: 0, help: false };
const SCROLL: Scroll = { offset: 10, room: 5, total: 30 };

function after(keys: Key[], view = VIEW): View {
  return keys.reduce((now, key) => press(now, key, SCROLL), view);
}

test.each<[string, Key[]]>([
  ['q', ['quit']], ['\u0003', ['quit']], ['\u001a', ['suspend']], ['s', ['sort']], ['r', ['reverse']], ['u', ['show']], ['h', ['help']], ['?', ['help']],
  ['\u001b[A\u001b[B', ['up', 'down']], ['\u001bOA', ['up']], ['\u001b[5~\u001b[6~', ['pageUp', 'pageDown']],
  ['\u001b[H\u001b[F', ['first', 'last']], ['ssr', ['sort', 'sort', 'reverse']], ['\u001b[3~xyz\u001b', []], ['', []],
])('typing %j means %j', (typed, keys) => {
  expect(keysIn(typed)).toEqual(keys);
});

test('s goes through the columns that can be sorted by, and begins again', () => {
  const sorts = [1, 2, 3, 4, 5].map((times) => after(Array<Key>(times).fill('sort')).sort);
  expect(sorts).toEqual(['sessions', 'rss', 'age', 'latency', 'turns']);
});

test('u goes from both to servers to users', () => {
  expect([1, 2, 3].map((times) => after(Array<Key>(times).fill('show')).show)).toEqual(['servers', 'users', 'both']);
});

test('r and h are taken back by themselves', () => {
  expect(after(['reverse', 'help'])).toEqual({ ...VIEW, reverse: true, help: true });
  expect(after(['reverse', 'help', 'reverse', 'help'])).toEqual(VIEW);
});

test.each<[Key, number]>([
  ['up', 9], ['down', 11], ['pageUp', 5], ['pageDown', 15], ['first', 0], ['last', 25],
])('%s scrolls from what is seen', (key, offset) => {
  expect(press(VIEW, key, SCROLL).offset).toBe(offset);
});

test('nobody scrolls past the ends', () => {
  expect(press(VIEW, 'pageUp', { offset: 2, room: 5, total: 30 }).offset).toBe(0);
  expect(press(VIEW, 'pageDown', { offset: 24, room: 5, total: 30 }).offset).toBe(25);
  expect(press(VIEW, 'down', { offset: 0, room: 5, total: 3 }).offset).toBe(0);
});

test('another order starts from the top', () => {
  const scrolled = { ...VIEW, offset: 7 };
  expect((['sort', 'reverse', 'show'] as const).map((key) => press(scrolled, key, SCROLL).offset)).toEqual([0, 0, 0]);
});

test('a key without meaning here changes nothing', () => {
  expect(press(VIEW, 'redraw', SCROLL)).toBe(VIEW);
});
