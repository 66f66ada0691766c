import { expect, test } from 'vitest';
import { Calls, inWords, Ledger } from '../../../bench/load/ledger.js';

function ledger(): Ledger {
  const one = new Ledger(2);
  one.own(0, 10);
  one.own(1, 11);
  return one;
}

test('events of each session in their order are right, whatever is between them', () => {
  const one = ledger();
  one.event(10, 0, 0);
  one.event(11, 1, 0);
  one.event(10, 0, 1);
  expect(one.complete([2, 1])).toBe(true);
  one.settle([2, 1]);
  expect(inWords(one.mistakes)).toEqual([]);
});

test('what has not come is not complete, and is lost at the end', () => {
  const one = ledger();
  one.event(10, 0, 0);
  expect(one.complete([2, 0])).toBe(false);
  one.settle([2, 0]);
  expect(inWords(one.mistakes)).toEqual(['1 lost']);
});

test('what was lost in the middle is found although the last event came', () => {
  const one = ledger();
  one.event(10, 0, 0);
  one.event(10, 0, 2);
  one.settle([3, 0]);
  expect(inWords(one.mistakes)).toEqual(['1 lost']);
});

test('an event that comes late is reordered and not lost', () => {
  const one = ledger();
  for (const place of [1, 0, 2]) one.event(10, 0, place);
  one.settle([3, 0]);
  expect(inWords(one.mistakes)).toEqual(['1 reordered']);
});

test('an event of a session that does not exist is strange', () => {
  const one = ledger();
  one.event(10, 7, 0);
  expect(inWords(one.mistakes)).toEqual(['1 strange']);
});

test('a round goes on where the one before ended', () => {
  const one = ledger();
  one.event(10, 0, 0);
  one.settle([1, 0]);
  one.event(10, 0, 1);
  one.settle([2, 0]);
  expect(inWords(one.mistakes)).toEqual([]);
});

test('a request is answered once', () => {
  const calls = new Calls(4);
  calls.asked(1, 100);
  expect(calls.answered(1)).toBe(100);
  expect(calls.answered(1)).toBeUndefined();
});

test('requests without an answer are counted when they are given up', () => {
  const calls = new Calls(4);
  for (const id of [1, 2, 3]) calls.asked(id, 0);
  calls.answered(2);
  expect(calls.give()).toBe(2);
  expect(calls.waiting).toBe(0);
});
