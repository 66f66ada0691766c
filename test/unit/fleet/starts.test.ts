import { describe, expect, it } from 'vitest';
import { Starts } from '../../../proxy/fleet/starts.js';

function begun(starts: Starts, ...wanted: readonly [name: string, urgent: boolean][]) {
  const order: string[] = [];
  const slots = wanted.map(([name, urgent]) => starts.enter(urgent, () => order.push(name)));
  return { order, slots };
}

describe('room for starts', () => {
  it('is given at once while there is some, and then in order of arrival', () => {
    const { order, slots } = begun(new Starts(2), ['a', true], ['b', true], ['c', true], ['d', true]);
    expect(order).toEqual(['a', 'b']);
    slots[1]!.leave();
    expect(order).toEqual(['a', 'b', 'c']);
    slots[0]!.leave();
    expect(order).toEqual(['a', 'b', 'c', 'd']);
  });

  it('goes to urgent ones first', () => {
    const { order, slots } = begun(new Starts(1), ['a', true], ['spare', false], ['b', true]);
    slots[0]!.leave();
    slots[2]!.leave();
    expect(order).toEqual(['a', 'b', 'spare']);
  });

  it('goes earlier to one that becomes urgent', () => {
    const { order, slots } = begun(new Starts(1), ['a', true], ['spare 1', false], ['spare 2', false]);
    slots[2]!.urge();
    slots[0]!.leave();
    expect(order).toEqual(['a', 'spare 2']);
  });

  it('is not given to one that has left the queue', () => {
    const starts = new Starts(1);
    const { order, slots } = begun(starts, ['a', true], ['b', true], ['c', true]);
    slots[1]!.leave();
    slots[0]!.leave();
    expect(order).toEqual(['a', 'c']);
    expect(starts.waiting).toBe(0);
  });

  it('is freed once, however often it is left', () => {
    const { order, slots } = begun(new Starts(1), ['a', true], ['b', true], ['c', true]);
    slots[0]!.leave();
    slots[0]!.leave();
    expect(order).toEqual(['a', 'b']);
  });

  it('is not given any more once it is closed', () => {
    const starts = new Starts(1);
    const { order, slots } = begun(starts, ['a', true], ['b', true]);
    starts.close();
    slots[0]!.leave();
    expect(order).toEqual(['a']);
  });
});
