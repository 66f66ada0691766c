import { describe, expect, it } from 'vitest';
import { CallOrder } from '../../../proxy/store/call-order.js';

interface Held {
  readonly promise: Promise<void>;
  release(): void;
}

function held(): Held {
  let release = (): void => undefined;
  const promise = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { promise, release };
}

describe('calls of one session', () => {
  it('are carried out within the call when nothing is under way', () => {
    const order = new CallOrder();
    const done: string[] = [];
    void order.run(['s'], () => done.push('first'));
    void order.run(['s'], () => done.push('second'));
    expect(done).toEqual(['first', 'second']);
  });

  it('give their result or fault itself when nothing had to be waited for, and a promise else', async () => {
    const order = new CallOrder();
    expect(order.soon(['s'], () => 'done')).toBe('done');
    expect(() => order.soon(['s'], () => {
      throw new Error('no');
    })).toThrow('no');
    const slow = held();
    const done: string[] = [];
    void order.soon(['s'], () => slow.promise.then(() => done.push('slow')));
    const late = order.soon(['s'], () => done.push('late'));
    expect([late instanceof Promise, done]).toEqual([true, []]);
    slow.release();
    await late;
    expect(done).toEqual(['slow', 'late']);
  });

  it('wait for one that takes its time, and follow in order', async () => {
    const order = new CallOrder();
    const done: number[] = [];
    const slow = held();
    const calls = [order.run(['s'], async () => {
      await slow.promise;
      done.push(0);
    })];
    for (let n = 1; n < 5; n++) {
      calls.push(order.run(['s'], async () => {
        await Promise.resolve();
        done.push(n);
      }));
    }
    expect(order.isIdle('s')).toBe(false);
    slow.release();
    await Promise.all(calls);
    expect(done).toEqual([0, 1, 2, 3, 4]);
    expect(order.isIdle('s')).toBe(true);
  });

  it('do not wait for those of another session', async () => {
    const order = new CallOrder();
    const slow = held();
    const waiting = order.run(['s'], () => slow.promise);
    expect(await order.run(['t'], () => 'done')).toBe('done');
    slow.release();
    await waiting;
  });

  it('go on after one that failed', async () => {
    const order = new CallOrder();
    const failing = order.run(['s'], async () => {
      await Promise.resolve();
      throw new Error('no');
    });
    const next = order.run(['s'], () => 'done');
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('done');
    await expect(order.run(['s'], () => {
      throw new Error('at once');
    })).rejects.toThrow('at once');
  });

  it('of two sessions in opposite directions do not wait for each other', async () => {
    const order = new CallOrder();
    const done: string[] = [];
    const step = (name: string) => async (): Promise<void> => {
      await Promise.resolve();
      done.push(name);
    };
    await Promise.all([order.run(['s', 't'], step('st')), order.run(['t', 's'], step('ts')), order.run(['s', 't'], step('again'))]);
    expect(done).toEqual(['st', 'ts', 'again']);
  });

  it('have all ended when that is waited for, with those that came meanwhile', async () => {
    const order = new CallOrder();
    const done: string[] = [];
    const slow = held();
    void order.run(['s'], () => slow.promise).then(() => order.run(['t'], async () => {
      await Promise.resolve();
      done.push('late');
    }));
    const ended = order.ended();
    slow.release();
    await ended;
    expect(order.isIdle('s')).toBe(true);
  });
});
