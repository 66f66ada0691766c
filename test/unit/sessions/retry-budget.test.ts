import { beforeEach, describe, expect, it } from 'vitest';
import { RetryBudget } from '../../../proxy/sessions/retry-budget.js';

let now = 0;
let budget: RetryBudget;

beforeEach(() => {
  now = 0;
  budget = new RetryBudget(() => now);
});

const take = (times: number): boolean[] => Array.from({ length: times }, () => budget.take());

describe('a session whose servers fail', () => {
  it('is tried three times in a row, and then left alone', () => {
    expect(take(4)).toEqual([true, true, true, false]);
  });

  it('is tried as often again once a turn was completed', () => {
    take(4);
    budget.restore();
    expect(take(4)).toEqual([true, true, true, false]);
  });

  it('is tried again when nothing has failed for a minute', () => {
    take(4);
    now = 60_001;
    expect(take(4)).toEqual([true, true, true, false]);
  });

  it('is left alone for as long as it goes on failing', () => {
    take(4);
    now = 40_000;
    expect(budget.take()).toBe(false);
    now = 80_000;
    expect(budget.take()).toBe(false);
  });
});
