import { expect, test } from 'vitest';
import { Screen } from '../../../../proxy/cli/top/screen.js';
import { FakeTty } from './fake-tty.js';

function screen(tty: FakeTty): Screen {
  const made = new Screen(tty);
  made.enter();
  return made;
}

test('what was there before is there again afterwards', () => {
  const tty = new FakeTty();
  tty.write('$ skyport top\r\n');
  const made = screen(tty);
  made.draw(['one', 'two']);
  expect([tty.screen.text, tty.screen.alternate, tty.screen.cursorVisible, tty.isRaw]).toEqual(['one\ntwo', true, false, true]);
  made.leave();
  expect([tty.screen.text, tty.isRestored]).toEqual(['$ skyport top', true]);
});

test('a second frame writes only the lines that differ, in one text', () => {
  const tty = new FakeTty();
  const made = screen(tty);
  made.draw(['one', 'two', 'three']);
  tty.written.length = 0;
  made.draw(['one', '2', 'three']);
  expect(tty.written).toEqual(['\u001b[?2026h\u001b[2;1H\u001b[2K2\u001b[?2026l']);
  expect(tty.screen.text).toBe('one\n2\nthree');
});

test('the same frame writes nothing', () => {
  const tty = new FakeTty();
  const made = screen(tty);
  made.draw(['one']);
  tty.written.length = 0;
  made.draw(['one']);
  expect(tty.written).toEqual([]);
});

test('a shorter frame leaves nothing of the longer one', () => {
  const tty = new FakeTty();
  const made = screen(tty);
  made.draw(['one', 'two', 'three']);
  made.draw(['one']);
  expect(tty.screen.text).toBe('one');
});

test('a line that fills the terminal is seen to its end, and pushes no other away', () => {
  const tty = new FakeTty(3, 5);
  const made = screen(tty);
  made.draw(['12345', '123456789', 'x']);
  expect(tty.screen.lines.map((line) => line.slice(0, 4))).toEqual(['1234', '1234', 'x']);
});

test('after forget the whole frame is drawn on a cleared screen', () => {
  const tty = new FakeTty();
  const made = screen(tty);
  made.draw(['one', 'two']);
  tty.screen.write('\u001b[1;1Hgarbage\u001b[7;1Hgarbage');
  made.draw(['one', 'two']);
  expect(tty.screen.text).toContain('garbage');
  made.forget();
  made.draw(['one', 'two']);
  expect(tty.screen.text).toBe('one\ntwo');
});

test('leaving twice, or before it was entered, writes nothing', () => {
  const tty = new FakeTty();
  const made = new Screen(tty);
  made.leave();
  made.draw(['one']);
  expect(tty.written).toEqual([]);
  made.enter();
  made.leave();
  const { length } = tty.written;
  made.leave();
  made.draw(['one']);
  expect(tty.written).toHaveLength(length);
});
